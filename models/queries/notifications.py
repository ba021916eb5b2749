"""The statements of notifications."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.notifications import Notification


@dataclass(frozen=True, kw_only=True)
class NotificationFilter:
    """Whose notifications; nothing narrows by default, not even a merchant."""

    merchant_id: str | None = None
    subscription_id: str | None = None


async def add(session: AsyncSession, row: Notification) -> None:
    """Inserts under the derived id; what was told is not told again."""
    await session.exec(insert(Notification).values(**row.model_dump()).on_conflict_do_nothing())


async def is_told(session: AsyncSession, merchant_id: str, notification_id: str) -> bool:
    """Whether it was told."""
    rows = await session.exec(
        select(col(Notification.id)).where(
            col(Notification.merchant_id) == merchant_id,
            col(Notification.id) == notification_id,
        )
    )
    return rows.first() is not None


def newest_first(narrowed: NotificationFilter) -> SelectOfScalar[Notification]:
    """What was told, newest first."""
    conditions: list[Any] = []
    if narrowed.merchant_id is not None:
        conditions.append(Notification.merchant_id == narrowed.merchant_id)
    if narrowed.subscription_id is not None:
        conditions.append(Notification.subscription_id == narrowed.subscription_id)
    return (
        select(Notification)
        .where(*conditions)
        .order_by(col(Notification.created_at).desc(), col(Notification.id).desc())
    )
