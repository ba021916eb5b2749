"""The outbox's statements: add in the fact's transaction, claim by the relay, mark as sent."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.outbox import OutboxRow

CHANNEL = "durabill_outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStart:
    """A workflow that the committing transaction owes."""

    merchant_id: str
    workflow_id: str
    workflow_type: str
    argument: dict[str, Any]


async def add(session: AsyncSession, start: WorkflowStart) -> None:
    """Owes a start; repeated with the same workflow id it owes nothing more.

    The notification reaches the relay when, and only when, the transaction commits.
    """
    await session.exec(
        insert(OutboxRow)
        .values(
            workflow_id=start.workflow_id,
            merchant_id=start.merchant_id,
            workflow_type=start.workflow_type,
            argument=start.argument,
            created_at=func.now(),
        )
        .on_conflict_do_nothing()
    )
    await session.exec(select(func.pg_notify(CHANNEL, "")))


async def owe_again(session: AsyncSession, start: WorkflowStart) -> None:
    """Owes a start once more, with today's argument; the relay finds out whether it is needed."""
    await session.exec(
        insert(OutboxRow)
        .values(
            workflow_id=start.workflow_id,
            merchant_id=start.merchant_id,
            workflow_type=start.workflow_type,
            argument=start.argument,
            created_at=func.now(),
        )
        .on_conflict_do_update(
            index_elements=[col(OutboxRow.workflow_id)],
            set_={"argument": start.argument, "sent_at": None},
        )
    )
    await session.exec(select(func.pg_notify(CHANNEL, "")))


async def claim(session: AsyncSession, limit: int) -> list[OutboxRow]:
    """The oldest unsent rows of all merchants, locked until the transaction ends."""
    rows = await session.exec(
        select(OutboxRow)
        .where(col(OutboxRow.sent_at).is_(None))
        .order_by(col(OutboxRow.created_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(rows.all())


async def unsent(session: AsyncSession, merchant_id: str, workflow_id: str) -> OutboxRow | None:
    """The row of a workflow that is still owed."""
    rows = await session.exec(
        select(OutboxRow).where(
            col(OutboxRow.merchant_id) == merchant_id,
            col(OutboxRow.workflow_id) == workflow_id,
            col(OutboxRow.sent_at).is_(None),
        )
    )
    return rows.first()


async def mark_sent(session: AsyncSession, merchant_id: str, workflow_id: str) -> None:
    """Notes that the workflow was started (or already ran)."""
    await session.exec(
        update(OutboxRow)
        .where(
            col(OutboxRow.merchant_id) == merchant_id,
            col(OutboxRow.workflow_id) == workflow_id,
        )
        .values(sent_at=func.now())
    )
