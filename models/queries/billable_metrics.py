"""Statements on billable metrics; reading usage with them stands in `models.queries.usage`."""

from collections.abc import Collection

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from billing.metering import NUMERIC_AGGREGATIONS
from models.billable_metrics import BillableMetric
from models.invoices import InvoiceLine


def newest_first(
    merchant_id: str, *, product_id: str | None = None, item_id: str | None = None
) -> SelectOfScalar[BillableMetric]:
    """A merchant's metrics, all or of one product or item."""
    statement = select(BillableMetric).where(BillableMetric.merchant_id == merchant_id)
    if product_id is not None:
        statement = statement.where(BillableMetric.product_id == product_id)
    if item_id is not None:
        statement = statement.where(BillableMetric.item_id == item_id)
    return statement.order_by(col(BillableMetric.created_at).desc(), col(BillableMetric.id).desc())


async def get(session: AsyncSession, merchant_id: str, metric_id: str) -> BillableMetric | None:
    """A metric of this merchant."""
    statement = select(BillableMetric).where(
        BillableMetric.merchant_id == merchant_id, BillableMetric.id == metric_id
    )
    return (await session.exec(statement)).one_or_none()


async def among(
    session: AsyncSession, merchant_id: str, metric_ids: Collection[str]
) -> dict[str, BillableMetric]:
    """Those of these metrics that the merchant has, by id."""
    statement = select(BillableMetric).where(
        BillableMetric.merchant_id == merchant_id, col(BillableMetric.id).in_(metric_ids)
    )
    return {metric.id: metric for metric in await session.exec(statement)}


async def quantity_paths(
    session: AsyncSession, merchant_id: str, types: Collection[str]
) -> dict[str, str]:
    """Which of these event types any metric reads, and by which path a number; "" if by none.

    Where metrics read several numbers of a type it is the oldest metric's.
    """
    statement = (
        select(BillableMetric)
        .where(BillableMetric.merchant_id == merchant_id, col(BillableMetric.event_type).in_(types))
        .order_by(col(BillableMetric.created_at), col(BillableMetric.id))
    )
    paths: dict[str, str] = {}
    for metric in await session.exec(statement):
        is_number = metric.aggregation in NUMERIC_AGGREGATIONS
        path = metric.value_property if is_number and metric.value_property else ""
        paths[metric.event_type] = paths.get(metric.event_type) or path
    return paths


async def is_billed(session: AsyncSession, merchant_id: str, metric_id: str) -> bool:
    """Whether a closed period's invoice holds a reading of this metric."""
    statement = (
        select(InvoiceLine.id)
        .where(
            InvoiceLine.merchant_id == merchant_id,
            InvoiceLine.source_id == metric_id,
            InvoiceLine.kind == "metric",
        )
        .limit(1)
    )
    return (await session.exec(statement)).first() is not None
