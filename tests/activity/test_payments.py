"""Payment transactions: an attempt charges once, a success is booked once."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.testing import ActivityEnvironment

from activities.organizations import CreatedMerchant
from activities.payment_attempts import AttemptRef, BeginAttempt, RecordAttempt, RecordedAttempt
from activities.payment_collections import OpenCollection
from activities.payment_pages import CreatePayment
from activities.payments import PaymentActivities
from activities.subscriptions import SubscriptionActivities, SubscriptionRef
from billing.durations import parse_duration
from billing.errors import Conflict, NotFound
from models.database import Database
from models.invoices import Invoice
from models.queries import invoices, payments
from tests.activity.fake_gateway import BookGateway
from tests.activity.rows import CARD, START, Shop, open_shop


@dataclass
class Till:
    """An issued first invoice and what may be done with it."""

    database: Database
    shop: Shop
    gateway: BookGateway
    invoice_id: str
    subscription_id: str

    @property
    def activities(self) -> PaymentActivities:
        return PaymentActivities(self.database, self.gateway)

    async def begin(self, number: int = 1, *, with_card: bool = True) -> str | None:
        begun = await self.activities.begin_attempt(
            BeginAttempt(
                merchant_id=self.shop.merchant_id,
                collection_id=self.invoice_id,
                number=number,
                now=START,
                card=CARD if with_card else None,
            )
        )
        return begun.attempt_id

    async def charge_and_record(self, attempt_id: str) -> RecordedAttempt:
        ref = AttemptRef(merchant_id=self.shop.merchant_id, attempt_id=attempt_id)
        outcome = await ActivityEnvironment().run(self.activities.charge, ref)
        return await self.activities.record_attempt(
            RecordAttempt(
                merchant_id=self.shop.merchant_id,
                collection_id=self.invoice_id,
                attempt_id=attempt_id,
                outcome=outcome,
                now=START,
                card=CARD,
            )
        )

    async def invoice(self) -> Invoice:
        async with self.database.transaction() as session:
            found = await invoices.get(session, self.shop.merchant_id, self.invoice_id)
            assert found is not None
            return found


async def _till(
    database: Database, merchant: CreatedMerchant, gateway: BookGateway | None = None
) -> Till:
    shop = await open_shop(database, merchant.merchant_id)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    async with database.transaction() as session:
        first = await invoices.first_of(session, shop.merchant_id, made.subscription_id)
        assert first is not None
    return Till(database, shop, gateway or BookGateway(), first.id, made.subscription_id)


async def test_a_success_is_recorded_once(database: Database, merchant: CreatedMerchant) -> None:
    till = await _till(database, merchant)
    attempt_id = await till.begin()
    assert attempt_id is not None
    answers = await asyncio.gather(*(till.charge_and_record(attempt_id) for _ in range(4)))
    assert {answer.status for answer in answers} == {"succeeded"}
    assert [charge.status for charge in await till.gateway.list_charges()] == ["succeeded"]
    invoice = await till.invoice()
    assert (invoice.status, invoice.paid_amount) == ("PAID", Decimal("53.90"))
    async with database.transaction() as session:
        methods = await payments.methods_of(session, till.shop.merchant_id, till.shop.customer_id)
    assert [method.last4 for method in methods] == ["4242"]


async def test_a_paid_invoice_takes_no_further_attempt(
    database: Database, merchant: CreatedMerchant
) -> None:
    till = await _till(database, merchant)
    attempt_id = await till.begin()
    assert attempt_id is not None
    await till.charge_and_record(attempt_id)
    assert await till.begin(number=2) is None


async def test_a_pending_attempt_is_answered_again(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Two attempts at once would be two charges."""
    till = await _till(database, merchant)
    first = await till.begin(number=1)
    assert await till.begin(number=2) == first


async def test_a_decline_is_a_result(database: Database, merchant: CreatedMerchant) -> None:
    till = await _till(database, merchant, BookGateway(declining=["pm_test"]))
    attempt_id = await till.begin()
    assert attempt_id is not None
    recorded = await till.charge_and_record(attempt_id)
    assert (recorded.status, recorded.decline_code) == ("failed", "card_declined")
    assert (await till.invoice()).status == "ISSUED"


async def test_an_automatic_attempt_without_a_card_has_failed(
    database: Database, merchant: CreatedMerchant
) -> None:
    till = await _till(database, merchant)
    assert await till.begin(with_card=False) is None
    ref = OpenCollection(
        merchant_id=till.shop.merchant_id, collection_id=till.invoice_id, now=START
    )
    collection = await till.activities.open_collection(ref)
    assert (collection.failed_automatic, collection.first_failed_at) == (1, START)
    assert (await till.invoice()).next_action_at == START + timedelta(days=1)
    assert await till.gateway.list_charges() == []


async def test_expiry_waits_for_an_attempt_under_way(
    database: Database, merchant: CreatedMerchant
) -> None:
    till = await _till(database, merchant)
    attempt_id = await till.begin()
    assert attempt_id is not None
    subscriptions = SubscriptionActivities(database)
    ref = SubscriptionRef(
        merchant_id=till.shop.merchant_id, subscription_id=till.subscription_id, now=START
    )
    with pytest.raises(RuntimeError, match="under way"):
        await subscriptions.expire_activation(ref)
    await till.charge_and_record(attempt_id)
    assert (await subscriptions.expire_activation(ref)).status == "active"


async def test_the_same_key_makes_one_payment(
    database: Database, merchant: CreatedMerchant
) -> None:
    activities = PaymentActivities(database, BookGateway())
    command = CreatePayment(
        merchant_id=merchant.merchant_id,
        amount=Decimal("20.00"),
        currency="USD",
        expires_in=parse_duration("P30D"),
        idempotency_key="order-7",
    )
    made = await asyncio.gather(*(activities.create_payment(command) for _ in range(5)))
    assert len({each.payment_id for each in made}) == 1
    assert [each.created for each in made].count(True) == 1
    other = CreatePayment(
        merchant_id=merchant.merchant_id,
        amount=Decimal("21.00"),
        currency="USD",
        expires_in=parse_duration("P30D"),
        idempotency_key="order-7",
    )
    with pytest.raises(Conflict):
        await activities.create_payment(other)


async def test_a_strangers_customer_is_not_found(
    database: Database, merchant: CreatedMerchant, stranger: CreatedMerchant
) -> None:
    other = await open_shop(database, stranger.merchant_id)
    command = CreatePayment(
        merchant_id=merchant.merchant_id,
        amount=Decimal("20.00"),
        currency="USD",
        expires_in=parse_duration("P30D"),
        customer_id=other.customer_id,
    )
    with pytest.raises(NotFound):
        await PaymentActivities(database, BookGateway()).create_payment(command)
