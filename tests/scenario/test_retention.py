"""Retention on real servers: by hand, and by the schedule that a worker has made."""

import asyncio
from datetime import timedelta

import httpx2
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleHandle,
)

from local.story import Numbers, Story
from models.base import wall_now
from tests.scenario.conftest import Addresses, StoryMaker, durabill
from workflows import usage_retention


def _use_long_ago(story: Story, addresses: Addresses, days: int, key: str) -> None:
    story.client.events.ingest(
        request={
            "type": "tokens.used",
            "source": "story",
            "subject": "somebody",
            "data": {"tokens": 1},
            "timestamp": wall_now() - timedelta(days=days),
            "idempotency_key": key,
        }
    )


async def _first_action(schedule: ScheduleHandle) -> ScheduleActionExecutionStartWorkflow:
    for _attempt in range(150):
        actions = (await schedule.describe()).info.recent_actions
        if actions:
            assert isinstance(actions[0].action, ScheduleActionExecutionStartWorkflow)
            return actions[0].action
        await asyncio.sleep(0.2)
    raise AssertionError("the schedule has started nothing")


async def _tonight(address: str) -> int:
    """Runs what the schedule runs, now; how many events went."""
    client = await Client.connect(address)
    schedule = client.get_schedule_handle(usage_retention.SCHEDULE_ID)
    described = await schedule.describe()
    assert described.schedule.spec.calendars[0].hour[0].start == usage_retention.HOUR_UTC
    await usage_retention.ensure_schedule(client)
    await schedule.trigger()
    done = await _first_action(schedule)
    handle = client.get_workflow_handle(
        done.workflow_id, run_id=done.first_execution_run_id, result_type=int
    )
    removed: int = await handle.result()
    return removed


def test_old_usage_goes_by_hand_and_by_night(addresses: Addresses, tell_story: StoryMaker) -> None:
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()

    def count() -> int:
        meter = story.client.billable_metrics.meter(
            id=catalogue.metric_id,
            from_=wall_now() - timedelta(days=1000),
            to=wall_now(),
        )
        return int(meter.total_value)

    for days in (10, 200, 300):
        _use_long_ago(story, addresses, days, f"by-hand-{days}")
    assert count() == 3
    kept = httpx2.patch(
        f"{addresses['apiUrl']}/internal/v1/merchants/{story.merchant_id}",
        json={"usageRetentionMonths": 6},
        headers={"Authorization": f"Bearer {addresses['adminKey']}"},
    )
    assert kept.is_success, kept.text
    told = durabill(addresses, "retention")
    assert told.returncode == 0, told.stderr
    assert f"{story.merchant_id}  2 events\n2 events deleted." in told.stdout
    assert count() == 1
    _use_long_ago(story, addresses, 400, "by-night")
    assert count() == 2
    assert asyncio.run(_tonight(addresses["temporalAddress"])) == 1
    assert count() == 1
