"""Billing version 0 on real servers: a wallet filled by invoices, uses paid from it or from holds.

The wire is spoken plainly: the current client no longer has these operations.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import psycopg

from local.story import Numbers, Story
from tests.scenario.conftest import Addresses, durabill

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
NANO = 10**9


class Wire:
    """The API as a merchant's script sees it."""

    def __init__(self, story: Story, addresses: Addresses, api_key: str) -> None:
        self.story = story
        self.merchant_id = story.merchant_id
        self._client = httpx2.Client(
            base_url=addresses["apiUrl"],
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=30,
        )

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._client.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    def refusal(self, path: str, **body: Any) -> tuple[int, str]:
        answer = self._client.post(path, json=body)
        return answer.status_code, answer.json().get("code", "")


class Prepaid:
    """A customer of a plan of version 0: 10.00 a month, and calls at 0.50 paid one by one."""

    def __init__(self, wire: Wire, clock_id: str) -> None:
        self.wire = wire
        merchant = {"merchantId": wire.merchant_id}
        product = wire.ask("POST", "/v0/products", name="Calls", description="Calls", **merchant)
        owned = {**merchant, "productId": product["id"], "description": "Calls"}
        metric = wire.ask(
            "POST", "/v0/billableMetrics", name="Calls", unit="call", aggregation="SUM",
            eventType="call.made", valueProperty="$.calls", **owned,
        )  # fmt: skip
        fee = wire.ask("POST", "/v0/fees", name="Line", **owned)
        self.metric_id, self.fee_id = metric["id"], fee["id"]
        call_price = wire.ask(
            "POST", "/v0/prices", billableMetricId=metric["id"], model="standard",
            properties={"unitPrice": "0.50"}, paymentTerm="instant", invoiceDisplayName="Calls",
        )  # fmt: skip
        fee_price = wire.ask(
            "POST", "/v0/prices", feeId=fee["id"], model="standard", billingCadence="P1M",
            properties={"unitPrice": "10.00"}, paymentTerm="in_advance", invoiceDisplayName="Line",
        )  # fmt: skip
        plan = wire.ask(
            "POST", "/v0/plans", name="Prepaid", currency="USD", billingVersion=0,
            defaultTaxRate=10, prices=[fee_price["id"], call_price["id"]],
            productId=product["id"], **merchant,
        )  # fmt: skip
        self.customer_id = wire.story.create_customer("Pre Paid")
        self.subscription = wire.ask(
            "POST", "/v0/subscriptions", name="Prepaid", planId=plan["id"],
            customerId=self.customer_id, startedAt=START.isoformat(), testClockId=clock_id,
            autoCharge=True, minimumAccountBalance="20",
        )  # fmt: skip

    def use(self, quantity: int, at: datetime, key: str, **members: Any) -> dict[str, Any]:
        return self._event(quantity, at, key) | members

    def charge(self, quantity: int, at: datetime, key: str, **members: Any) -> Any:
        return self.wire.ask("POST", "/v0/usage", **self.use(quantity, at, key, **members))

    def hold(self, quantity: int, **members: Any) -> Any:
        return self.wire.ask(
            "POST",
            "/v0/entitlements",
            merchantId=self.wire.merchant_id,
            customerId=self.customer_id,
            entitlementData=[{"billableMetricId": self.metric_id, "quantity": quantity}],
            **members,
        )

    def _event(self, quantity: int, at: datetime, key: str) -> dict[str, Any]:
        return {
            "idempotencyKey": key,
            "customerId": self.customer_id,
            "merchantId": self.wire.merchant_id,
            "timestamp": at.isoformat(),
            "properties": [{"billableMetricId": self.metric_id, "quantity": quantity}],
        }


def _wallet(addresses: Addresses, customer_id: str) -> Decimal:
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        row = connection.execute(
            "SELECT -balance FROM ledger_accounts WHERE owner_id = %s AND kind = %s",
            [customer_id, "customer_wallet"],
        ).fetchone()
    assert row is not None
    return Decimal(row[0])


def _held(addresses: Addresses, reservation_id: str) -> str:
    """The state of a hold, once its workflow has been told of it."""
    for _attempt in range(200):
        with psycopg.connect(addresses["databaseUrl"]) as connection:
            row = connection.execute(
                "SELECT r.status, m.ended_at FROM reservations r "
                "JOIN test_clock_members m ON m.workflow_id = 'reservation/' || r.id "
                "WHERE r.id = %s",
                [reservation_id],
            ).fetchone()
        assert row is not None
        if row[0] != "reserved":
            return str(row[0])
        time.sleep(0.05)
    raise TimeoutError("The hold is still reserved")


def test_a_wallet_is_filled_spent_and_filled_again(
    addresses: Addresses,
) -> None:
    """10.00 a month plus 1.00 tax; a wallet of at least 20.00; calls at 0.50 plus 0.05.

    31 January: 10.00 + 1.00 + 20.00 for the wallet = 31.00, paid on the hosted page.
    10 calls from the wallet: 5.50, left 14.50. A hold for 8 calls: 4.40, left 10.10; 6 of them
    used: 3.30, 1.10 come back: 11.20. A hold for 10 calls, 5.50, left 5.70; it expires: 11.20.
    One more use of 2 calls, 1.10, refunded after a dispute: 11.20.
    28 February: 10.00 + 1.00 + 8.80 to lift the wallet to 20.00 again = 19.80, by the saved card.
    """
    merchant = json.loads(
        durabill(addresses, "merchant", "create", "--name", "Story", "--json").stdout
    )
    story = Story({**addresses, **merchant}, Numbers(), lambda _step: None)
    wire = Wire(story, addresses, merchant["apiKey"])
    clock_id = story.create_clock()
    prepaid = Prepaid(wire, clock_id)
    payment = prepaid.subscription["payment"]
    assert prepaid.subscription["status"] == "pending_payment"
    assert payment["breakdown"]["walletCharge"] == "20.00"
    early = prepaid.use(1, START, "early")
    assert wire.refusal("/v0/usage", **early)[0] == 400
    assert "paid" in story.pay(payment["checkoutUrl"]).lower()
    story.await_status(prepaid.subscription["id"], "active")
    (first, _) = story.invoices(prepaid.subscription["id"])
    assert (first.subtotal, first.total_tax, first.grand_total) == ("30.00", "1.00", "31.00")
    assert _wallet(addresses, prepaid.customer_id) == 20

    event = prepaid.charge(10, START, "a")
    assert event["billing"]["totalAmount"] == 5_500_000_000
    assert prepaid.charge(10, START, "a")["id"] == event["id"]
    too_much = prepaid.use(27, START, "b")
    assert wire.refusal("/v0/usage", **too_much) == (400, "INSUFFICIENT_FUNDS")
    held = prepaid.hold(8)
    assert held["remainingBalance"] == str(10_100_000_000)
    prepaid.charge(6, START, "c", entitlementId=held["id"])
    assert _held(addresses, held["id"]) == "consumed"
    assert _wallet(addresses, prepaid.customer_id) == Decimal("11.2")
    lasting = prepaid.hold(10)
    assert lasting["remainingBalance"] == str(5_700_000_000)

    story.advance(clock_id, START + timedelta(hours=25))
    assert _held(addresses, lasting["id"]) == "expired"
    disputed = prepaid.charge(2, START + timedelta(hours=25), "d")
    dispute = wire.ask(
        "POST", "/v0/disputes", usageEventId=disputed["id"], message="We made no such calls"
    )
    wire.ask("POST", f"/v0/disputes/{dispute['id']}/accept", message="Right")
    assert wire.ask("GET", f"/v0/usage/{disputed['id']}")["refund"]["refundedAt"]
    assert _wallet(addresses, prepaid.customer_id) == Decimal("11.2")

    story.advance(clock_id, START + timedelta(days=30))
    second = story.invoices(prepaid.subscription["id"])[1]
    assert (second.status, second.grand_total) == ("PAID", "19.80")
    assert (second.subtotal, second.total_tax) == ("18.80", "1.00")
    assert _wallet(addresses, prepaid.customer_id) == 20
    price = wire.ask("GET", f"/v0/fees/{prepaid.fee_id}/price/{prepaid.subscription['id']}")
    assert (price["properties"], price["taxRate"]) == ({"unitPrice": "10.00"}, 10)
    assert durabill(addresses, "reconcile").returncode == 0
