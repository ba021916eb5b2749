"""One page of a list and how many rows the whole list has; what is listed is the query's affair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows `offset` to `offset + limit` of `total`."""

    rows: Sequence[T]
    total: int


async def read_page(
    session: AsyncSession,
    statement: SelectOfScalar[T],
    *,
    limit: int,
    offset: int,
    total: int | None = None,
) -> Page[T]:
    """The statement brings its order; counting drops it, and is spared where the total is kept."""
    if total is None:
        counted = statement.order_by(None).subquery()
        total = (await session.exec(select(func.count()).select_from(counted))).one()
    if offset >= total:
        return Page(rows=[], total=total)
    rows = (await session.exec(statement.limit(limit).offset(offset))).all()
    return Page(rows=rows, total=total)
