"""The statements of voided usage events."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.usage import UsageEvent
from models.usage_voids import UsageVoid


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What a void must know of its event."""

    type: str
    timestamp: datetime


async def event(session: AsyncSession, merchant_id: str, event_id: UUID) -> StoredEvent | None:
    """The event that is to be voided."""
    rows = await session.exec(
        select(col(UsageEvent.type), col(UsageEvent.timestamp)).where(
            col(UsageEvent.merchant_id) == merchant_id, col(UsageEvent.id) == event_id
        )
    )
    row = rows.first()
    return None if row is None else StoredEvent(*row)


async def get(session: AsyncSession, merchant_id: str, event_id: UUID) -> UsageVoid | None:
    """The void of an event; None where it counts."""
    rows = await session.exec(
        select(UsageVoid).where(
            col(UsageVoid.merchant_id) == merchant_id, col(UsageVoid.event_id) == event_id
        )
    )
    return rows.first()


async def add(session: AsyncSession, row: UsageVoid) -> bool:
    """Voids an event once; False when it is void already, and then the first reason stands."""
    done = await session.exec(
        insert(UsageVoid)
        .values(**row.model_dump())
        .on_conflict_do_nothing()
        .returning(col(UsageVoid.event_id))
    )
    return done.scalar_one_or_none() is not None


async def within(
    session: AsyncSession,
    merchant_id: str,
    types: Collection[str],
    start: datetime,
    end: datetime,
) -> list[UsageVoid]:
    """The voids of events of these types that happened in [start, end), in order of time."""
    rows = await session.exec(
        select(UsageVoid)
        .where(
            col(UsageVoid.merchant_id) == merchant_id,
            col(UsageVoid.type).in_(types),
            col(UsageVoid.timestamp) >= start,
            col(UsageVoid.timestamp) < end,
        )
        .order_by(col(UsageVoid.timestamp), col(UsageVoid.event_id))
    )
    return list(rows.all())
