"""Workflows that Temporal has lost: the rows bring them back, and nothing is done twice."""

import asyncio
import json
import time
from datetime import UTC, datetime

import psycopg
from temporalio.client import Client

from local.story import DECLINES_TWICE_CARD, Numbers, Story, checkout_url
from models.base import wall_now
from tests.scenario.conftest import Addresses, durabill
from workflows.connection import connect
from workflows.overdue_sweep import SCHEDULE_ID

PATIENCE_SECONDS = 40


def _story(addresses: Addresses) -> Story:
    made = durabill(addresses, "merchant", "create", "--name", "Lost", "--json")
    return Story({**addresses, **json.loads(made.stdout)}, Numbers(), lambda _step: None)


def _lose(addresses: Addresses, workflow_id: str) -> None:
    async def terminate() -> None:
        client: Client = await connect(addresses["temporalAddress"], "default")
        await client.get_workflow_handle(workflow_id).terminate("lost by the test")

    asyncio.run(terminate())


def _sweep(addresses: Addresses) -> None:
    async def trigger() -> None:
        client: Client = await connect(addresses["temporalAddress"], "default")
        await client.get_schedule_handle(SCHEDULE_ID).trigger()

    asyncio.run(trigger())


def test_a_clock_brings_lost_members_back(addresses: Addresses) -> None:
    """The subscription, and a collection that waits for its next attempt.

    The card declines twice for each invoice: the second has been paid by its third attempt, the
    third was declined on the day before.
    """
    story = _story(addresses)
    catalogue, clock_id = story.set_up_catalogue(), story.create_clock()
    subscription = story.subscribe(catalogue, story.create_customer(), clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    customer_id = story.client.subscriptions.get(id=subscription.id).customer_id
    story.save_card(customer_id, DECLINES_TWICE_CARD)
    story.advance(clock_id, datetime(2026, 3, 1, 12, tzinfo=UTC))
    declined = story.invoices(subscription.id)[1]
    assert str(declined.status) == "ISSUED"
    _lose(addresses, f"subscription/{subscription.id}")
    _lose(addresses, f"payment/{declined.id}")
    story.advance(clock_id, datetime(2026, 4, 2, tzinfo=UTC))
    assert [(row.sequence_number, str(row.status)) for row in story.invoices(subscription.id)] == [
        (0, "PAID"),
        (1, "PAID"),
        (2, "ISSUED"),
        (3, "ACTIVE"),
    ]


def test_the_sweep_brings_an_overdue_subscription_back(addresses: Addresses) -> None:
    """In wall time: the workflow is lost, its boundary passes, and the next sweep starts it."""
    story = _story(addresses)
    catalogue = story.set_up_catalogue()
    subscription = story.client.subscriptions.create(
        name="Wall",
        plan_id=catalogue.plan_id,
        customer_id=story.create_customer(),
        started_at=wall_now(),
    )
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    _lose(addresses, f"subscription/{subscription.id}")
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        connection.execute(
            "UPDATE invoices SET next_action_at = now() - interval '3 minutes' "
            "WHERE subscription_id = %s AND status = 'ACTIVE'",
            [subscription.id],
        )
    _sweep(addresses)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        states = [str(row.status) for row in story.invoices(subscription.id)]
        if states == ["PAID", "CLOSING", "ACTIVE"]:
            return
        time.sleep(0.2)
    raise AssertionError(states)
