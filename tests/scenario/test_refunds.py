"""Refunds on real servers: money back once, booked once, out of revenue, and voidable."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from paygentic_sdk import errors

from local.story import Numbers, Story, checkout_url
from tests.scenario.conftest import Addresses, StoryMaker, durabill

APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def _balances(addresses: Addresses, merchant_id: str) -> dict[str, Decimal]:
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        rows = connection.execute(
            "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
            "JOIN ledger_accounts a ON a.id = e.account_id "
            "WHERE e.merchant_id = %s GROUP BY a.kind",
            [merchant_id],
        ).fetchall()
    return dict(rows)


def _await_settled(addresses: Addresses, refund_id: str) -> None:
    """Seconds at most: nobody is told yet when the provider has confirmed a refund."""
    with psycopg.connect(addresses["databaseUrl"], autocommit=True) as connection:
        for _attempt in range(200):
            row = connection.execute(
                "SELECT settled_at FROM refunds WHERE id = %s", [refund_id]
            ).fetchone()
            if row is not None and row[0] is not None:
                return
            time.sleep(0.05)
    raise TimeoutError(f"{refund_id} is not settled")


def _net_revenue(story: Story) -> tuple[str, str, float]:
    report = story.client.revenue.get(start_time=story.numbers.start, end_time=APRIL)
    assert report.net_revenue is not None
    assert report.total_refunds is not None
    assert report.refund_count is not None
    assert sum(Decimal(each.revenue) for each in report.trend or []) == Decimal(report.net_revenue)
    return report.net_revenue, report.total_refunds, report.refund_count


def _reconciles(addresses: Addresses) -> None:
    proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr


def _pending(story: Story) -> tuple[str, str, str]:
    """A first invoice of 49.00 + 4.90 = 53.90: the subscription, the invoice, the page."""
    catalogue = story.set_up_catalogue()
    subscription = story.subscribe(catalogue, story.create_customer(), story.create_clock())
    return subscription.id, story.invoices(subscription.id)[0].id, checkout_url(subscription)


def test_a_refund_its_void_and_a_second_refund(
    addresses: Addresses, tell_story: StoryMaker
) -> None:
    """53.90 is paid by card, given back, taken back, and given back once more.

    Paid: provider +53.90. Refunded: provider 0, refunds 49.00, tax 0; net revenue 49 - 49 = 0.
    Voided: the money is with the merchant, outside +53.90, refunds 0, tax -4.90; net revenue 49.
    Refunded again: the charge is spent, so the merchant pays: outside 0; net revenue 0.
    """
    story = tell_story(Numbers())
    subscription_id, invoice_id, page = _pending(story)
    with pytest.raises(errors.BadRequest, match="money has arrived"):
        story.client.invoices_v2.create_invoice_refund(id=invoice_id)
    story.pay(page)
    story.await_status(subscription_id, "active")
    assert _net_revenue(story) == ("49.00", "0.00", 0)

    made = story.client.invoices_v2.create_invoice_refund(id=invoice_id, reason="Unhappy")
    assert (made.status, made.amount, made.tax_amount, made.total, made.reason) == (
        "ISSUED",
        "49.00",
        "4.90",
        "53.90",
        "Unhappy",
    )
    assert made.created_at == story.numbers.start
    assert made.id.startswith("crn_")
    assert story.client.invoices_v2.get(id=invoice_id).status == "PAID"
    with pytest.raises(errors.BadRequest, match="refunded already"):
        story.client.invoices_v2.create_invoice_refund(id=invoice_id)
    _await_settled(addresses, made.id)
    assert _balances(addresses, story.merchant_id) == {
        "customer_receivable": Decimal(0),
        "processor_clearing": Decimal(0),
        "revenue": Decimal(-49),
        "refunds": Decimal(49),
        "tax_payable": Decimal(0),
    }
    assert _net_revenue(story) == ("0.00", "49.00", 1)
    _reconciles(addresses)

    voided = story.client.invoices_v2.void_invoice_refund(
        id=invoice_id, refund_id=made.id, reason="Sent back"
    )
    assert (voided.status, voided.voided_at) == ("VOIDED", story.numbers.start)
    with pytest.raises(errors.BadRequest, match="voided already"):
        story.client.invoices_v2.void_invoice_refund(id=invoice_id, refund_id=made.id)
    assert _net_revenue(story) == ("49.00", "0.00", 0)
    assert _balances(addresses, story.merchant_id) == {
        "customer_receivable": Decimal(0),
        "processor_clearing": Decimal(0),
        "external_clearing": Decimal("53.90"),
        "revenue": Decimal(-49),
        "refunds": Decimal(0),
        "tax_payable": Decimal("-4.90"),
    }
    _reconciles(addresses)

    again = story.client.invoices_v2.create_invoice_refund(id=invoice_id)
    listed = story.client.invoices_v2.list_invoice_refunds(id=invoice_id).data
    assert [(each.id, each.status) for each in listed] == [
        (again.id, "ISSUED"),
        (made.id, "VOIDED"),
    ]
    balances = _balances(addresses, story.merchant_id)
    assert balances["external_clearing"] == 0
    assert balances["refunds"] == 49
    assert _net_revenue(story) == ("0.00", "49.00", 1)
    _reconciles(addresses)


def test_money_past_the_provider_goes_back_past_it(
    addresses: Addresses, tell_story: StoryMaker
) -> None:
    """53.90 by bank transfer and back: the provider is never asked, outside stands at 0."""
    story = tell_story(Numbers())
    _subscription_id, invoice_id, _page = _pending(story)
    story.client.invoices_v2.record_invoice_payment(id=invoice_id, method="out_of_band")
    story.client.invoices_v2.create_invoice_refund(id=invoice_id)
    assert _balances(addresses, story.merchant_id) == {
        "customer_receivable": Decimal(0),
        "external_clearing": Decimal(0),
        "revenue": Decimal(-49),
        "refunds": Decimal(49),
        "tax_payable": Decimal(0),
    }
    _reconciles(addresses)
