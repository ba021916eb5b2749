"""Schedules of the whole installation: a worker makes them once, and people may change them."""

from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.types import MethodAsyncNoParam

from workflows import options


def nightly(hour_utc: int) -> ScheduleSpec:
    """Once a night, within some minutes of the hour."""
    return ScheduleSpec(
        calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour_utc)])],
        jitter=timedelta(minutes=10),
    )


async def ensure(
    client: Client,
    schedule_id: str,
    run: MethodAsyncNoParam[Any, Any],
    spec: ScheduleSpec,
    policy: SchedulePolicy | None = None,
) -> None:
    """Makes the schedule once; one that is there is left alone. Two runs never overlap."""
    try:
        await client.create_schedule(
            schedule_id,
            Schedule(
                action=ScheduleActionStartWorkflow(
                    run, id=schedule_id, task_queue=options.BILLING_QUEUE
                ),
                spec=spec,
                policy=policy or SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
            ),
        )
    except ScheduleAlreadyRunningError:
        return
