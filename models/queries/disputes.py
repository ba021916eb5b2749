"""The statements of disputes."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlmodel
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.customers import Consumer, Customer
from models.disputes import Dispute


@dataclass(frozen=True, slots=True)
class DisputeFilter:
    """What a list of disputes may be narrowed by."""

    customer_id: str | None = None
    consumer_id: str | None = None
    status: str | None = None


async def get(
    session: AsyncSession, merchant_id: str, dispute_id: str, *, lock: bool = False
) -> Dispute | None:
    """The dispute, whatever its state."""
    statement = select(Dispute).where(
        col(Dispute.merchant_id) == merchant_id, col(Dispute.id) == dispute_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def add(session: AsyncSession, row: Dispute) -> bool:
    """Inserts it; False when the use is disputed already."""
    done = await session.exec(
        insert(Dispute)
        .values(**row.model_dump())
        .on_conflict_do_nothing()
        .returning(col(Dispute.id))
    )
    return done.scalar_one_or_none() is not None


def newest_first(merchant_id: str, narrowed: DisputeFilter) -> SelectOfScalar[Dispute]:
    """A merchant's disputes, as far as the filter lets them through."""
    statement = sqlmodel.select(Dispute).where(Dispute.merchant_id == merchant_id)
    if narrowed.customer_id is not None:
        statement = statement.where(Dispute.customer_id == narrowed.customer_id)
    if narrowed.status is not None:
        statement = statement.where(Dispute.status == narrowed.status)
    if narrowed.consumer_id is not None:
        statement = statement.join(Customer, col(Customer.id) == col(Dispute.customer_id)).where(
            Customer.consumer_id == narrowed.consumer_id
        )
    return statement.order_by(col(Dispute.created_at).desc(), col(Dispute.id).desc())


async def consumers_of(
    session: AsyncSession, merchant_id: str, customer_ids: Collection[str]
) -> dict[str, Consumer]:
    """Who these customers are, by the customer's id."""
    rows = await session.exec(
        select(col(Customer.id), Consumer)
        .join(Consumer, col(Consumer.id) == col(Customer.consumer_id))
        .where(col(Customer.merchant_id) == merchant_id, col(Customer.id).in_(customer_ids))
    )
    return {row[0]: row[1] for row in rows.all()}
