"""The statements of subscriptions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import wall_now
from models.customers import Customer
from models.plans import Plan
from models.subscriptions import Subscription


async def get(
    session: AsyncSession, merchant_id: str, subscription_id: str, *, lock: bool = False
) -> Subscription | None:
    """The subscription, whatever its state."""
    statement = select(Subscription).where(
        col(Subscription.merchant_id) == merchant_id, col(Subscription.id) == subscription_id
    )
    if lock:
        statement = statement.with_for_update()
    return (await session.exec(statement)).scalars().first()


async def living(
    session: AsyncSession, merchant_id: str, customer_id: str, plan_id: str
) -> Subscription | None:
    """The customer's subscription of the plan that is not terminated."""
    rows = await session.exec(
        select(Subscription).where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.customer_id) == customer_id,
            col(Subscription.plan_id) == plan_id,
            col(Subscription.status) != "terminated",
        )
    )
    return rows.scalars().first()


async def lock_customer(
    session: AsyncSession, merchant_id: str, customer_id: str
) -> Customer | None:
    """The living customer, locked: two creations for one customer come one after the other."""
    rows = await session.exec(
        select(Customer)
        .where(
            col(Customer.merchant_id) == merchant_id,
            col(Customer.id) == customer_id,
            col(Customer.deleted_at).is_(None),
        )
        .with_for_update()
    )
    return rows.scalars().first()


async def change(
    session: AsyncSession, merchant_id: str, subscription_id: str, **changes: Any
) -> None:
    """Writes some columns."""
    await session.exec(
        update(Subscription)
        .where(
            col(Subscription.merchant_id) == merchant_id, col(Subscription.id) == subscription_id
        )
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


async def plan_of(session: AsyncSession, merchant_id: str, plan_id: str) -> Plan | None:
    """The plan of a subscription."""
    rows = await session.exec(
        select(Plan).where(col(Plan.merchant_id) == merchant_id, col(Plan.id) == plan_id)
    )
    return rows.scalars().first()


def listing(
    merchant_id: str,
    *,
    customer_id: str | None = None,
    consumer_id: str | None = None,
    statuses: Sequence[str] = (),
    started_before: datetime | None = None,
) -> Any:
    """The statement of a list, for `paginate`."""
    statement = select(Subscription).where(col(Subscription.merchant_id) == merchant_id)
    if customer_id is not None:
        statement = statement.where(col(Subscription.customer_id) == customer_id)
    if consumer_id is not None:
        statement = statement.where(
            col(Subscription.customer_id).in_(
                select(col(Customer.id)).where(
                    col(Customer.merchant_id) == merchant_id,
                    col(Customer.consumer_id) == consumer_id,
                )
            )
        )
    if statuses:
        statement = statement.where(col(Subscription.status).in_(statuses))
    if started_before is not None:
        statement = statement.where(col(Subscription.started_at) <= started_before)
    return statement
