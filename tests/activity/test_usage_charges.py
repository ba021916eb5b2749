"""Charged uses in the ledger: twice is once, at once and in arrears, and the books agree."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlmodel import select

from activities.holds import ReservedItem
from activities.invoices import DraftInvoice, InvoiceActivities
from activities.organizations import CreatedMerchant, CreateMerchant, OrganizationActivities
from activities.reconciliation import ReconciliationActivities
from activities.reservations import (
    ReservationActivities,
    ReservationRef,
    Reserve,
    TopUp,
)
from activities.subscription_endings import Terminate
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from activities.usage_charges import RecordUsage, RefundUsage, UsageChargeActivities
from billing.errors import AlreadyRefunded, Conflict, InvalidValue, NotRefundable
from billing.ids import derived_id
from models.database import Database
from models.invoices import Invoice, InvoiceLine
from models.prices import Price
from models.queries import invoices, ledger, reservations
from models.queries import test_clocks as clocks
from tests.activity.fake_gateway import BookGateway
from tests.activity.rows import START, PlanShape, Shop, open_shop

HOUR = timedelta(hours=1)


def figures(*values: object) -> tuple[object, ...]:
    """Several at once, to be compared with plain numbers."""
    return values


class Uses:
    """A shop of tokens at 0.50 plus 10 %, and 100.00 on the customer's wallet."""

    def __init__(self, database: Database, shop: Shop, subscription_id: str) -> None:
        self.database, self.shop, self.subscription_id = database, shop, subscription_id
        self.activities = UsageChargeActivities(database)

    async def use(
        self,
        quantity: int,
        key: str = "a",
        hold: str | None = None,
        *,
        price: str | None = None,
        at: datetime = START,
    ) -> str:
        recorded = await self.activities.record_usage(
            RecordUsage(
                merchant_id=self.shop.merchant_id,
                customer_id=self.shop.customer_id,
                idempotency_key=key,
                timestamp=at,
                items=[
                    replace(self.item(quantity), price=None if price is None else Decimal(price))
                ],
                reservation_id=hold,
            )
        )
        return recorded.charge_id

    async def reprice(self, model: str, properties: dict[str, str]) -> None:
        """Gives the shop's one price another model."""
        async with self.database.transaction() as session:
            for price in await session.exec(
                select(Price).where(Price.merchant_id == self.shop.merchant_id)
            ):
                price.model, price.properties = model, properties

    def item(self, quantity: int) -> ReservedItem:
        return ReservedItem(billable_metric_id=self.shop.metric_id, quantity=Decimal(quantity))

    async def hold(self, quantity: int, max_uses: int = 1) -> str:
        return await ReservationActivities(self.database).reserve(
            Reserve(
                merchant_id=self.shop.merchant_id,
                customer_id=self.shop.customer_id,
                items=[self.item(quantity)],
                max_uses=max_uses,
            )
        )

    async def refund(self, charge_id: str) -> None:
        await self.activities.refund_usage(
            RefundUsage(merchant_id=self.shop.merchant_id, charge_id=charge_id)
        )

    async def wallet(self) -> Decimal:
        async with self.database.transaction() as session:
            return await ledger.wallet_balance(
                session, self.shop.merchant_id, self.shop.customer_id, "USD"
            )

    async def move_clock(self, days: int = 0, hours: int = 0) -> None:
        now = START + timedelta(days=days, hours=hours)
        async with self.database.transaction() as session:
            await clocks.move(session, self.shop.merchant_id, self.shop.clock_id, now, now)

    async def close(self, number: int) -> tuple[Invoice, list[InvoiceLine]]:
        rolled = await SubscriptionActivities(self.database).roll_period(
            RollPeriod(
                merchant_id=self.shop.merchant_id,
                subscription_id=self.subscription_id,
                sequence_number=number,
                now=START + timedelta(days=28),
            )
        )
        assert rolled.closing is not None
        return await self.draft(rolled.closing.invoice_id)

    async def draft(self, invoice_id: str) -> tuple[Invoice, list[InvoiceLine]]:
        merchant_id = self.shop.merchant_id
        ref = DraftInvoice(
            merchant_id=merchant_id, invoice_id=invoice_id, now=START + timedelta(days=30)
        )
        await InvoiceActivities(self.database).draft_invoice(ref)
        await InvoiceActivities(self.database).finalize_invoice(ref)
        async with self.database.transaction() as session:
            invoice = await invoices.get(session, merchant_id, invoice_id)
            assert invoice is not None
            return invoice, await invoices.lines_of(session, merchant_id, [invoice_id])


async def uses_of(database: Database, merchant_id: str, term: str = "instant") -> Uses:
    shape = PlanShape(fee=None, unit_price="0.50", billing_version=0)
    shop = await open_shop(database, merchant_id, shape)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text("UPDATE prices SET payment_term = :term WHERE merchant_id = :merchant"),
            {"term": term, "merchant": merchant_id},
        )
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    await ReservationActivities(database).top_up(
        TopUp(
            merchant_id=shop.merchant_id,
            customer_id=shop.customer_id,
            currency="USD",
            top_up_id="top-up",
            amount=Decimal(100),
            now=START,
        )
    )
    return Uses(database, shop, made.subscription_id)


@pytest.fixture
async def instant(database: Database, merchant: CreatedMerchant) -> Uses:
    return await uses_of(database, merchant.merchant_id)


@pytest.fixture
async def accruing(database: Database, merchant: CreatedMerchant) -> Uses:
    return await uses_of(database, merchant.merchant_id, "in_arrears")


async def test_twice_is_once(instant: Uses) -> None:
    """10 tokens are 5.00 and 0.50 of tax."""
    made = {await instant.use(10) for _ in range(2)}
    made |= set(await asyncio.gather(*(instant.use(10) for _ in range(4))))
    assert len(made) == 1
    assert await instant.wallet() == Decimal("94.5")


async def test_an_instant_use_is_on_no_invoice(instant: Uses) -> None:
    await instant.use(10)
    invoice, lines = await instant.close(0)
    assert figures(invoice.status, invoice.grand_total) == ("PAID", 0)
    assert [line.total_amount for line in lines] == [0]


async def test_uses_in_arrears_accrue_and_are_billed_once(accruing: Uses) -> None:
    """10 + 4 tokens: 7.00 and 0.70 at the period's end, nothing before and nothing after."""
    await accruing.use(10)
    await accruing.use(4, key="b")
    await accruing.use(4, key="b")
    assert await accruing.wallet() == 100
    invoice, lines = await accruing.close(0)
    assert [figures(line.quantity, line.total_price) for line in lines] == [(14, 7)]
    assert figures(invoice.subtotal, invoice.total_tax) == (7, Decimal("0.7"))
    following, _ = await accruing.close(1)
    assert following.grand_total == 0


async def test_a_refund_before_the_close_is_never_billed(accruing: Uses) -> None:
    await accruing.use(10)
    await accruing.refund(await accruing.use(4, key="b"))
    invoice, _ = await accruing.close(0)
    assert invoice.subtotal == 5
    following, lines = await accruing.close(1)
    assert figures(following.grand_total, len(lines)) == (0, 1)


async def test_a_refund_after_the_close_comes_off_the_next_invoice(accruing: Uses) -> None:
    """4 of 14 tokens are refunded: -2.00 beside the next period's 10 tokens, 5.00."""
    await accruing.use(10)
    refunded = await accruing.use(4, key="b")
    await accruing.close(0)
    await accruing.refund(refunded)
    with pytest.raises(AlreadyRefunded):
        await accruing.refund(refunded)
    await accruing.move_clock(days=29)
    await accruing.use(10, key="c", at=START + timedelta(days=29))
    invoice, lines = await accruing.close(1)
    assert [figures(line.quantity, line.total_price) for line in lines] == [(10, 5), (-4, -2)]
    assert figures(invoice.subtotal, invoice.total_tax) == (3, Decimal("0.3"))
    later, _ = await accruing.close(2)
    assert later.grand_total == 0


async def test_dynamic_uses_accrue_at_their_prices(accruing: Uses) -> None:
    """2 at 1.50 and 1 at 3.00 are 6.00; the second is refunded later: -3.00 of the next 4.00."""
    await accruing.reprice("dynamic", {"minPrice": "1", "maxPrice": "4"})
    await accruing.use(2, price="1.5")
    refunded = await accruing.use(1, key="b", price="3")
    invoice, lines = await accruing.close(0)
    assert invoice.subtotal == 6
    assert figures(lines[0].quantity, lines[0].unit_price) == (3, 2)
    await accruing.refund(refunded)
    await accruing.move_clock(days=29)
    await accruing.use(1, key="c", price="4", at=START + timedelta(days=29))
    following, lines = await accruing.close(1)
    assert [figures(line.quantity, line.total_price) for line in lines] == [(1, 4), (-1, -3)]
    assert following.subtotal == 1


async def test_a_percentage_in_arrears_is_clamped_once_a_period(accruing: Uses) -> None:
    """3 % of 10 and of 10 are 0.60, at least 0.50: 0.60 is owed, and not twice 0.50."""
    await accruing.reprice(
        "percentage", {"percentage": "0.03", "minCharge": "0.5", "maxCharge": "4"}
    )
    await accruing.use(10)
    await accruing.use(10, key="b")
    invoice, _ = await accruing.close(0)
    assert invoice.subtotal == Decimal("0.6")


async def test_uses_that_meet_a_draft_are_on_it_or_refused(accruing: Uses) -> None:
    """Whichever comes first: a use that was accepted is billed, one that was not is not."""
    uses = [accruing.use(1, key=f"k{number}") for number in range(12)]
    answers = await asyncio.gather(accruing.close(0), *uses, return_exceptions=True)
    closed, *answered = answers
    assert isinstance(closed, tuple)
    accepted = sum(isinstance(each, str) for each in answered)
    refused = sum(isinstance(each, InvalidValue) for each in answered)
    assert accepted + refused == 12, answered
    assert sum(line.quantity for line in closed[1]) == accepted


async def test_a_closed_period_takes_no_use(accruing: Uses) -> None:
    await accruing.close(0)
    with pytest.raises(InvalidValue):
        await accruing.use(1)


async def test_after_the_last_invoice_nothing_is_refunded(accruing: Uses) -> None:
    used = await accruing.use(4)
    ended = await SubscriptionActivities(accruing.database).terminate_subscription(
        Terminate(
            merchant_id=accruing.shop.merchant_id,
            subscription_id=accruing.subscription_id,
            now=START + HOUR,
            reason="End",
        )
    )
    assert ended.closing is not None
    invoice, _ = await accruing.draft(ended.closing.invoice_id)
    assert invoice.subtotal == 2
    with pytest.raises(NotRefundable):
        await accruing.refund(used)


async def test_a_use_and_the_expiry_of_its_hold_exclude_each_other(instant: Uses) -> None:
    """A hold of 22.00: 5.50 is used at the last minute, at the expiry 16.50 come back."""
    held = await instant.hold(40, max_uses=5)
    await instant.move_clock(hours=23)
    await instant.use(10, hold=held)
    await instant.move_clock(hours=24)
    ref = ReservationRef(
        merchant_id=instant.shop.merchant_id, reservation_id=held, now=START + 24 * HOUR
    )
    answers = await asyncio.gather(
        instant.use(10, key="b", hold=held),
        ReservationActivities(instant.database).expire_reservation(ref),
        return_exceptions=True,
    )
    assert isinstance(answers[0], InvalidValue)
    assert await instant.wallet() == Decimal("94.5")
    async with instant.database.transaction() as session:
        row = await reservations.get(session, instant.shop.merchant_id, held)
    assert row is not None
    assert (row.status, row.used_count, row.consumed_amount) == ("expired", 1, Decimal("5.5"))


async def test_an_overdue_hold_frees_its_funds_for_the_next_use(instant: Uses) -> None:
    """A hold of 99.00 leaves 1.00; past its expiry a use of 55.00 is covered."""
    await instant.hold(180)
    await instant.move_clock(hours=25)
    await instant.use(100)
    assert await instant.wallet() == 45


async def test_a_refund_into_a_hold_that_ended_reaches_the_wallet(instant: Uses) -> None:
    held = await instant.hold(40)
    used = await instant.use(10, hold=held)
    assert await instant.wallet() == Decimal("94.5")
    await instant.refund(used)
    assert await instant.wallet() == 100


async def test_uses_of_one_hold_are_counted(instant: Uses) -> None:
    """Three uses of a hold for three, at once; a fourth finds it consumed."""
    held = await instant.hold(40, max_uses=3)
    answers = await asyncio.gather(
        *(instant.use(10, key=f"k{number}", hold=held) for number in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, InvalidValue) for each in answers) == 1, answers
    assert await instant.wallet() == 100 - 3 * Decimal("5.5")
    ref = ReservationRef(merchant_id=instant.shop.merchant_id, reservation_id=held, now=START)
    with pytest.raises(Conflict):
        await ReservationActivities(instant.database).release(ref)


async def test_the_books_agree_and_a_lie_is_named(own_database: Database) -> None:
    merchant = await OrganizationActivities(own_database).create_merchant(CreateMerchant("Uses"))
    uses = await uses_of(own_database, merchant.merchant_id)
    held = await uses.hold(40, max_uses=2)
    charge_id = await uses.use(10)
    await uses.use(50, key="b", hold=held)
    await uses.refund(charge_id)
    proofs = ReconciliationActivities(own_database, BookGateway())
    assert await proofs.first_difference() is None
    for lie in ("paid_price = paid_price + 1", "refunded_at = now()"):
        async with own_database.transaction() as session:
            connection = await session.connection()
            changed = "WHERE id <> :id" if "refunded" in lie else "WHERE id = :id"
            await connection.execute(
                text(f"UPDATE usage_charges SET {lie} {changed}"),
                {"id": charge_id},
            )
        difference = await proofs.first_difference()
        assert difference is not None
        assert "the ledger of" in difference


def test_ids_are_derived_from_the_key() -> None:
    command = RecordUsage(
        merchant_id="org_1", customer_id="cus_1", idempotency_key="a", timestamp=START, items=[]
    )
    other = replace(command, merchant_id="org_2")
    ids = {derived_id("usg", each.merchant_id, each.idempotency_key) for each in (command, other)}
    assert len(ids) == 2
