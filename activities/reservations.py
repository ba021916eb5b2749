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

from activities import holds
from activities.holds import ReservedItem
from billing import ledger as bookkeeping
from billing.entitlements import is_usable, remaining
from billing.errors import Conflict, InvalidValue
from billing.ids import derived_id
from models.base import new_id, wall_now
from models.database import Database
from models.plans import Plan
from models.queries import ledger, outbox, reservations
from models.queries import test_clocks as clocks
from models.reservations import Reservation
from models.subscriptions import Subscription

RESERVATION_LIFE = timedelta(hours=24)


def workflow_id(reservation_id: str) -> str:
    """The id of the EntitlementReservation workflow."""
    return f"reservation/{reservation_id}"


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
            priced = await holds.price_uses(
                session, command.merchant_id, command.customer_id, command.items
            )
            subscription, plan = priced[0].subscription, priced[0].plan
            now = await clocks.now_of(
                session, command.merchant_id, subscription.test_clock_id, wall_now()
            )
            cost = await holds.cost_of(session, priced)
            if cost.total <= 0:
                raise InvalidValue("There is nothing to reserve", field="entitlementData")
            await holds.expire_overdue(session, command.merchant_id, command.customer_id, now)
            owner = bookkeeping.Parties(command.merchant_id, command.customer_id, plan.currency)
            await holds.check_funds(session, owner, cost.total)
            row = _row(command, subscription, plan, cost.total, now)
            session.add(row)
            await session.flush()
            await _book_hold(session, row, now)
            await _owe_workflow(session, row, subscription, now)
            return row.id

    async def consume(self, command: Consume) -> None:
        """Pays a use from the hold; the last use releases the rest."""
        async with self._database.transaction() as session:
            row = await holds.found(session, command.merchant_id, command.reservation_id)
            transfer_id = derived_id("ltr", row.id, "use", command.use_id)
            if await ledger.is_posted(session, command.merchant_id, transfer_id):
                return
            if not is_usable(holds.state_of(row), row.expires_at, command.now):
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
                        holds.parties(row), row.id, price=command.price, tax=command.tax
                    ),
                ),
            )
            uses = row.used_count + 1
            await reservations.change(
                session, row.merchant_id, row.id, consumed_amount=consumed, used_count=uses
            )
            if uses >= row.max_uses:
                await holds.resolve(session, row, "consumed", command.now)

    async def release(self, ref: ReservationRef) -> None:
        """Gives what is still held back to the wallet."""
        async with self._database.transaction() as session:
            row = await holds.found(session, ref.merchant_id, ref.reservation_id)
            await holds.resolve(session, row, "released", ref.now)

    @activity.defn
    async def view_reservation(self, ref: ReservationRef) -> ReservationView:
        """Reads what the workflow waits for."""
        async with self._database.transaction() as session:
            return _view(await holds.found(session, ref.merchant_id, ref.reservation_id))

    @activity.defn
    async def expire_reservation(self, ref: ReservationRef) -> ReservationView:
        """Its time is over: the rest goes back to the wallet; resolved before, nothing happens."""
        async with self._database.transaction() as session:
            row = await holds.found(session, ref.merchant_id, ref.reservation_id)
            if row.status == "reserved" and row.expires_at <= ref.now:
                await holds.resolve(session, row, "expired", ref.now)
            return _view(row)


def _view(row: Reservation) -> ReservationView:
    return ReservationView(
        status=row.status,
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        expires_at=row.expires_at,
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


async def _book_hold(session: AsyncSession, row: Reservation, now: datetime) -> None:
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=row.merchant_id,
            transfer_id=derived_id("ltr", row.id, "reserved"),
            booked_at=now,
            transfer=bookkeeping.funds_reserved(holds.parties(row), row.id, amount=row.amount),
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
