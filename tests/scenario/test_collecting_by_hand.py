"""Collecting by hand, on real servers: paid past the provider, tried again, paid by a new link."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx2
import psycopg
import pytest
from paygentic_sdk import errors

from local.story import DECLINES_TWICE_CARD, PAYING_CARD, Numbers, Story, checkout_url
from tests.scenario.conftest import Addresses, StoryMaker, durabill

MARCH = datetime(2026, 3, 1, 9, tzinfo=UTC)
NEXT_DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def _balances(addresses: Addresses, merchant_id: str) -> dict[str, Decimal]:
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        rows = connection.execute(
            "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
            "JOIN ledger_accounts a ON a.id = e.account_id "
            "WHERE e.merchant_id = %s GROUP BY a.kind",
            [merchant_id],
        ).fetchall()
    return dict(rows)


def _reconciles(addresses: Addresses) -> None:
    proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr


def _attempts(addresses: Addresses, invoice_id: str) -> list[tuple[str, str]]:
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        return connection.execute(
            "SELECT origin, status FROM payment_attempts WHERE collection_id = %s ORDER BY number",
            [invoice_id],
        ).fetchall()


def _declined_in_march(story: Story) -> tuple[str, str]:
    """A clock and February's invoice of 53.90, whose card declined at the issue."""
    catalogue = story.set_up_catalogue()
    clock_id, customer_id = story.create_clock(), story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.save_card(customer_id, DECLINES_TWICE_CARD)
    story.advance(clock_id, MARCH)
    issued = story.invoices(subscription.id)[1]
    assert (issued.status, issued.grand_total) == ("ISSUED", "53.90")
    return clock_id, issued.id


def test_a_first_payment_past_the_provider(addresses: Addresses, tell_story: StoryMaker) -> None:
    """49.00 + 4.90 = 53.90 by bank transfer: the subscription is active, the provider has nothing.

    Booked: owed 53.90, received 53.90 outside, revenue 49.00, tax 4.90. A second time is refused.
    """
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    subscription = story.subscribe(catalogue, story.create_customer(), story.create_clock())
    page = checkout_url(subscription)
    invoice_id = story.invoices(subscription.id)[0].id
    paid = story.client.invoices_v2.record_invoice_payment(
        id=invoice_id, method="out_of_band", reason="Bank transfer of 31 January"
    )
    assert paid.method == "out_of_band"
    assert (paid.invoice.status, paid.invoice.paid_amount, paid.invoice.unpaid_amount) == (
        "PAID",
        "53.90",
        "0.00",
    )
    story.await_status(subscription.id, "active")
    with pytest.raises(errors.Error) as refused:
        story.client.invoices_v2.record_invoice_payment(id=invoice_id, method="out_of_band")
    assert (refused.value.status_code, refused.value.data.code) == (
        409,
        "PAYMENT_ALREADY_COMPLETED",
    )
    assert "paid" in httpx2.get(page).text.lower()
    assert _balances(addresses, story.merchant_id) == {
        "customer_receivable": Decimal(0),
        "external_clearing": Decimal("53.90"),
        "revenue": Decimal(-49),
        "tax_payable": Decimal("-4.90"),
    }
    _reconciles(addresses)


def test_another_try_that_succeeds(addresses: Addresses, tell_story: StoryMaker) -> None:
    """The card declines on 1 and 2 March; the merchant's own try on 2 March takes 53.90."""
    story = tell_story(Numbers())
    clock_id, invoice_id = _declined_in_march(story)
    story.advance(clock_id, NEXT_DAY)
    tried = story.client.invoices_v2.retry_invoice_payment(id=invoice_id, reason="Call with Ada")
    assert (tried.success, tried.invoice_id) == (True, invoice_id)
    assert tried.payment_intent_id is not None
    assert story.client.invoices_v2.get(id=invoice_id).status == "PAID"
    assert _attempts(addresses, invoice_id) == [
        ("automatic", "failed"),
        ("automatic", "failed"),
        ("retry", "succeeded"),
    ]
    with pytest.raises(errors.BadRequest, match="PAID is not collected"):
        story.client.invoices_v2.retry_invoice_payment(id=invoice_id)
    _reconciles(addresses)


def test_a_declined_try_and_a_new_link(addresses: Addresses, tell_story: StoryMaker) -> None:
    """The merchant's try declines (402), the next within a minute is refused (429).

    A new link replaces the old page, and there another card pays the 53.90. The merchant's try is
    none of dunning's: its next attempt stays on 2 March.
    """
    story = tell_story(Numbers())
    _clock_id, invoice_id = _declined_in_march(story)
    with pytest.raises(errors.RetryPaymentResponseError) as declined:
        story.client.invoices_v2.retry_invoice_payment(id=invoice_id)
    assert declined.value.status_code == 402
    assert declined.value.data.success is False
    assert declined.value.data.error is not None
    assert declined.value.data.error.decline_code
    with pytest.raises(errors.Error) as early:
        story.client.invoices_v2.retry_invoice_payment(id=invoice_id)
    assert early.value.status_code == 429
    before = story.client.invoices_v2.get(id=invoice_id)
    assert before.next_action_at == NEXT_DAY
    old_page = str(before.payment_url)
    linked = story.client.invoices_v2.record_invoice_payment(id=invoice_id, method="hosted_link")
    assert linked.method == "hosted_link"
    assert linked.invoice.payment_url == linked.payment_url != old_page
    assert httpx2.get(old_page).status_code == 410
    assert "paid" in story.pay(linked.payment_url, PAYING_CARD).lower()
    assert story.client.invoices_v2.get(id=invoice_id).status == "PAID"
    with pytest.raises(errors.UnprocessableEntityError) as late:
        story.client.invoices_v2.record_invoice_payment(id=invoice_id, method="hosted_link")
    assert late.value.data.code == "INVOICE_NOT_LINKABLE_STATUS"
    _reconciles(addresses)
