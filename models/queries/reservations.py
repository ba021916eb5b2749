"""The statements of fund reservations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlmodel
from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.plans import Plan, PlanLine
from models.prices import Price
from models.reservations import Reservation
from models.subscriptions import Subscription
from models.test_clocks import TestClock


@dataclass(frozen=True, slots=True)
class Usable:
    """A hold that counts, its plan, and the time in which it does."""

    reservation: Reservation
    plan: Plan
    now: datetime


async def usable(
    session: AsyncSession, merchant_id: str, customer_id: str, wall: datetime
) -> list[Usable]:
    """The customer's holds with uses and time left, newest first, each by its own clock."""
    rows = await session.exec(
        sqlmodel.select(Reservation, Plan, TestClock)
        .join(Subscription, col(Subscription.id) == col(Reservation.subscription_id))
        .join(Plan, col(Plan.id) == col(Subscription.plan_id))
        .outerjoin(TestClock, col(TestClock.id) == col(Subscription.test_clock_id))
        .where(
            Reservation.merchant_id == merchant_id,
            Reservation.customer_id == customer_id,
            Reservation.status == "reserved",
            Reservation.used_count < Reservation.max_uses,
            col(Reservation.expires_at) > func.coalesce(TestClock.current_time, wall),
        )
        .order_by(col(Reservation.created_at).desc(), col(Reservation.id).desc())
    )
    return [
        Usable(row, plan, wall if clock is None else clock.current_time)
        for row, plan, clock in rows
    ]


async def get(
    session: AsyncSession, merchant_id: str, reservation_id: str, *, lock: bool = False
) -> Reservation | None:
    """The reservation, whatever its state."""
    statement = select(Reservation).where(
        col(Reservation.merchant_id) == merchant_id, col(Reservation.id) == reservation_id
    )
    if lock:
        # Not its key: a use that refers to it shares that, and two of them would deadlock.
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def change(
    session: AsyncSession, merchant_id: str, reservation_id: str, **changes: Any
) -> None:
    """Writes some columns."""
    await session.exec(
        update(Reservation)
        .where(col(Reservation.merchant_id) == merchant_id, col(Reservation.id) == reservation_id)
        .values(**changes)
        .execution_options(synchronize_session="fetch")
    )


async def overdue(
    session: AsyncSession, merchant_id: str, customer_id: str, now: datetime
) -> list[Reservation]:
    """The customer's holds that are past their expiry and not resolved yet, locked in order."""
    rows = await session.exec(
        select(Reservation)
        .where(
            col(Reservation.merchant_id) == merchant_id,
            col(Reservation.customer_id) == customer_id,
            col(Reservation.status) == "reserved",
            col(Reservation.expires_at) <= now,
        )
        .order_by(col(Reservation.id))
        .with_for_update(key_share=True)
    )
    return list(rows.all())


async def pricing_subscription(
    session: AsyncSession, merchant_id: str, customer_id: str, metric_id: str
) -> tuple[Subscription, Plan, Price] | None:
    """The customer's active subscription that prices the metric: of version 0, newest first."""
    rows = await session.exec(
        select(Subscription, Plan, Price)
        .join(Plan, col(Plan.id) == col(Subscription.plan_id))
        .join(PlanLine, col(PlanLine.plan_version_id) == col(Subscription.plan_version_id))
        .join(Price, col(Price.id) == col(PlanLine.price_id))
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.customer_id) == customer_id,
            col(Subscription.status) == "active",
            col(Price.billable_metric_id) == metric_id,
        )
        .order_by(col(Plan.billing_version), col(Subscription.created_at).desc())
        .limit(1)
    )
    row = rows.first()
    return None if row is None else (row[0], row[1], row[2])
