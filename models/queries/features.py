"""Statements on features; deleted ones are out of every list and look-up."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.features import Feature


def newest_first(
    merchant_id: str, product_id: str, key: str | None = None
) -> SelectOfScalar[Feature]:
    """A product's features, all or the one with this key."""
    statement = select(Feature).where(
        Feature.merchant_id == merchant_id,
        Feature.product_id == product_id,
        col(Feature.deleted_at).is_(None),
    )
    if key is not None:
        statement = statement.where(Feature.key == key)
    return statement.order_by(col(Feature.created_at).desc(), col(Feature.id).desc())


async def get(
    session: AsyncSession, merchant_id: str, feature_id: str, *, lock: bool = False
) -> Feature | None:
    """A feature of this merchant; locked by whoever changes it, deletes it or hangs on it."""
    statement = select(Feature).where(
        Feature.merchant_id == merchant_id,
        Feature.id == feature_id,
        col(Feature.deleted_at).is_(None),
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def has_key(session: AsyncSession, merchant_id: str, product_id: str, key: str) -> bool:
    """Whether a living feature of the product has this key."""
    found = await session.exec(newest_first(merchant_id, product_id, key).limit(1))
    return found.first() is not None
