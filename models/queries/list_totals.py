"""Statements on list totals: they are only read here, since triggers write them."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Table
from models.list_totals import ListTotal


async def of(session: AsyncSession, merchant_id: str, table: type[Table]) -> int:
    """How many rows of the table a merchant's whole list has."""
    statement = select(ListTotal.total).where(
        ListTotal.merchant_id == merchant_id, ListTotal.list == table.__tablename__
    )
    return (await session.exec(statement)).one_or_none() or 0
