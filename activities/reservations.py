"""Reservations of funds on a wallet: reserve, consume, release, expire; each is one transaction.

A hold is SQL: past its expiry it counts no more, whatever its workflow does. The workflow makes the
expiry happen in order and shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from billing import ledger as bookkeeping
from billing.entitlements import (
    HoldState,
    PricedQuantity,
    check_resolution,
    is_usable,
    remaining,
    reservation_cost,
)
from billing.errors import Conflict, InsufficientFunds, InvalidValue, NotFound
from billing.ids import derived_id
from billing.money import text
from billing.taxes import TaxedAmount, tax_rate
from models.base import new_id, wall_now
from models.database import Database
from models.plans import Plan
from models.prices import Price
from models.queries import customers, ledger, outbox, reservations
from models.queries import test_clocks as clocks
from models.reservations import Reservation
from models.subscriptions import Subscription

RESERVATION_LIFE = timedelta(hours=24)


def workflow_id(reservation_id: str) -> str:
    """The id of the EntitlementReservation workflow."""
    return f"reservation/{reservation_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedItem:
    """A quantity of one metric to be held for; `price` overrides a dynamic price."""

    billable_metric_id: str
    quantity: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Holds what these quantities cost on the customer's wallet."""

    merchant_id: str
    customer_id: str
    items: Sequence[ReservedItem]
    max_uses: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRef:
    """Which reservation, and the instant at which something happens to it."""

    merchant_id: str
    reservation_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Consume:
    """Pays one use from the hold; `use_id` names the use, so that a retry pays once."""

    merchant_id: str
    reservation_id: str
    use_id: str
    price: Decimal
    tax: Decimal
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationView:
    """What the workflow waits for."""

    status: str
    customer_id: str
    subscription_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """Money that reached the customer's wallet from outside; `top_up_id` makes it once."""

    merchant_id: str
    customer_id: str
    currency: str
    top_up_id: str
    amount: Decimal
    now: datetime


class ReservationActivities:
    """The only writer of reservations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def top_up(self, command: TopUp) -> None:
        """Credits a wallet; not an activity: an operator's operation calls it."""
        async with self._database.transaction() as session:
            await ledger.post(
                session,
                ledger.Booking(
                    merchant_id=command.merchant_id,
                    transfer_id=derived_id(
                        "ltr", command.merchant_id, command.top_up_id, "topped-up"
                    ),
                    booked_at=command.now,
                    transfer=bookkeeping.wallet_topped_up(
                        bookkeeping.Parties(
                            command.merchant_id, command.customer_id, command.currency
                        ),
                        command.top_up_id,
                        amount=command.amount,
                    ),
                ),
            )

    async def reserve(self, command: Reserve) -> str:
        """Holds the funds and owes their expiry's workflow; not an activity: the API calls it."""
        async with self._database.transaction() as session:
            if await customers.get(session, command.merchant_id, command.customer_id) is None:
                raise NotFound(f"No customer {command.customer_id}")
            priced = [await _priced(session, command, item) for item in command.items]
            subscription, plan = priced[0][0], priced[0][1]
            if any(each[0].id != subscription.id for each in priced):
                raise InvalidValue(
                    "All metrics must be priced by one subscription", field="entitlementData"
                )
            now = await clocks.now_of(
                session, command.merchant_id, subscription.test_clock_id, wall_now()
            )
            cost = await _cost(session, command, priced)
            if cost.total <= 0:
                raise InvalidValue("There is nothing to reserve", field="entitlementData")
            await _expire_overdue(session, command, now)
            await _check_funds(session, command, plan, cost.total)
            row = _row(command, subscription, plan, cost.total, now)
            session.add(row)
            await session.flush()
            await _book_hold(session, row, now)
            await _owe_workflow(session, row, subscription, now)
            return row.id

    async def consume(self, command: Consume) -> None:
        """Pays a use from the hold; the last use releases the rest."""
        async with self._database.transaction() as session:
            row = await _found(session, command.merchant_id, command.reservation_id)
            transfer_id = derived_id("ltr", row.id, "use", command.use_id)
            if await ledger.is_posted(session, command.merchant_id, transfer_id):
                return
            if not is_usable(_state(row), row.expires_at, command.now):
                raise Conflict(f"The reservation is {row.status} or past its expiry")
            consumed = row.consumed_amount + command.price + command.tax
            remaining(row.amount, consumed)
            await ledger.post(
                session,
                ledger.Booking(
                    merchant_id=row.merchant_id,
                    transfer_id=transfer_id,
                    booked_at=command.now,
                    transfer=bookkeeping.reservation_consumed(
                        _parties(row), row.id, price=command.price, tax=command.tax
                    ),
                ),
            )
            uses = row.used_count + 1
            await reservations.change(
                session, row.merchant_id, row.id, consumed_amount=consumed, used_count=uses
            )
            if uses >= row.max_uses:
                await _resolve(session, row, "consumed", command.now)

    async def release(self, ref: ReservationRef) -> None:
        """Gives what is still held back to the wallet."""
        async with self._database.transaction() as session:
            row = await _found(session, ref.merchant_id, ref.reservation_id)
            await _resolve(session, row, "released", ref.now)

    @activity.defn
    async def view_reservation(self, ref: ReservationRef) -> ReservationView:
        """Reads what the workflow waits for."""
        async with self._database.transaction() as session:
            return _view(await _found(session, ref.merchant_id, ref.reservation_id))

    @activity.defn
    async def expire_reservation(self, ref: ReservationRef) -> ReservationView:
        """Its time is over: the rest goes back to the wallet; resolved before, nothing happens."""
        async with self._database.transaction() as session:
            row = await _found(session, ref.merchant_id, ref.reservation_id)
            if row.status == "reserved" and row.expires_at <= ref.now:
                await _resolve(session, row, "expired", ref.now)
            return _view(row)


async def _found(session: AsyncSession, merchant_id: str, reservation_id: str) -> Reservation:
    row = await reservations.get(session, merchant_id, reservation_id, lock=True)
    if row is None:
        raise NotFound(f"No entitlement {reservation_id}")
    return row


def _state(row: Reservation) -> HoldState:
    """The row's state as the rules know it."""
    states: dict[str, HoldState] = {
        "reserved": "reserved",
        "consumed": "consumed",
        "released": "released",
        "expired": "expired",
    }
    return states[row.status]


def _view(row: Reservation) -> ReservationView:
    return ReservationView(
        status=row.status,
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        expires_at=row.expires_at,
    )


_Priced = tuple[Subscription, Plan, Price, ReservedItem]


async def _priced(session: AsyncSession, command: Reserve, item: ReservedItem) -> _Priced:
    found = await reservations.pricing_subscription(
        session, command.merchant_id, command.customer_id, item.billable_metric_id
    )
    if found is None:
        raise InvalidValue(
            f"No active subscription of the customer prices {item.billable_metric_id}",
            field="entitlementData.billableMetricId",
        )
    subscription, plan, price = found
    if plan.billing_version != 0:
        raise InvalidValue(
            "Funds are reserved for subscriptions of billing version 0 only",
            field="entitlementData.billableMetricId",
        )
    return subscription, plan, price, item


async def _cost(session: AsyncSession, command: Reserve, priced: Sequence[_Priced]) -> TaxedAmount:
    customer = await customers.get(session, command.merchant_id, command.customer_id)
    rates = {} if customer is None else customer.tax_rates
    plan = priced[0][1]
    quantities = [
        PricedQuantity(
            model=price.model,
            properties=price.properties,
            quantity=item.quantity,
            tax_rate=tax_rate(
                tax_exempt=subscription.tax_exempt,
                metric_id=item.billable_metric_id,
                plan_id=plan.id,
                customer_rates={key: Decimal(str(value)) for key, value in rates.items()},
                plan_default=plan.default_tax_rate,
            ),
            price=item.price,
            in_scope=price.tax.get("supplyScope", "IN_SCOPE") == "IN_SCOPE",
        )
        for subscription, plan, price, item in priced
    ]
    return reservation_cost(
        quantities, "inclusive" if plan.tax_behavior == "inclusive" else "exclusive"
    )


async def _expire_overdue(session: AsyncSession, command: Reserve, now: datetime) -> None:
    """Holds past their expiry count no more, whether their workflows have come to it or not."""
    for row in await reservations.overdue(session, command.merchant_id, command.customer_id, now):
        await _resolve(session, row, "expired", row.expires_at)


async def _check_funds(
    session: AsyncSession, command: Reserve, plan: Plan, amount: Decimal
) -> None:
    available = await ledger.wallet_balance(
        session, command.merchant_id, command.customer_id, plan.currency, lock=True
    )
    if available < amount:
        raise InsufficientFunds(
            "The wallet does not cover the reservation",
            details={"available": text(available), "needed": text(amount)},
        )


def _row(
    command: Reserve, subscription: Subscription, plan: Plan, amount: Decimal, now: datetime
) -> Reservation:
    return Reservation(
        id=new_id("ent"),
        merchant_id=command.merchant_id,
        customer_id=command.customer_id,
        subscription_id=subscription.id,
        status="reserved",
        items=[_item_document(item) for item in command.items],
        currency=plan.currency,
        amount=amount,
        max_uses=command.max_uses,
        expires_at=now + RESERVATION_LIFE,
    )


def _item_document(item: ReservedItem) -> dict[str, Any]:
    return {
        "billableMetricId": item.billable_metric_id,
        "quantity": str(item.quantity),
        "price": None if item.price is None else str(item.price),
    }


def _parties(row: Reservation) -> bookkeeping.Parties:
    return bookkeeping.Parties(row.merchant_id, row.customer_id, row.currency)


async def _book_hold(session: AsyncSession, row: Reservation, now: datetime) -> None:
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=row.merchant_id,
            transfer_id=derived_id("ltr", row.id, "reserved"),
            booked_at=now,
            transfer=bookkeeping.funds_reserved(_parties(row), row.id, amount=row.amount),
        ),
    )


async def _resolve(
    session: AsyncSession, row: Reservation, state: HoldState, now: datetime
) -> None:
    """Ends the hold once and gives back what was not consumed."""
    check_resolution(_state(row), state)
    left = remaining(row.amount, row.consumed_amount)
    await reservations.change(session, row.merchant_id, row.id, status=state, resolved_at=now)
    if left > 0:
        await ledger.post(
            session,
            ledger.Booking(
                merchant_id=row.merchant_id,
                transfer_id=derived_id("ltr", row.id, "resolved"),
                booked_at=now,
                transfer=bookkeeping.reservation_released(
                    _parties(row), row.id, amount=left, expired=state == "expired"
                ),
            ),
        )


async def _owe_workflow(
    session: AsyncSession, row: Reservation, subscription: Subscription, now: datetime
) -> None:
    clock_id = subscription.test_clock_id
    await clocks.bind(session, row.merchant_id, clock_id, workflow_id(row.id))
    await outbox.add(
        session,
        outbox.WorkflowStart(
            merchant_id=row.merchant_id,
            workflow_id=workflow_id(row.id),
            workflow_type="EntitlementReservation",
            argument={
                "reservation_id": row.id,
                "merchant_id": row.merchant_id,
                "clock_id": clock_id,
                "clock_now": None if clock_id is None else now.isoformat(),
            },
        ),
    )
