"""The statements of fund reservations."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.plans import Plan, PlanLine
from models.prices import Price
from models.reservations import Reservation
from models.subscriptions import Subscription


async def get(
    session: AsyncSession, merchant_id: str, reservation_id: str, *, lock: bool = False
) -> Reservation | None:
    """The reservation, whatever its state."""
    statement = select(Reservation).where(
        col(Reservation.merchant_id) == merchant_id, col(Reservation.id) == reservation_id
    )
    if lock:
        statement = statement.with_for_update()
    return (await session.exec(statement)).scalars().first()


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
        .with_for_update()
    )
    return list(rows.scalars())


async def pricing_subscription(
    session: AsyncSession, merchant_id: str, customer_id: str, metric_id: str
) -> tuple[Subscription, Plan, Price] | None:
    """The customer's active subscription that prices the metric, newest first."""
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
        .order_by(col(Subscription.created_at).desc())
        .limit(1)
    )
    row = rows.first()
    return None if row is None else (row[0], row[1], row[2])
