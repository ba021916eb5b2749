"""Late and voided usage on real servers: the next invoice tells it, and the books agree."""

import json
from datetime import UTC, datetime, timedelta

import httpx2

from local.story import Numbers, Story, checkout_url
from tests.scenario.conftest import Addresses, durabill

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


def _lines(story: Story, invoice_id: str) -> list[tuple[str, str, float, str]]:
    return [
        (line.invoice_display_name, f"{line.period_start:%m-%d}", line.quantity, line.total_price)
        for line in story.lines(invoice_id)
    ]


def test_late_usage_is_billed_on_the_next_invoice(
    addresses: Addresses,
) -> None:
    """A fee of 49.00 and 0.002 a token, 10 % tax; grace ends a day after 28 February.

    February bills 1 000 tokens: 2.00 + 49.00 = 51.00, and 5.10 of tax. After that 500 of February
    arrive and 200 that were billed are voided: +300 tokens, 0.60. March has 2 000 tokens: 4.00.
    The invoice of 31 March: 4.00 + 0.60 + 49.00 = 53.60, and 5.36 of tax: 58.96.
    April's has nothing late: 49.00 + 4.90 = 53.90.
    """
    merchant = json.loads(
        durabill(addresses, "merchant", "create", "--name", "Story", "--json").stdout
    )
    story = Story({**addresses, **merchant}, Numbers(), lambda _step: None)
    catalogue = story.set_up_catalogue()
    clock_id = story.create_clock()
    customer_id = story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    february, march = START + timedelta(days=2), START + timedelta(days=32)

    story.use_tokens(customer_id, [800, 200], first=february, prefix="february")
    story.advance(clock_id, START + timedelta(days=30))
    billed = story.invoices(subscription.id)[1]
    assert (billed.status, billed.subtotal, billed.total_tax) == ("PAID", "51.00", "5.10")

    story.use_tokens(customer_id, [500], first=february, prefix="late")
    repeated = story.client.events.ingest(
        request={
            "type": "tokens.used",
            "source": "story",
            "subject": customer_id,
            "data": {"tokens": 200},
            "timestamp": february + timedelta(minutes=1),
            "idempotency_key": "february-1",
        }
    )
    voided = httpx2.post(
        f"{addresses['apiUrl']}/v0/events/{repeated.id}/void",
        json={"reason": "Reported by mistake"},
        headers={"Authorization": f"Bearer {merchant['apiKey']}"},
    )
    assert voided.is_success, voided.text
    story.use_tokens(customer_id, [2000], first=march, prefix="march")
    live = story.invoices(subscription.id)[2]
    assert (live.status, live.subtotal) == ("ACTIVE", "53.60")

    story.advance(clock_id, START + timedelta(days=61))
    second = story.invoices(subscription.id)[2]
    assert (second.status, second.subtotal, second.total_tax) == ("PAID", "53.60", "5.36")
    assert sorted(_lines(story, second.id)) == [
        ("Platform fee", "03-31", 1, "49"),
        ("Tokens", "02-28", 2000, "4"),
        ("Tokens (late usage)", "01-31", 300, "0.6"),
    ]
    story.advance(clock_id, START + timedelta(days=91))
    third = story.invoices(subscription.id)[3]
    assert (third.status, third.grand_total) == ("PAID", "53.90")
    assert durabill(addresses, "reconcile").returncode == 0
