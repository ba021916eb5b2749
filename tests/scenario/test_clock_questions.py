"""What a test clock asks of those who live on it, read from their histories."""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from local.story import Numbers, checkout_url
from tests.scenario.conftest import Addresses, StoryMaker

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED


async def _asked(address: str, subscription_id: str) -> tuple[int, datetime]:
    """How often it was told the time so far, and what it takes the time to be."""
    client = await Client.connect(address)
    handle = client.get_workflow_handle(f"subscription/{subscription_id}")
    told = await _told(client, handle.id)
    return told, datetime.fromisoformat((await handle.query("state"))["now"])


async def _told(client: Client, workflow_id: str) -> int:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return sum(event.event_type == ACCEPTED for event in history.events)


def test_a_subscription_is_asked_once_where_nothing_is_due(
    addresses: Addresses, tell_story: StoryMaker
) -> None:
    """Its rows say when it is due: the clock only tells it the time, and it then lives in it.

    Two days without a boundary are two questions; the boundary that follows is another, and the
    day after it, at which the clock comes to rest, is the fourth.
    """
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    clock_id, customer_id = story.create_clock(), story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")

    def asked() -> tuple[int, datetime]:
        return asyncio.run(_asked(addresses["temporalAddress"], subscription.id))

    before, _ = asked()
    for day in (1, 2):
        story.advance(clock_id, START + timedelta(days=day))
        assert asked() == (before + day, START + timedelta(days=day))
    story.advance(clock_id, START + timedelta(days=29))
    assert asked() == (before + 4, START + timedelta(days=29))
    assert [each.sequence_number for each in story.invoices(subscription.id)] == [0, 1, 2]


def test_what_ends_with_its_first_task_is_not_told_the_time_again(
    addresses: Addresses, tell_story: StoryMaker
) -> None:
    """A close knows the time from its start, and so does a collection with a card that pays."""
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    clock_id, customer_id = story.create_clock(), story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.advance(clock_id, START + timedelta(days=30))
    closed = story.invoices(subscription.id)[1]
    assert (closed.sequence_number, closed.status) == (1, "PAID")

    async def told() -> list[int]:
        client = await Client.connect(addresses["temporalAddress"])
        ids = [f"invoice-close/{subscription.id}/1", f"payment/{closed.id}"]
        return [await _told(client, workflow_id) for workflow_id in ids]

    assert asyncio.run(told()) == [0, 0]
