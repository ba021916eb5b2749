"""Manual lines on real servers: shown live, billed at the close, credits carried to the next."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from paygentic_sdk import errors

from local.story import Numbers, Story, checkout_url
from tests.scenario.conftest import Addresses, StoryMaker, durabill

MARCH = datetime(2026, 3, 1, 9, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 9, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 9, tzinfo=UTC)


def _totals(story: Story, subscription_id: str) -> list[tuple[str, str, str, str]]:
    return [
        (str(row.status), row.subtotal, row.total_tax, row.grand_total)
        for row in story.invoices(subscription_id)
    ]


def test_charges_and_credits_beside_the_catalogue(
    addresses: Addresses, tell_story: StoryMaker
) -> None:
    """A fee of 49.00 a month in advance, 10 % tax on top, no usage.

    February's invoice: March's fee 49.00, a set-up of 2 x 15.25 = 30.50 and a credit of 120.00.
    79.50 + 7.95 = 87.45 are owed, the credit of 132.00 with tax is cut to that: 0.00, PAID.
    120.00 - 79.50 = 40.50 of it remain. March's invoice: 49.00 - 40.50 = 8.50 + 0.85 = 9.35.
    April's invoice is the fee alone: 53.90.
    """
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    clock_id = story.create_clock()
    subscription = story.subscribe(catalogue, story.create_customer(), clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")

    def write(price: float, *, quantity: float = 1, key: str | None = None) -> str:
        made = story.client.invoices_v2.create_line_item(
            display_name="Set-up" if price > 0 else "Goodwill",
            currency="USD",
            quantity=quantity,
            unit_price=price,
            subscription_id=subscription.id,
            idempotency_key=key,
        )
        assert (made.type, made.status, made.invoice_id) == ("manual", "pending", None)
        return made.id

    setup_id = write(15.25, quantity=2, key="set-up")
    assert write(15.25, quantity=2, key="set-up") == setup_id
    with pytest.raises(errors.Error, match="another line"):
        write(15.26, quantity=2, key="set-up")
    assert _totals(story, subscription.id)[1] == ("ACTIVE", "79.50", "7.95", "87.45")
    credit_id = write(-120)
    assert _totals(story, subscription.id)[1] == ("ACTIVE", "0.00", "0.00", "0.00")

    story.advance(clock_id, MARCH)
    assert _totals(story, subscription.id)[1] == ("PAID", "0.00", "0.00", "0.00")
    february = story.invoices(subscription.id)[1]
    lines = {line.event_id: line for line in story.lines(february.id)}
    assert Decimal(lines[setup_id].total_price) == Decimal("30.50")
    assert Decimal(lines[credit_id].total_price) == Decimal("-79.50")
    assert _totals(story, subscription.id)[2] == ("ACTIVE", "8.50", "0.85", "9.35")
    with pytest.raises(errors.Error, match="no more lines"):
        story.client.invoices_v2.create_line_item(
            display_name="Late", currency="USD", quantity=1, unit_price=1, invoice_id=february.id
        )

    story.advance(clock_id, APRIL)
    assert _totals(story, subscription.id)[2] == ("PAID", "8.50", "0.85", "9.35")
    story.advance(clock_id, MAY)
    assert _totals(story, subscription.id)[3] == ("PAID", "49.00", "4.90", "53.90")
    proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr
