"""What an ended subscription could not give back: owed to its customer, and settled by people."""

from decimal import Decimal
from typing import Any

import httpx2
import pytest
from sqlmodel import col, select

from activities.invoices import DraftInvoice, InvoiceActivities
from models.database import Database
from models.invoices import InvoiceLine
from models.ledger import LedgerAccount, LedgerEntry
from models.queries import reconciliation
from tests.api import by_hand
from tests.api.in_process import InProcess, Shop, accepted

Client = httpx2.AsyncClient
START = "2026-01-01T00:00:00Z"
ENDED = "2026-01-16T12:00:00Z"


class Ended:
    """A rent of 62.00 a month in arrears with 10 % on top, ended at noon on 16 January: 31.00."""

    def __init__(
        self, shop: Shop, client: Client, operator: Client, commands: InProcess, database: Database
    ) -> None:
        self.shop, self.client, self.operator = shop, client, operator
        self.commands, self.database = commands, database
        self.id = self.customer = self.clock = self.product = self.plan = ""

    async def open(self) -> "Ended":
        self.product = await self.shop.product()
        fee = await self.shop.fee_price(self.product, "62.00", paymentTerm="in_arrears")
        self.plan = await self.shop.plan(self.product, fee)
        self.clock = await self.shop.clock(START)
        made = await self.shop.subscribe(self.plan, startedAt=START, testClockId=self.clock)
        self.id, self.customer = made["id"], made["customerId"]
        return self

    async def write(self, price: float) -> str:
        line = {"displayName": "Goodwill", "currency": "USD", "quantity": 1, "unitPrice": price}
        made = await self.client.post(
            "/v2/invoices/lineItems", json={**line, "subscriptionId": self.id}
        )
        return str(accepted(made)["id"])

    async def end(self) -> str:
        """Ends it and issues its last invoice; the invoice's id."""
        path = f"/v0/testClocks/{self.clock}"
        accepted(await self.client.patch(path, json={"currentTime": ENDED}))
        path = f"/v0/subscriptions/{self.id}/termination"
        accepted(await self.client.post(path, json={"reason": "Enough"}))
        (last,) = await self.invoices(self.id)
        await self.commands.issue(self.shop.merchant_id, last["id"], by_hand.instant(ENDED))
        return str(last["id"])

    async def invoices(self, subscription_id: str) -> list[Any]:
        query = {"subscriptionId": subscription_id}
        found: list[Any] = accepted(await self.client.get("/v2/invoices", params=query))["data"]
        return found

    async def other(self, **plan: Any) -> str:
        """Another subscription of the same customer, of a plan of its own."""
        fee = await self.shop.fee_price(self.product, "99.00", paymentTerm="in_arrears")
        made = await self.shop.post(
            "/v0/subscriptions",
            name="Other",
            planId=await self.shop.plan(self.product, fee, **plan),
            customerId=self.customer,
            startedAt=ENDED,
            testClockId=self.clock,
        )
        return str(made["id"])

    async def credits(self, **narrowed: str) -> list[Any]:
        query = {"subscriptionId": self.id} | narrowed
        found = await self.operator.get("/internal/v1/credits", params=query)
        rows: list[Any] = accepted(found)["data"]
        return rows

    async def settle(self, credit: Any, action: str, **body: str) -> httpx2.Response:
        return await self.operator.post(f"/internal/v1/credits/{credit['id']}/{action}", json=body)

    async def booked(self) -> dict[str, Decimal]:
        """What stands on each of the merchant's accounts and the customer's, debits positive."""
        async with self.database.transaction() as session:
            rows = await session.exec(
                select(col(LedgerAccount.kind), col(LedgerEntry.amount))
                .join(LedgerEntry, col(LedgerEntry.account_id) == col(LedgerAccount.id))
                .where(LedgerAccount.merchant_id == self.shop.merchant_id)
            )
            sums: dict[str, Decimal] = {}
            for kind, amount in rows:
                sums[kind] = sums.get(kind, Decimal(0)) + amount
            return {kind: amount for kind, amount in sums.items() if amount}

    async def reconciles(self) -> bool:
        async with self.database.transaction() as session:
            wrong = await reconciliation.wrong_credit(session)
            lost = await reconciliation.unowed_rests(session)
        cents = [row for row in lost if row[3] >= Decimal("0.01")]
        return wrong is None and self.id not in [row[0] for row in cents]


@pytest.fixture
async def ended(
    shop: Shop, living: Client, operator: Client, commands: InProcess, database: Database
) -> Ended:
    return await Ended(shop, living, operator, commands, database).open()


OWED = {
    "revenue": Decimal(49), "tax_payable": Decimal("4.9"), "customer_credit": Decimal("-53.9"),
}  # fmt: skip


async def test_the_rest_behind_the_last_invoice_is_owed(ended: Ended) -> None:
    """80.00 against 31.00: 49.00 are left, 53.90 with tax; the invoice itself came to nothing."""
    line = await ended.write(-80)
    invoice = await ended.end()
    (credit,) = await ended.credits(status="standing", customerId=ended.customer)
    assert credit["rest"] == "49"
    assert (credit["subtotal"], credit["tax"], credit["total"]) == ("49.00", "4.90", "53.90")
    assert (credit["displayName"], credit["invoiceId"]) == ("Goodwill", invoice)
    assert (credit["arisenAt"], credit["settledAt"]) == (ENDED, None)
    assert credit["lineId"] != line
    assert await ended.booked() == OWED
    assert await ended.reconciles()
    await ended.commands.issue(ended.shop.merchant_id, invoice, by_hand.instant(ENDED))
    assert await ended.credits() == [credit]
    assert await ended.booked() == OWED


async def test_what_an_invoice_bears_leaves_no_credit(ended: Ended) -> None:
    await ended.write(-31)
    await ended.end()
    assert await ended.credits() == []


async def test_less_than_a_cent_is_owed_to_nobody(ended: Ended) -> None:
    await ended.write(-31.004)
    await ended.end()
    assert await ended.credits() == []
    assert await ended.reconciles()


async def test_a_cut_correction_is_owed_too(ended: Ended) -> None:
    """Late usage that should have given back 12.00 more than the last invoice could bear."""
    path = f"/v0/testClocks/{ended.clock}"
    accepted(await ended.client.patch(path, json={"currentTime": ENDED}))
    accepted(
        await ended.client.post(
            f"/v0/subscriptions/{ended.id}/termination", json={"reason": "Enough"}
        )
    )
    (last,) = await ended.invoices(ended.id)
    ref = DraftInvoice(
        merchant_id=ended.shop.merchant_id, invoice_id=last["id"], now=by_hand.instant(ENDED)
    )
    await InvoiceActivities(ended.database).draft_invoice(ref)
    async with ended.database.transaction() as session:
        rows = await session.exec(select(InvoiceLine).where(InvoiceLine.invoice_id == last["id"]))
        rows.one().carried = Decimal(-12)
    await InvoiceActivities(ended.database).finalize_invoice(ref)
    (credit,) = await ended.credits()
    assert (credit["rest"], credit["total"]) == ("12", "13.20")
    assert await ended.reconciles()


async def test_a_credit_is_paid_out_once(ended: Ended) -> None:
    await ended.write(-80)
    await ended.end()
    (credit,) = await ended.credits()
    paid = accepted(await ended.settle(credit, "payout", reason="Transfer 7"))
    assert (paid["status"], paid["reason"], paid["settledAt"]) == ("paid_out", "Transfer 7", ENDED)
    assert accepted(await ended.settle(credit, "payout", reason="Again")) == paid
    assert await ended.booked() == {
        "revenue": Decimal(49),
        "tax_payable": Decimal("4.9"),
        "external_clearing": Decimal("-53.9"),
    }
    other = await ended.other()
    for action, body in (("waiver", {"reason": "x"}), ("move", {"subscriptionId": other})):
        refused = await ended.settle(credit, action, **body)
        assert (refused.status_code, refused.json()["code"]) == (409, "CREDIT_SETTLED")
    assert await ended.credits(status="standing") == []
    assert await ended.reconciles()


async def test_a_waived_credit_is_owed_no_more(ended: Ended) -> None:
    await ended.write(-80)
    await ended.end()
    (credit,) = await ended.credits()
    waived = accepted(await ended.settle(credit, "waiver", reason="Was for loyalty"))
    assert (waived["status"], waived["reason"]) == ("waived", "Was for loyalty")
    assert await ended.booked() == {}
    assert await ended.reconciles()


async def test_another_subscription_gives_a_moved_credit_back(ended: Ended) -> None:
    """99.00 a month beside it, from noon on 16 January: less 49.00 it is 50.00 + 5.00."""
    await ended.write(-80)
    await ended.end()
    (credit,) = await ended.credits()
    other = await ended.other()
    moved = accepted(await ended.settle(credit, "move", subscriptionId=other))
    assert moved["status"] == "moved"
    assert accepted(await ended.settle(credit, "move", subscriptionId=other)) == moved
    assert await ended.booked() == {}
    (running,) = await ended.invoices(other)
    assert (running["subtotal"], running["totalTax"]) == ("50.00", "5.00")
    query = {"subscriptionId": other, "status": "pending"}
    found = accepted(await ended.client.get("/v2/invoices/lineItems", params=query))["data"]
    assert moved["movedTo"] in [line["id"] for line in found]
    third = await ended.settle(credit, "move", subscriptionId=await ended.other())
    assert third.json()["code"] == "CREDIT_SETTLED"
    assert await ended.reconciles()


async def test_a_credit_keeps_its_worth(ended: Ended, shop: Shop) -> None:
    await ended.write(-80)
    await ended.end()
    (credit,) = await ended.credits()
    strangers = await shop.subscribe(ended.plan, startedAt=ENDED, testClockId=ended.clock)
    untaxed = await ended.other(defaultTaxRate=0)
    for target in (strangers["id"], untaxed, ended.id):
        refused = await ended.settle(credit, "move", subscriptionId=target)
        assert (refused.status_code, refused.json()["code"]) == (409, "CREDIT_NOT_MOVABLE")
    assert await ended.credits() == [credit]
    missing = await ended.settle(credit, "move", subscriptionId="sub_0")
    assert missing.status_code == 404


async def test_only_the_operator_settles(ended: Ended) -> None:
    headers = {"Authorization": ended.client.headers["Authorization"]}
    asked = await ended.operator.get("/internal/v1/credits", headers=headers)
    assert asked.status_code == 401
    answer = await ended.settle({"id": "ccr_0"}, "payout", reason="x")
    assert answer.status_code == 404
