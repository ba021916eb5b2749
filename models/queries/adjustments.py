"""The statements of adjustments: which reach a subscription, and which were billed."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from billing import adjustments as rules
from models.adjustments import Adjustment
from models.base import wall_now
from models.invoices import Invoice, InvoiceLine

ISSUED = ("ISSUED", "PAID", "PAYMENT_FAILED", "WRITTEN_OFF")


def oldest_window_first(merchant_id: str, subscription_id: str) -> SelectOfScalar[Adjustment]:
    """The subscription's adjustments, without the deleted ones."""
    return (
        select(Adjustment)
        .where(
            col(Adjustment.merchant_id) == merchant_id,
            col(Adjustment.subscription_id) == subscription_id,
            col(Adjustment.deleted_at).is_(None),
        )
        .order_by(col(Adjustment.effective_from), col(Adjustment.created_at), col(Adjustment.id))
    )


async def of_subscription(
    session: AsyncSession, merchant_id: str, subscription_id: str
) -> list[rules.Adjustment]:
    """The same, as billing sees them."""
    rows = await session.exec(oldest_window_first(merchant_id, subscription_id))
    return [_rule(row) for row in rows.all()]


async def named(
    session: AsyncSession, merchant_id: str, adjustment_ids: Collection[str]
) -> dict[str, rules.Adjustment]:
    """These adjustments by id, also those that were deleted: what was billed under them."""
    if not adjustment_ids:
        return {}
    rows = await session.exec(
        select(Adjustment)
        .where(col(Adjustment.merchant_id) == merchant_id, col(Adjustment.id).in_(adjustment_ids))
        .order_by(col(Adjustment.effective_from), col(Adjustment.created_at), col(Adjustment.id))
    )
    return {row.id: _rule(row) for row in rows.all()}


async def get(
    session: AsyncSession, merchant_id: str, subscription_id: str, adjustment_id: str
) -> Adjustment | None:
    """The adjustment, if it is this subscription's and not deleted; locked, to be changed."""
    statement = oldest_window_first(merchant_id, subscription_id).where(
        col(Adjustment.id) == adjustment_id
    )
    return (await session.exec(statement.with_for_update(key_share=True))).first()


async def any_state(
    session: AsyncSession, merchant_id: str, adjustment_id: str
) -> Adjustment | None:
    """The adjustment, also when it is deleted."""
    rows = await session.exec(
        select(Adjustment).where(
            col(Adjustment.merchant_id) == merchant_id, col(Adjustment.id) == adjustment_id
        )
    )
    return rows.first()


async def by_key(
    session: AsyncSession, merchant_id: str, subscription_id: str, idempotency_key: str
) -> Adjustment | None:
    """The adjustment that this key made, deleted or not."""
    rows = await session.exec(
        select(Adjustment).where(
            col(Adjustment.merchant_id) == merchant_id,
            col(Adjustment.subscription_id) == subscription_id,
            col(Adjustment.idempotency_key) == idempotency_key,
        )
    )
    return rows.first()


async def last_billed(
    session: AsyncSession, merchant_id: str, subscription_id: str, adjustment_id: str
) -> datetime | None:
    """The end of the last period that an issued invoice bills under it; None where none does."""
    rows = await session.exec(
        select(col(InvoiceLine.period_end))
        .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id) == subscription_id,
            col(Invoice.status).in_(ISSUED),
            col(InvoiceLine.adjustment_ids).contains([adjustment_id]),
        )
        .order_by(col(InvoiceLine.period_end).desc())
        .limit(1)
    )
    return rows.first()


async def change(
    session: AsyncSession, merchant_id: str, adjustment_id: str, **changes: Any
) -> None:
    """Writes some columns."""
    await session.exec(
        update(Adjustment)
        .where(col(Adjustment.merchant_id) == merchant_id, col(Adjustment.id) == adjustment_id)
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


def _rule(row: Adjustment) -> rules.Adjustment:
    kinds: dict[str, rules.Kind] = {
        "percentageDiscount": "percentageDiscount",
        "usageDiscount": "usageDiscount",
        "minimumQuantity": "minimumQuantity",
        "maximumQuantity": "maximumQuantity",
    }
    return rules.Adjustment(
        adjustment_id=row.id,
        kind=kinds[row.kind],
        value=row.value,
        start=row.effective_from,
        end=row.effective_to,
        target_id=row.target_price_ids[0] if row.target_price_ids else "",
        target_key=row.target_key or "",
        description=row.description,
    )
