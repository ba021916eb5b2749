"""Statements on plans, their versions and lines."""

from collections.abc import Sequence

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.plans import Plan, PlanLine, PlanVersion
from models.prices import Price


def newest_first(merchant_id: str, product_id: str | None = None) -> SelectOfScalar[Plan]:
    """A merchant's plans, all or of one product."""
    statement = select(Plan).where(Plan.merchant_id == merchant_id)
    if product_id is not None:
        statement = statement.where(Plan.product_id == product_id)
    return statement.order_by(col(Plan.created_at).desc(), col(Plan.id).desc())


async def get(
    session: AsyncSession, merchant_id: str, plan_id: str, *, lock: bool = False
) -> Plan | None:
    """A plan of this merchant; locked by whoever makes a version of it."""
    statement = select(Plan).where(Plan.merchant_id == merchant_id, Plan.id == plan_id)
    if lock:
        statement = statement.with_for_update()
    return (await session.exec(statement)).one_or_none()


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
