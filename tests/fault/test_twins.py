"""The same request twice at the same time: one effect, and both hear of it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import httpx2
import psycopg

from local.story import PAYING_CARD, Numbers, Story, checkout_url
from tests.fault.conftest import charges
from tests.scenario.conftest import Addresses, durabill

T = TypeVar("T")
TWINS = 4


def _at_once(call: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(TWINS) as pool:
        return [each.result() for each in [pool.submit(call) for _ in range(TWINS)]]


def _story(addresses: Addresses) -> Story:
    made = durabill(addresses, "merchant", "create", "--name", "Twins", "--json")
    return Story({**addresses, **json.loads(made.stdout)}, Numbers(), lambda _step: None)


def test_twin_subscriptions_and_checkouts(addresses: Addresses) -> None:
    """One subscription, one invoice, one charge; and each of the four forms is told it is paid."""
    story = _story(addresses)
    catalogue, clock_id = story.set_up_catalogue(), story.create_clock()
    customer_id = story.create_customer()
    made = _at_once(lambda: story.subscribe(catalogue, customer_id, clock_id))
    assert len({each.id for each in made}) == 1
    page = checkout_url(made[0])
    form = {"cardNumber": PAYING_CARD, "expiry": "12/40", "cvc": "123"}
    answers = _at_once(lambda: httpx2.post(page, data=form, timeout=60))
    told = [(answer.status_code, "paid" in answer.text.lower()) for answer in answers]
    assert told == [(200, True)] * TWINS
    story.await_status(made[0].id, "active")
    (invoice, *_open) = story.invoices(made[0].id)
    book = [each for each in charges(addresses) if each.invoice_id == invoice.id]
    assert [each.status for each in book] == ["succeeded"]


def test_twin_payments(addresses: Addresses) -> None:
    story = _story(addresses)
    made = _at_once(
        lambda: story.client.payments.create(
            amount="20.00", currency="USD", idempotency_key="order-1"
        )
    )
    assert len({each.id for each in made}) == 1


def test_twin_events(addresses: Addresses) -> None:
    story = _story(addresses)
    story.set_up_catalogue()
    customer_id = story.create_customer()
    first = datetime(2026, 2, 1, tzinfo=UTC)
    _at_once(lambda: story.use_tokens(customer_id, [5, 6], first=first, prefix="twin"))
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        stored = connection.execute(
            "SELECT count(*), sum((properties->>'tokens')::int) FROM usage_events "
            "WHERE merchant_id = %s",
            [story.merchant_id],
        ).fetchone()
    assert stored == (2, 11)


def test_twin_advances(addresses: Addresses) -> None:
    """Four requests for one target: one advance, and each is answered with the target."""
    story = _story(addresses)
    catalogue, clock_id = story.set_up_catalogue(), story.create_clock()
    subscription = story.subscribe(catalogue, story.create_customer(), clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    target = datetime(2026, 3, 2, tzinfo=UTC)
    assert set(_at_once(lambda: story.advance(clock_id, target))) == {target}
    numbers = [each.sequence_number for each in story.invoices(subscription.id)]
    assert numbers == [0, 1, 2]
