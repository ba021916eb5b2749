"""The statements of subscriptions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlmodel
from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models import row_sets
from models.base import wall_now
from models.customers import Consumer, Customer
from models.invoices import Invoice
from models.plans import Plan, PlanVersion
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class Bought:
    """The rows that a subscription hangs on."""

    plan: Plan
    customer: Customer
    consumer: Consumer


@dataclass(frozen=True, slots=True)
class FirstInvoice:
    """A subscription's first invoice and the number of the plan version that it billed."""

    invoice: Invoice
    version_number: int


async def get(
    session: AsyncSession, merchant_id: str, subscription_id: str, *, lock: bool = False
) -> Subscription | None:
    """The subscription, whatever its state."""
    statement = select(Subscription).where(
        col(Subscription.merchant_id) == merchant_id, col(Subscription.id) == subscription_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


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
    return rows.first()


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
        .with_for_update(key_share=True)
    )
    return rows.first()


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
    return rows.first()


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """What a list of subscriptions may be narrowed by."""

    customer_id: str | None = None
    consumer_id: str | None = None
    statuses: Sequence[str] = ()
    started_before: datetime | None = None
    """Included."""


def newest_first(merchant_id: str, narrowed: SubscriptionFilter) -> SelectOfScalar[Subscription]:
    """A merchant's subscriptions, as far as the filter lets them through."""
    statement = sqlmodel.select(Subscription).where(Subscription.merchant_id == merchant_id)
    if narrowed.customer_id is not None:
        statement = statement.where(Subscription.customer_id == narrowed.customer_id)
    if narrowed.consumer_id is not None:
        statement = statement.where(
            col(Subscription.customer_id).in_(
                select(col(Customer.id)).where(
                    col(Customer.merchant_id) == merchant_id,
                    col(Customer.consumer_id) == narrowed.consumer_id,
                )
            )
        )
    if narrowed.statuses:
        statement = statement.where(col(Subscription.status).in_(narrowed.statuses))
    if narrowed.started_before is not None:
        statement = statement.where(Subscription.started_at <= narrowed.started_before)
    return statement.order_by(col(Subscription.created_at).desc(), col(Subscription.id).desc())


async def among(
    session: AsyncSession, merchant_id: str, subscription_ids: Collection[str]
) -> dict[str, Subscription]:
    """These subscriptions, by id."""
    rows = await row_sets.of_ids(session, Subscription, merchant_id, subscription_ids)
    return {row.id: row for row in rows}


async def locked(
    session: AsyncSession, merchant_id: str, subscription_ids: Collection[str]
) -> list[Subscription]:
    """These subscriptions, locked in the order of their ids."""
    return await row_sets.of_ids(session, Subscription, merchant_id, subscription_ids, lock=True)


async def bought_by(
    session: AsyncSession, merchant_id: str, subscription_ids: Collection[str]
) -> dict[str, Bought]:
    """What these subscriptions hang on, by their ids."""
    rows = await session.exec(
        select(col(Subscription.id), Plan, Customer, Consumer)
        .join(Plan, col(Plan.id) == col(Subscription.plan_id))
        .join(Customer, col(Customer.id) == col(Subscription.customer_id))
        .join(Consumer, col(Consumer.id) == col(Customer.consumer_id))
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.id).in_(subscription_ids),
        )
    )
    return {row[0]: Bought(plan=row[1], customer=row[2], consumer=row[3]) for row in rows}


async def first_invoices(
    session: AsyncSession, merchant_id: str, subscription_ids: Collection[str]
) -> dict[str, FirstInvoice]:
    """The invoices of sequence number 0, by subscription; each names the version it began with."""
    rows = await session.exec(
        select(Invoice, col(PlanVersion.number))
        .join(PlanVersion, col(PlanVersion.id) == col(Invoice.plan_version_id))
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id).in_(subscription_ids),
            col(Invoice.sequence_number) == 0,
        )
    )
    return {row[0].subscription_id: FirstInvoice(row[0], row[1]) for row in rows}
