"""Refund transactions: one stands at a time, and it is booked once, however often it is run."""

import asyncio
from dataclasses import dataclass

import pytest
from temporalio.testing import ActivityEnvironment

from activities.organizations import CreatedMerchant
from activities.payment_attempts import AttemptRef, BeginAttempt, RecordAttempt
from activities.payment_settlements import SettleOutside
from activities.payments import PaymentActivities
from activities.refunds import (
    CreateRefund,
    InvoiceRefunded,
    NotPaid,
    RefundActivities,
    RefundInProgress,
    RefundRef,
    RefundVoided,
    SettleRefund,
    VoidRefund,
)
from activities.subscriptions import SubscriptionActivities
from billing.ids import derived_id
from models.database import Database
from models.queries import invoices, ledger, overdue, payments, refunds
from models.refunds import Refund
from tests.activity.fake_gateway import BookGateway
from tests.activity.rows import CARD, START, open_shop


@dataclass
class Desk:
    """A first invoice and what may be done with it."""

    database: Database
    merchant_id: str
    invoice_id: str
    gateway: BookGateway

    @property
    def activities(self) -> RefundActivities:
        return RefundActivities(self.database, self.gateway)

    async def pay(self) -> None:
        till = PaymentActivities(self.database, self.gateway)
        begun = await till.begin_attempt(
            BeginAttempt(
                merchant_id=self.merchant_id,
                collection_id=self.invoice_id,
                number=1,
                now=START,
                card=CARD,
            )
        )
        assert begun.attempt_id is not None
        ref = AttemptRef(merchant_id=self.merchant_id, attempt_id=begun.attempt_id)
        outcome = await ActivityEnvironment().run(till.charge, ref)
        await till.record_attempt(
            RecordAttempt(
                merchant_id=self.merchant_id,
                collection_id=self.invoice_id,
                attempt_id=ref.attempt_id,
                outcome=outcome,
                now=START,
            )
        )

    async def create(self) -> str:
        return await self.activities.create_refund(
            CreateRefund(merchant_id=self.merchant_id, invoice_id=self.invoice_id, now=START)
        )

    async def settle(self, refund_id: str, refusal: str | None = None) -> str:
        return await self.activities.settle_refund(
            SettleRefund(
                merchant_id=self.merchant_id,
                refund_id=refund_id,
                gateway_refund_id=None if refusal else "re_1",
                refusal=refusal,
            )
        )

    async def void(self, refund_id: str) -> None:
        await self.activities.void_refund(
            VoidRefund(
                merchant_id=self.merchant_id,
                invoice_id=self.invoice_id,
                refund_id=refund_id,
                now=START,
            )
        )

    async def row(self, refund_id: str) -> Refund:
        async with self.database.transaction() as session:
            found = await refunds.get(session, self.merchant_id, refund_id)
            assert found is not None
            return found

    async def is_booked(self, refund_id: str, kind: str = "refund_paid") -> bool:
        async with self.database.transaction() as session:
            return await ledger.is_posted(
                session, self.merchant_id, derived_id("ltr", refund_id, kind)
            )

    async def is_owed(self, refund_id: str) -> bool:
        async with self.database.transaction() as session:
            name = f"refund/{refund_id}"
            return await overdue.start_of(session, self.merchant_id, name) is not None


@pytest.fixture
async def desk(database: Database, merchant: CreatedMerchant) -> Desk:
    """An unpaid first invoice of 53.90."""
    shop = await open_shop(database, merchant.merchant_id)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    async with database.transaction() as session:
        first = await invoices.first_of(session, shop.merchant_id, made.subscription_id)
        assert first is not None
    return Desk(database, shop.merchant_id, first.id, BookGateway())


async def test_only_arrived_money_goes_back(desk: Desk) -> None:
    with pytest.raises(NotPaid):
        await desk.create()


async def test_of_many_at_once_one_stands(desk: Desk) -> None:
    await desk.pay()
    answers = await asyncio.gather(*(desk.create() for _ in range(4)), return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, str)]
    assert len(made) == 1
    assert sum(isinstance(answer, InvoiceRefunded) for answer in answers) == 3
    assert (await desk.row(made[0])).gateway_charge_id == "ch_0"
    assert await desk.is_owed(made[0])
    assert not await desk.is_booked(made[0])


async def test_it_is_settled_once(desk: Desk) -> None:
    await desk.pay()
    refund_id = await desk.create()
    with pytest.raises(RefundInProgress):
        await desk.void(refund_id)
    ref = RefundRef(merchant_id=desk.merchant_id, refund_id=refund_id)
    assert await desk.activities.give_back(ref) == f"re_{refund_id}"
    assert await asyncio.gather(*(desk.settle(refund_id) for _ in range(3))) == ["ISSUED"] * 3
    assert await desk.is_booked(refund_id)
    assert not await desk.is_owed(refund_id)
    await desk.void(refund_id)
    assert await desk.is_booked(refund_id, "refund_voided")
    with pytest.raises(RefundVoided):
        await desk.void(refund_id)
    again = await desk.row(await desk.create())
    assert (again.gateway_charge_id, again.till) == (None, "external_clearing")
    assert again.settled_at == START


async def test_a_refusal_for_good_voids_and_books_nothing(desk: Desk) -> None:
    await desk.pay()
    refund_id = await desk.create()
    assert await desk.settle(refund_id, refusal="The charge is disputed") == "VOIDED"
    row = await desk.row(refund_id)
    assert (row.status, row.void_reason) == ("VOIDED", "The charge is disputed")
    assert not await desk.is_booked(refund_id)
    assert (await desk.row(await desk.create())).gateway_charge_id == "ch_0"


async def test_money_past_the_provider_is_settled_once(desk: Desk) -> None:
    till = PaymentActivities(desk.database, desk.gateway)
    command = SettleOutside(
        merchant_id=desk.merchant_id, invoice_id=desk.invoice_id, number=1, now=START, reason="Cash"
    )
    answers = [await till.settle_outside(command) for _ in range(2)]
    assert [answer.settled for answer in answers] == [True, True]
    async with desk.database.transaction() as session:
        made = await payments.attempts_of(session, desk.merchant_id, desk.invoice_id)
        invoice = await invoices.get(session, desk.merchant_id, desk.invoice_id)
    assert [(each.origin, each.message) for each in made] == [("out_of_band", "Cash")]
    assert invoice is not None
    assert (invoice.status, invoice.paid_amount) == ("PAID", invoice.grand_total)
    assert (await desk.row(await desk.create())).till == "external_clearing"
