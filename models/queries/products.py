"""Statements on products."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.products import Product


def newest_first(merchant_id: str) -> SelectOfScalar[Product]:
    """A merchant's products."""
    return (
        select(Product)
        .where(Product.merchant_id == merchant_id)
        .order_by(col(Product.created_at).desc(), col(Product.id).desc())
    )


async def get(session: AsyncSession, merchant_id: str, product_id: str) -> Product | None:
    """A product of this merchant."""
    statement = select(Product).where(Product.merchant_id == merchant_id, Product.id == product_id)
    return (await session.exec(statement)).one_or_none()
