"""The statements of refunds."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import wall_now
from models.refunds import Refund


async def get(
    session: AsyncSession, merchant_id: str, refund_id: str, *, lock: bool = False
) -> Refund | None:
    """The refund, whatever its state."""
    statement = select(Refund).where(
        col(Refund.merchant_id) == merchant_id, col(Refund.id) == refund_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def of_invoice(session: AsyncSession, merchant_id: str, invoice_id: str) -> list[Refund]:
    """An invoice's refunds, voided ones too, oldest first."""
    rows = await session.exec(
        select(Refund)
        .where(col(Refund.merchant_id) == merchant_id, col(Refund.invoice_id) == invoice_id)
        .order_by(col(Refund.created_at), col(Refund.id))
    )
    return list(rows.all())


async def add(session: AsyncSession, refund: Refund) -> None:
    """Inserts it; the invoice's lock has kept a second one away."""
    await session.exec(insert(Refund).values(**refund.model_dump()))


async def change(session: AsyncSession, merchant_id: str, refund_id: str, **changes: Any) -> None:
    """Writes some columns."""
    await session.exec(
        update(Refund)
        .where(col(Refund.merchant_id) == merchant_id, col(Refund.id) == refund_id)
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )
