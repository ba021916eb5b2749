"""Statements on billable metrics; reading usage with them stands in `models.queries.usage`."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

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


async def reads_type(session: AsyncSession, merchant_id: str, event_type: str) -> bool:
    """Whether any metric of the merchant reads events of this type."""
    statement = (
        select(BillableMetric.id)
        .where(BillableMetric.merchant_id == merchant_id, BillableMetric.event_type == event_type)
        .limit(1)
    )
    return (await session.exec(statement)).first() is not None


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
