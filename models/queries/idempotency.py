"""Statements on idempotency keys."""

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.idempotency import IdempotencyKey


async def get(session: AsyncSession, merchant_id: str, key: str) -> IdempotencyKey | None:
    """A merchant's key."""
    statement = select(IdempotencyKey).where(
        IdempotencyKey.merchant_id == merchant_id, IdempotencyKey.key == key
    )
    return (await session.exec(statement)).one_or_none()


async def claim(session: AsyncSession, fresh: IdempotencyKey, abandoned_before: datetime) -> bool:
    """Whether the key is the caller's to work on: new, or left unfinished for too long."""
    inserted = insert(IdempotencyKey).values(**fresh.model_dump())
    statement = inserted.on_conflict_do_update(
        index_elements=[col(IdempotencyKey.merchant_id), col(IdempotencyKey.key)],
        set_={"claimed_at": fresh.claimed_at},
        where=col(IdempotencyKey.status).is_(None)
        & (col(IdempotencyKey.digest) == fresh.digest)
        & (col(IdempotencyKey.claimed_at) < abandoned_before),
    ).returning(col(IdempotencyKey.key))
    return (await session.exec(statement)).first() is not None


async def finish(
    session: AsyncSession, merchant_id: str, key: str, *, status: int, body: str
) -> None:
    """Stores the answer to a claimed key."""
    await session.exec(
        update(IdempotencyKey)
        .where(col(IdempotencyKey.merchant_id) == merchant_id, col(IdempotencyKey.key) == key)
        .values(status=status, body=body)
    )


async def release(session: AsyncSession, merchant_id: str, key: str) -> None:
    """Frees a claimed key whose request was refused."""
    await session.exec(
        delete(IdempotencyKey).where(
            col(IdempotencyKey.merchant_id) == merchant_id,
            col(IdempotencyKey.key) == key,
            col(IdempotencyKey.status).is_(None),
        )
    )
