"""The statements of notifications."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models import row_sets
from models.notifications import Notification
from models.row_sets import is_among


@dataclass(frozen=True, kw_only=True)
class NotificationFilter:
    """Whose notifications; nothing narrows by default, not even a merchant."""

    merchant_id: str | None = None
    subscription_id: str | None = None


async def add(session: AsyncSession, row: Notification) -> None:
    """Inserts under the derived id; what was told is not told again."""
    await session.exec(insert(Notification).values(**row.model_dump()).on_conflict_do_nothing())


async def add_all(session: AsyncSession, added: Sequence[Notification]) -> None:
    """The same of many in one statement."""
    await row_sets.insert_new(session, Notification, [each.model_dump() for each in added])


async def is_told(session: AsyncSession, merchant_id: str, notification_id: str) -> bool:
    """Whether it was told."""
    rows = await session.exec(
        select(col(Notification.id)).where(
            col(Notification.merchant_id) == merchant_id,
            col(Notification.id) == notification_id,
        )
    )
    return rows.first() is not None


async def told_among(
    session: AsyncSession, merchant_id: str, notification_ids: Collection[str]
) -> set[str]:
    """Those of these ids that were told; nothing is asked about nothing."""
    if not notification_ids:
        return set()
    rows = await session.exec(
        select(col(Notification.id)).where(
            col(Notification.merchant_id) == merchant_id,
            is_among(col(Notification.id), notification_ids),
        )
    )
    return set(rows.all())


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
