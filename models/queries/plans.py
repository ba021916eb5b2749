"""Statements on plans, their versions and lines."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.invoices import Invoice
from models.plans import Plan, PlanLine, PlanVersion
from models.prices import Price
from models.subscriptions import Subscription

Sold = aliased(Plan)


def newest_first(merchant_id: str, product_id: str | None = None) -> SelectOfScalar[Plan]:
    """A merchant's plans, all or of one product."""
    statement = select(Plan).where(Plan.merchant_id == merchant_id)
    if product_id is not None:
        statement = statement.where(Plan.product_id == product_id)
    return statement.order_by(col(Plan.created_at).desc(), col(Plan.id).desc())


def available_to(
    merchant_id: str,
    customer_id: str,
    *,
    product_id: str | None = None,
    name_part: str | None = None,
) -> SelectOfScalar[Plan]:
    """The plans of the products that the customer has no active or pending subscription to."""
    taken = (
        select(Subscription.id)
        .join(Sold, col(Sold.id) == col(Subscription.plan_id))
        .where(
            Subscription.merchant_id == merchant_id,
            Subscription.customer_id == customer_id,
            col(Subscription.status) != "terminated",
            col(Sold.product_id) == col(Plan.product_id),
        )
        .exists()
    )
    statement = newest_first(merchant_id, product_id).where(~taken)
    if name_part:
        statement = statement.where(func.strpos(func.lower(Plan.name), name_part.lower()) > 0)
    return statement


async def get(
    session: AsyncSession, merchant_id: str, plan_id: str, *, lock: bool = False
) -> Plan | None:
    """A plan of this merchant; locked by whoever changes it, or makes a version of it."""
    statement = select(Plan).where(Plan.merchant_id == merchant_id, Plan.id == plan_id)
    if lock:
        await hold_alone(session, merchant_id, [plan_id])
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def hold(session: AsyncSession, merchant_id: str, plan_id: str) -> None:
    """Keeps what a plan charges as it is until the transaction ends; several may.

    For whoever begins to bill it: ask before anything of the plan is read.
    """
    connection = await session.connection()
    await connection.execute(select(func.pg_advisory_xact_lock_shared(_key(merchant_id, plan_id))))


async def hold_alone(session: AsyncSession, merchant_id: str, plan_ids: Collection[str]) -> None:
    """Waits until nobody begins to bill these plans, and keeps others from it.

    A queue of its own instead of the plan's row: there, who may hold it together would go on
    passing by who waits to change it.
    """
    connection = await session.connection()
    for plan_id in sorted(plan_ids):
        await connection.execute(select(func.pg_advisory_xact_lock(_key(merchant_id, plan_id))))


def _key(merchant_id: str, plan_id: str) -> ColumnElement[int]:
    return func.hashtextextended(f"plan/{merchant_id}/{plan_id}", 0)


async def lines(
    session: AsyncSession, merchant_id: str, version_ids: Sequence[str]
) -> dict[str, list[tuple[PlanLine, Price]]]:
    """The lines of these versions with their prices, in order, by version."""
    statement = (
        select(PlanLine, Price)
        .join(Price, col(Price.id) == col(PlanLine.price_id))
        .where(PlanLine.merchant_id == merchant_id, col(PlanLine.plan_version_id).in_(version_ids))
        .order_by(col(PlanLine.plan_version_id), col(PlanLine.position))
    )
    found: dict[str, list[tuple[PlanLine, Price]]] = {version_id: [] for version_id in version_ids}
    for line, price in (await session.exec(statement)).all():
        found[line.plan_version_id].append((line, price))
    return found


async def last_number(session: AsyncSession, merchant_id: str, plan_id: str) -> int:
    """The number of the newest version; ask under the plan's lock."""
    statement = select(func.coalesce(func.max(PlanVersion.number), 0)).where(
        PlanVersion.merchant_id == merchant_id, PlanVersion.plan_id == plan_id
    )
    return (await session.exec(statement)).one()


def versions_newest_first(merchant_id: str, plan_id: str) -> SelectOfScalar[PlanVersion]:
    """A plan's versions."""
    return (
        select(PlanVersion)
        .where(PlanVersion.merchant_id == merchant_id, PlanVersion.plan_id == plan_id)
        .order_by(col(PlanVersion.number).desc())
    )


async def version(
    session: AsyncSession, merchant_id: str, plan_id: str, number: int
) -> PlanVersion | None:
    """A version of a plan by its number."""
    statement = versions_newest_first(merchant_id, plan_id).where(PlanVersion.number == number)
    return (await session.exec(statement)).one_or_none()


async def version_by_id(
    session: AsyncSession, merchant_id: str, version_id: str
) -> PlanVersion | None:
    """A version by its own id."""
    statement = select(PlanVersion).where(
        PlanVersion.merchant_id == merchant_id, PlanVersion.id == version_id
    )
    return (await session.exec(statement)).one_or_none()


async def lines_of_plan(session: AsyncSession, merchant_id: str, plan_id: str) -> list[PlanLine]:
    """The lines of all of a plan's versions; ask under the plan's lock."""
    statement = (
        select(PlanLine)
        .join(PlanVersion, col(PlanVersion.id) == col(PlanLine.plan_version_id))
        .where(PlanLine.merchant_id == merchant_id, PlanVersion.plan_id == plan_id)
    )
    return list((await session.exec(statement)).all())


async def held_elsewhere(
    session: AsyncSession, merchant_id: str, plan_id: str, price_ids: Sequence[str]
) -> set[str]:
    """Those of these prices that a version of another plan holds."""
    statement = (
        select(PlanLine.price_id)
        .join(PlanVersion, col(PlanVersion.id) == col(PlanLine.plan_version_id))
        .where(
            PlanLine.merchant_id == merchant_id,
            PlanVersion.plan_id != plan_id,
            col(PlanLine.price_id).in_(price_ids),
        )
        .distinct()
    )
    return set((await session.exec(statement)).all())


async def subscription_counts(
    session: AsyncSession, merchant_id: str, plan_id: str
) -> dict[str, int]:
    """How many active and pending subscriptions began with each version of a plan.

    The first invoice names the version that a subscription was created with.
    """
    statement = (
        select(Invoice.plan_version_id, func.count())
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id))
        .where(
            Invoice.merchant_id == merchant_id,
            Invoice.sequence_number == 0,
            Subscription.plan_id == plan_id,
            Subscription.status != "terminated",
        )
        .group_by(col(Invoice.plan_version_id))
    )
    return dict((await session.exec(statement)).all())
