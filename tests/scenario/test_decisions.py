"""What an operator decides, on real servers: a draft is approved, an invoice is written off."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import psycopg
import pytest

from local.story import DECLINES_TWICE_CARD, Numbers, Story, checkout_url
from tests.scenario.conftest import Addresses, StoryMaker, durabill

MARCH = datetime(2026, 3, 1, 9, tzinfo=UTC)


def _decide(addresses: Addresses, path: str, **body: Any) -> httpx2.Response:
    return httpx2.request(
        "PATCH" if path.startswith("merchants/") else "POST",
        f"{addresses['apiUrl']}/internal/v1/{path}",
        json=body or None,
        headers={"Authorization": f"Bearer {addresses['adminKey']}"},
        timeout=60,
    )


def _february(
    story: Story, before_the_payment: Callable[[], object] = lambda: None
) -> tuple[str, str, str]:
    """A clock on 1 March, and a paid-up customer's second invoice of 53.90."""
    catalogue = story.set_up_catalogue()
    clock_id, customer_id = story.create_clock(), story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    before_the_payment()
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.save_card(customer_id, DECLINES_TWICE_CARD)
    story.advance(clock_id, MARCH)
    return clock_id, customer_id, story.invoices(subscription.id)[1].id


def _books(addresses: Addresses, merchant_id: str) -> dict[str, Decimal]:
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        rows = connection.execute(
            "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
            "JOIN ledger_accounts a ON a.id = e.account_id "
            "WHERE e.merchant_id = %s GROUP BY a.kind",
            [merchant_id],
        ).fetchall()
    proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    return dict(rows)


def test_a_draft_waits_until_it_is_approved(addresses: Addresses, tell_story: StoryMaker) -> None:
    """49.00 + 4.90 stand as a draft, without a number; approved, they are issued and charged."""
    story = tell_story(Numbers())

    def ask_from_now_on() -> None:
        changed = _decide(addresses, f"merchants/{story.merchant_id}", autoApprove=False)
        assert changed.json()["autoApprove"] is False

    clock_id, _customer_id, invoice_id = _february(story, ask_from_now_on)
    draft = story.client.invoices_v2.get(id=invoice_id)
    assert (draft.status, draft.grand_total, draft.invoice_number) == ("DRAFT", "53.90", None)
    assert draft.pdf_url is None
    approved = _decide(addresses, f"invoices/{invoice_id}/approval")
    assert approved.status_code == 200, approved.text
    assert approved.json()["invoiceNumber"] == "INV-2026-03-001"
    again = _decide(addresses, f"invoices/{invoice_id}/approval")
    assert again.json()["invoiceNumber"] == "INV-2026-03-001"
    # Dunning's card pays with its third try.
    story.advance(clock_id, datetime(2026, 3, 6, 9, tzinfo=UTC))
    assert story.client.invoices_v2.get(id=invoice_id).status == "PAID"
    open_ones = story.client.invoices_v2.list(request={"status": "ACTIVE"}).data
    refused = _decide(addresses, f"invoices/{open_ones[0].id}/approval")
    assert (refused.status_code, refused.json()["code"]) == (409, "INVOICE_NOT_APPROVABLE")
    assert _books(addresses, story.merchant_id)["customer_receivable"] == 0


def test_an_invoice_is_written_off(addresses: Addresses, tell_story: StoryMaker) -> None:
    """53.90 are given up after the first decline: no further charge, the page is closed.

    Booked: lost 53.90; revenue of both invoices 98.00 and tax 9.80; the first 53.90 received.
    """
    story = tell_story(Numbers())
    clock_id, _customer_id, invoice_id = _february(story)
    owed = story.client.invoices_v2.get(id=invoice_id)
    assert owed.status == "ISSUED"
    for wrong in ({}, {"reason": ""}, {"reason": "x", "amount": "1"}):
        refused = _decide(addresses, f"invoices/{invoice_id}/writeOff", **wrong)
        assert refused.status_code == 400
    path = f"invoices/{invoice_id}/writeOff"
    written_off = _decide(addresses, path, reason="Bankrupt")
    assert written_off.status_code == 200, written_off.text
    body = written_off.json()
    assert (body["status"], body["unpaidAmount"], body["nextActionAt"]) == (
        "WRITTEN_OFF",
        "0.00",
        None,
    )
    assert _decide(addresses, path, reason="Bankrupt").json()["status"] == "WRITTEN_OFF"
    assert httpx2.get(str(owed.payment_url)).status_code == 410
    told = httpx2.get(
        f"{addresses['apiUrl']}/internal/v1/auditEvents",
        params={"objectId": invoice_id, "limit": 100},
        headers={"Authorization": f"Bearer {addresses['adminKey']}"},
    ).json()["data"]
    (change,) = [row for row in told if (row["after"] or {}).get("status") == "WRITTEN_OFF"]
    assert change["before"]["status"] == "ISSUED"
    assert change["after"]["writeOffReason"] == "Bankrupt"
    story.advance(clock_id, MARCH.replace(day=20))
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        attempts = connection.execute(
            "SELECT status FROM payment_attempts WHERE collection_id = %s", [invoice_id]
        ).fetchall()
    assert attempts == [("failed",)]
    assert _books(addresses, story.merchant_id) == {
        "customer_receivable": Decimal(0),
        "processor_clearing": Decimal("53.90"),
        "revenue": Decimal("-98.00"),
        "tax_payable": Decimal("-9.80"),
        "write_off": Decimal("53.90"),
    }


def test_what_is_not_owed_is_not_written_off(addresses: Addresses, tell_story: StoryMaker) -> None:
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    pending = story.subscribe(catalogue, story.create_customer(), story.create_clock())
    first = story.invoices(pending.id)[0].id
    path = f"invoices/{first}/writeOff"
    refused = _decide(addresses, path, reason="No")
    assert (refused.status_code, refused.json()["code"]) == (409, "INVOICE_NOT_OWED")
    assert "terminate" in refused.json()["message"]
    story.pay(checkout_url(pending))
    story.await_status(pending.id, "active")
    refused = _decide(addresses, path, reason="No")
    assert (refused.status_code, refused.json()["code"]) == (409, "INVOICE_NOT_OWED")
    for action in ("writeOff", "approval"):
        assert _decide(addresses, f"invoices/inv_0/{action}", reason="x").status_code == 404


@pytest.mark.parametrize("action", ["approval", "writeOff"])
def test_only_the_operator_decides(addresses: Addresses, action: str) -> None:
    answer = httpx2.post(
        f"{addresses['apiUrl']}/internal/v1/invoices/inv_0/{action}",
        json={"reason": "x"},
        headers={"Authorization": f"Bearer {addresses['apiKey']}"},
    )
    assert answer.status_code == 401
