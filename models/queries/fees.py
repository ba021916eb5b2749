"""Statements on fees; deleted ones are out of every list and look-up."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.fees import Fee


def newest_first(
    merchant_id: str, *, product_id: str | None = None, item_id: str | None = None
) -> SelectOfScalar[Fee]:
    """A merchant's fees, all or of one product or item."""
    statement = select(Fee).where(Fee.merchant_id == merchant_id, col(Fee.deleted_at).is_(None))
    if product_id is not None:
        statement = statement.where(Fee.product_id == product_id)
    if item_id is not None:
        statement = statement.where(Fee.item_id == item_id)
    return statement.order_by(col(Fee.created_at).desc(), col(Fee.id).desc())


async def get(
    session: AsyncSession, merchant_id: str, fee_id: str, *, lock: bool = False
) -> Fee | None:
    """A fee of this merchant; locked by whoever gives it a price or deletes it."""
    statement = select(Fee).where(
        Fee.merchant_id == merchant_id, Fee.id == fee_id, col(Fee.deleted_at).is_(None)
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()
