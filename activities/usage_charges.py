"""Charged uses (the contract's usage events): priced and paid, or accrued, each once; no waiting.

One transaction a use: the row under the id that its key derives, the money, and the count of uses
of the hold that paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import holds, usage_refunds
from activities.holds import PricedItem, ReservedItem
from billing import ledger as bookkeeping
from billing.entitlements import is_usable, reservation_cost
from billing.errors import InvalidValue, NotFound
from billing.ids import derived_id
from billing.taxes import TaxedAmount
from models.base import wall_now
from models.database import Database
from models.invoices import Invoice
from models.queries import ledger, reservations, usage_charges
from models.queries import test_clocks as clocks
from models.reservations import Reservation
from models.usage_charges import UsageCharge, UsageChargeItem

FUTURE_MAX = timedelta(minutes=5)
"""How far a reporter's clock may go ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUsage:
    """A use to be charged; its key makes it once."""

    merchant_id: str
    customer_id: str
    idempotency_key: str
    timestamp: datetime
    items: Sequence[ReservedItem]
    reservation_id: str | None = None
    custom: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedUsage:
    """The charged use, and the hold that its payment ended."""

    charge_id: str
    ended_reservation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundUsage:
    """Takes a charged use back."""

    merchant_id: str
    charge_id: str
    reason: str | None = None


class UsageChargeActivities:
    """The only writer of charged uses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_usage(self, command: RecordUsage) -> RecordedUsage:
        """Charges a use, or finds the one that its key made; the API calls it."""
        async with self._database.transaction() as session:
            charge_id = derived_id("usg", command.merchant_id, command.idempotency_key)
            if await usage_charges.get(session, command.merchant_id, charge_id) is not None:
                return RecordedUsage(charge_id)
            return await _record(session, command, charge_id)

    async def refund_usage(self, command: RefundUsage) -> None:
        """Takes a use back, once; the API calls it."""
        async with self._database.transaction() as session:
            row = await usage_charges.get(
                session, command.merchant_id, command.charge_id, lock=True
            )
            if row is None:
                raise NotFound(f"No usage event {command.charge_id}")
            now = await clocks.now_of_subscription(
                session, row.merchant_id, row.subscription_id, wall_now()
            )
            await usage_refunds.refund(session, row, command.reason, now)


async def keep_values(session: AsyncSession, merchant_id: str, archived: Mapping[str, str]) -> None:
    """Where a price's id takes another value, uses accrue on under the id of the one they met.

    Called by whoever moves the values, in the same transaction; both ids are price ids.
    """
    await usage_charges.move_prices(session, merchant_id, archived)


async def _record(session: AsyncSession, command: RecordUsage, charge_id: str) -> RecordedUsage:
    priced = await holds.price_uses(
        session, command.merchant_id, command.customer_id, command.items
    )
    subscription = priced[0].subscription
    now = await clocks.now_of(session, command.merchant_id, subscription.test_clock_id, wall_now())
    accruing = [each for each in priced if _accrues(command, each)]
    invoice = await _open_invoice(session, command, priced[0], now)
    cost = await holds.cost_of(session, [each for each in priced if each not in accruing])
    row = _row(command, charge_id, priced[0], cost)
    row.invoice_id = invoice.id if accruing else None
    await _check_hold(session, row)
    items = await _items(session, row, priced, accruing)
    # The row first: the same key in another request waits here, and then finds it.
    if not await usage_charges.add(session, row, items):
        return RecordedUsage(charge_id)
    return await _pay(session, row, cost, now)


def _accrues(command: RecordUsage, priced: PricedItem) -> bool:
    """Whether it goes on the invoice: a hold pays at once, whatever the price's term."""
    return command.reservation_id is None and priced.price.payment_term != "instant"


async def _open_invoice(
    session: AsyncSession, command: RecordUsage, priced: PricedItem, now: datetime
) -> Invoice:
    """The invoice of the period that holds the use; it stays open until the transaction ends."""
    if command.timestamp > now + FUTURE_MAX:
        raise InvalidValue("Must not lie in the future", field="timestamp")
    invoice = await usage_charges.open_invoice(
        session, command.merchant_id, priced.subscription.id, command.timestamp
    )
    if invoice is None:
        message = "Must lie in a period of the subscription that is not closed"
        raise InvalidValue(message, field="timestamp")
    return invoice


def _row(
    command: RecordUsage, charge_id: str, priced: PricedItem, cost: TaxedAmount
) -> UsageCharge:
    return UsageCharge(
        id=charge_id,
        merchant_id=command.merchant_id,
        customer_id=command.customer_id,
        subscription_id=priced.subscription.id,
        reservation_id=command.reservation_id,
        idempotency_key=command.idempotency_key,
        timestamp=command.timestamp,
        custom=dict(command.custom),
        currency=priced.plan.currency,
        paid_price=cost.price,
        paid_tax=cost.tax,
    )


async def _items(
    session: AsyncSession,
    row: UsageCharge,
    priced: Sequence[PricedItem],
    accruing: Sequence[PricedItem],
) -> list[UsageChargeItem]:
    rates = await holds.tax_rates(session, priced[0].subscription)
    alone = [reservation_cost([each.priced(rates)], each.behavior) for each in priced]
    return [
        UsageChargeItem(
            usage_charge_id=row.id,
            position=position,
            merchant_id=row.merchant_id,
            billable_metric_id=each.item.billable_metric_id,
            price_id=each.price.id,
            quantity=each.item.quantity,
            unit_price=_unit_price(each),
            is_accrued=each in accruing,
            price=cost.price,
            tax=cost.tax,
        )
        for position, (each, cost) in enumerate(zip(priced, alone, strict=True))
    ]


def _unit_price(priced: PricedItem) -> Decimal | None:
    """What a dynamic price's use costs apiece: as it says, or as bounds without a choice say."""
    if priced.price.model != "dynamic" or priced.item.price is not None:
        return priced.item.price
    return Decimal(priced.price.properties["minPrice"])


async def _pay(
    session: AsyncSession, row: UsageCharge, cost: TaxedAmount, now: datetime
) -> RecordedUsage:
    """Pays what is due at once: from the hold as far as it reaches, from the wallet the rest."""
    held = Decimal(0)
    ended = None
    if row.reservation_id is not None:
        hold = await _usable_hold(session, row, row.reservation_id, now)
        held = min(cost.total, hold.amount - hold.consumed_amount)
        await usage_charges.change(session, row.merchant_id, row.id, held_amount=held)
    await holds.expire_overdue(session, row.merchant_id, row.customer_id, now)
    owner = bookkeeping.Parties(row.merchant_id, row.customer_id, row.currency)
    if cost.total > held:
        await holds.check_funds(session, owner, cost.total - held)
    if cost.total:
        await ledger.post(
            session,
            ledger.Booking(
                merchant_id=row.merchant_id,
                transfer_id=derived_id("ltr", row.id, "charged"),
                booked_at=now,
                transfer=bookkeeping.usage_charged(
                    owner, row.id, price=cost.price, tax=cost.tax, held=held
                ),
            ),
        )
    if row.reservation_id is not None:
        ended = await _count_use(session, hold, held, now)
    return RecordedUsage(row.id, ended)


async def _check_hold(session: AsyncSession, row: UsageCharge) -> None:
    """Refuses a hold that is not this customer's, or another subscription's."""
    if row.reservation_id is None:
        return
    hold = await reservations.get(session, row.merchant_id, row.reservation_id)
    if hold is None or hold.customer_id != row.customer_id:
        raise InvalidValue(f"No entitlement {row.reservation_id}", field="entitlementId")
    if hold.subscription_id != row.subscription_id:
        raise InvalidValue("It belongs to another subscription", field="entitlementId")


async def _usable_hold(
    session: AsyncSession, row: UsageCharge, reservation_id: str, now: datetime
) -> Reservation:
    hold = await holds.found(session, row.merchant_id, reservation_id)
    # Locked after it was checked: read what it is now, not what it was then.
    await session.refresh(hold)
    if not is_usable(holds.state_of(hold), hold.expires_at, now):
        raise InvalidValue("It is used up, released or expired", field="entitlementId")
    return hold


async def _count_use(
    session: AsyncSession, hold: Reservation, held: Decimal, now: datetime
) -> str | None:
    """Counts the use; the last one ends the hold and gives the rest back."""
    uses = hold.used_count + 1
    await reservations.change(
        session,
        hold.merchant_id,
        hold.id,
        consumed_amount=hold.consumed_amount + held,
        used_count=uses,
    )
    if uses < hold.max_uses:
        return None
    await holds.resolve(session, hold, "consumed", now)
    return hold.id
