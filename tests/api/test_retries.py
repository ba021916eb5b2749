"""Trying a saved card again, over HTTP: each answer that the contract lists.

The collection itself is told in tests/scenario; here the card's outcome is handed to the route.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from activities.gateways.port import SavedCard
from activities.gateways.simulated import SimulatedGateway
from api.commands import PaymentResult
from api.workflow_calls import Unavailable
from api.workflow_starts import Collecting
from models.database import Database
from models.invoices import Invoice
from models.payments import PaymentAttempt
from tests.api.in_process import NOWHERE, InProcess, Shop, accepted, away, gateway_of

Client = httpx2.AsyncClient
START = "2026-01-01T00:00:00Z"
ISSUED = "2026-02-01T00:00:00Z"
DECLINED = PaymentResult("failed", "insufficient_funds", "Not enough money", "att_1")
PAID = PaymentResult("succeeded", attempt_id="att_1")


class Retrying(InProcess):
    """Commands whose collection answers as it is told; a silent one leaves its attempt pending."""

    result = PAID
    is_silent = False
    comes_first: str | None = None
    """What the invoice becomes before the collection is asked."""

    async def retry_payment(self, collecting: Collecting) -> PaymentResult:
        await self._come_first(collecting)
        if self.is_silent:
            async with self.database.transaction() as session:
                session.add(_attempt(collecting, "pending"))
            raise Unavailable("Nobody worked on it in time")
        return self.result

    async def mark_paid(self, collecting: Collecting, reason: str | None) -> PaymentResult:
        del reason
        await self._come_first(collecting)
        return PaymentResult("not_payable")

    async def _come_first(self, collecting: Collecting) -> None:
        if self.comes_first is None:
            return
        async with self.database.transaction() as session:
            rows = await session.exec(select(Invoice).where(Invoice.id == collecting.collection_id))
            rows.one().status = self.comes_first


def _attempt(collecting: Collecting, status: str) -> PaymentAttempt:
    assert collecting.clock_now is not None
    return PaymentAttempt(
        id=f"att_{collecting.collection_id[4:]}",
        merchant_id=collecting.merchant_id,
        collection_id=collecting.collection_id,
        number=1,
        status=status,
        origin="automatic",
        amount=Decimal(31),
        currency="USD",
        gateway_method_id="gpm_1",
        attempted_at=collecting.clock_now,
    )


@dataclass
class Owed:
    """31.00 of January in arrears, issued and unpaid, collected from a saved card."""

    shop: Shop
    client: Client
    commands: Retrying
    id: str = ""
    clock: str = ""
    subscription: str = ""

    async def open(self, *, with_card: bool = True, **members: Any) -> "Owed":
        fee = await self.shop.fee_price(
            product := await self.shop.product(), "31.00", paymentTerm="in_arrears"
        )
        plan = await self.shop.plan(product, fee, defaultTaxRate=0)
        self.clock = await self.shop.clock(START)
        options = {"autoCharge": True, "startedAt": START, "testClockId": self.clock}
        made = await self.shop.subscribe(plan, **options | members)
        self.subscription = made["id"]
        if with_card:
            page = f"/v0/customers/{made['customerId']}/paymentMethods"
            opened = accepted(await self.client.post(page, json={}))
            card = SavedCard(
                payment_method_id="gpm_1", brand="visa", last4="4242", exp_month=12, exp_year=2040
            )
            merchant = self.shop.merchant_id
            await self.commands._payments.complete_setup(merchant, opened["id"], card)
        await self.at(ISSUED)
        self.id = await self.commands.close_period(self.shop.merchant_id, made["id"], 0)
        return self

    async def at(self, now: str) -> None:
        path = f"/v0/testClocks/{self.clock}"
        accepted(await self.client.patch(path, json={"currentTime": now}))

    async def retry(self) -> httpx2.Response:
        return await self.client.post(f"/v2/invoices/{self.id}/retryPayment", json={})

    async def refused(self, status: int, code: str) -> dict[str, Any]:
        answer = await self.retry()
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        assert (body["object"], body["success"]) == ("retry_payment_result", False)
        assert (body["invoiceId"], body["error"]["code"]) == (self.id, code)
        return body


@pytest.fixture
async def commands(database: Database, tmp_path: Path) -> AsyncIterator[Retrying]:
    opened = Retrying(database, await away(), gateway_of(tmp_path))
    yield opened
    await opened.close()


@pytest.fixture
async def owed(shop: Shop, living: Client, commands: Retrying) -> Owed:
    return Owed(shop, living, commands)


async def test_a_charge_that_succeeds(owed: Owed) -> None:
    await owed.open()
    assert accepted(await owed.retry()) == {
        "object": "retry_payment_result",
        "success": True,
        "invoiceId": owed.id,
        "paymentIntentId": "att_1",
    }


async def test_a_declined_card_is_named_by_its_code(owed: Owed) -> None:
    await owed.open()
    owed.commands.result = DECLINED
    body = await owed.refused(402, "insufficient_funds")
    assert body["error"] == {
        "message": "Not enough money",
        "type": "card_error",
        "code": "insufficient_funds",
        "declineCode": "insufficient_funds",
    }
    assert body["paymentIntentId"] == "att_1"


async def test_what_was_collected_in_the_meantime_succeeds(owed: Owed) -> None:
    """The automatic attempt was faster: the invoice is PAID, and nothing was charged twice."""
    await owed.open()
    owed.commands.result = PaymentResult("not_payable")
    await owed.refused(409, "session_unusable")
    owed.commands.comes_first = "PAID"
    assert accepted(await owed.retry())["success"] is True


async def test_a_charge_that_settles_later_and_the_next_try_beside_it(owed: Owed) -> None:
    await owed.open()
    owed.commands.is_silent = True
    body = await owed.refused(202, "processing")
    assert body["paymentIntentId"] == f"att_{owed.id[4:]}"
    await owed.refused(409, "concurrent_attempt")


async def test_one_try_a_minute(owed: Owed) -> None:
    await owed.open()
    owed.commands.result = PaymentResult("too_soon")
    answer = await owed.retry()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert "retry_payment_result" not in answer.text


async def test_no_card_and_a_provider_that_fails(owed: Owed) -> None:
    await owed.open()
    owed.commands.result = PaymentResult("no_payment_method")
    await owed.refused(422, "no_payment_method")
    owed.commands.result = PaymentResult("failed", "gateway_refusal", "Bad request", "att_1")
    await owed.refused(502, "provider_refused")
    owed.commands._gateway = SimulatedGateway(f"http://{NOWHERE}")
    await owed.refused(502, "provider_unavailable")


@pytest.mark.parametrize(
    ("with_card", "status", "code"),
    [(True, 409, "PAYMENT_SESSION_EXPIRED"), (False, 422, "no_payment_method")],
)
async def test_a_link_that_has_expired(owed: Owed, with_card: bool, status: int, code: str) -> None:
    """A link lives for 30 days; a new one takes its place, and the card can be tried again."""
    await owed.open(with_card=with_card)
    path = f"/v2/invoices/{owed.id}/payment"
    accepted(await owed.client.post(path, json={"method": "hosted_link"}))
    await owed.at("2026-03-02T23:59:59Z")
    assert (await owed.retry()).status_code == 200
    await owed.at("2026-03-03T00:00:00Z")
    await owed.refused(status, code)
    accepted(await owed.client.post(path, json={"method": "hosted_link"}))
    assert (await owed.retry()).status_code == 200


async def test_what_is_not_collected_is_not_tried(owed: Owed) -> None:
    """400 without automatic charge and for what is not owed yet; an unknown one is 404."""
    await owed.open(autoCharge=False)
    refused = await owed.retry()
    assert (refused.status_code, refused.json()["code"]) == (400, "NOT_RETRYABLE")
    query = {"subscriptionId": owed.subscription, "status": "ACTIVE"}
    (running,) = accepted(await owed.client.get("/v2/invoices", params=query))["data"]
    path = f"/v2/invoices/{running['id']}/retryPayment"
    assert (await owed.client.post(path, json={})).status_code == 400
    unknown = await owed.client.post("/v2/invoices/inv_0/retryPayment", json={})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("status", "code"), [("PAID", "PAYMENT_ALREADY_COMPLETED"), ("WRITTEN_OFF", "CONFLICT")]
)
async def test_a_transfer_that_comes_too_late_is_told_why(
    owed: Owed, status: str, code: str
) -> None:
    """Only what is paid is called paid: what was given up meanwhile is not."""
    await owed.open()
    owed.commands.comes_first = status
    path = f"/v2/invoices/{owed.id}/payment"
    answer = await owed.client.post(path, json={"method": "out_of_band"})
    assert (answer.status_code, answer.json()["code"]) == (409, code)
