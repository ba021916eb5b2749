"""The statements of customer credits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.base import wall_now
from models.customer_credits import CustomerCredit


async def get(
    session: AsyncSession, merchant_id: str, credit_id: str, *, lock: bool = False
) -> CustomerCredit | None:
    """The credit; with `lock` until the transaction ends."""
    statement = select(CustomerCredit).where(
        col(CustomerCredit.merchant_id) == merchant_id, col(CustomerCredit.id) == credit_id
    )
    rows = await session.exec(statement.with_for_update(key_share=True) if lock else statement)
    return rows.first()


async def any_merchants(session: AsyncSession, credit_id: str) -> CustomerCredit | None:
    """The credit of whichever merchant: an operator knows an id."""
    rows = await session.exec(select(CustomerCredit).where(col(CustomerCredit.id) == credit_id))
    return rows.first()


async def add(session: AsyncSession, row: CustomerCredit) -> bool:
    """Inserts it; False when it stands already."""
    done = await session.exec(
        insert(CustomerCredit)
        .values(**row.model_dump())
        .on_conflict_do_nothing()
        .returning(col(CustomerCredit.id))
    )
    return done.scalar_one_or_none() is not None


async def change(session: AsyncSession, row: CustomerCredit, **changes: Any) -> None:
    """Writes some columns."""
    await session.exec(
        update(CustomerCredit)
        .where(col(CustomerCredit.merchant_id) == row.merchant_id, col(CustomerCredit.id) == row.id)
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


async def of_lines(
    session: AsyncSession, merchant_id: str, line_ids: Sequence[str]
) -> list[CustomerCredit]:
    """The credits that the rests of these lines have become."""
    rows = await session.exec(
        select(CustomerCredit).where(
            col(CustomerCredit.merchant_id) == merchant_id,
            col(CustomerCredit.line_id).in_(line_ids),
        )
    )
    return list(rows.all())


@dataclass(frozen=True, slots=True)
class CreditFilter:
    """What a list of credits may be narrowed by."""

    merchant_id: str | None = None
    customer_id: str | None = None
    subscription_id: str | None = None
    status: str | None = None


def newest_first(narrowed: CreditFilter) -> SelectOfScalar[CustomerCredit]:
    """Credits of whichever merchants, as far as the filter lets them through."""
    statement = select(CustomerCredit)
    for column, wanted in (
        (CustomerCredit.merchant_id, narrowed.merchant_id),
        (CustomerCredit.customer_id, narrowed.customer_id),
        (CustomerCredit.subscription_id, narrowed.subscription_id),
        (CustomerCredit.status, narrowed.status),
    ):
        if wanted is not None:
            statement = statement.where(col(column) == wanted)
    return statement.order_by(col(CustomerCredit.created_at).desc(), col(CustomerCredit.id).desc())
