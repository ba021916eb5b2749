"""Limit and offset in, the contract's list envelope out; the order is the statement's affair."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Depends, Query
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from api.schema import INT32_MAX, Wire
from models.page import Page, read_page

T = TypeVar("T")
Answer = TypeVar("Answer")

LIMIT_DEFAULT = 10
LIMIT_MAX = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """Which part of a list the caller wants."""

    limit: int
    offset: int


def paging(
    *, default: int = LIMIT_DEFAULT, maximum: int = LIMIT_MAX, offset_maximum: int = INT32_MAX
) -> Callable[..., Awaitable[Limits]]:
    """The dependency that reads `limit` and `offset`; some operations have limits of their own."""

    async def limits(
        limit: Annotated[int, Query(ge=1, le=maximum)] = default,
        offset: Annotated[int, Query(ge=0, le=offset_maximum)] = 0,
    ) -> Limits:
        return Limits(limit=limit, offset=offset)

    return limits


Paging = Annotated[Limits, Depends(paging())]
PagingOfFifty = Annotated[Limits, Depends(paging(default=50))]


class Pagination(Wire):
    """What was asked for, and how many there are."""

    limit: int
    offset: int
    total: int


class Listing(Wire, Generic[Answer]):
    """A page of a list."""

    object: Literal["list"] = "list"
    data: list[Answer]
    pagination: Pagination


async def paginate(
    session: AsyncSession, statement: SelectOfScalar[T], paging: Limits, total: int | None = None
) -> Page[T]:
    """The rows of the page and the total, which is counted unless it is known."""
    return await read_page(
        session, statement, limit=paging.limit, offset=paging.offset, total=total
    )


def pagination(total: int, paging: Limits) -> Pagination:
    """The envelope's figures."""
    return Pagination(limit=paging.limit, offset=paging.offset, total=total)


def listing(answers: Iterable[Answer], total: int, paging: Limits) -> Listing[Answer]:
    """The envelope round the page's answers."""
    return Listing(data=list(answers), pagination=pagination(total, paging))
