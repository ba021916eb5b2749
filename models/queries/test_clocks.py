"""The statements of test clocks and their members."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlmodel
from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.base import wall_now
from models.invoices import Invoice
from models.subscriptions import Subscription
from models.test_clocks import TestClock, TestClockMember


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clock says."""

    clock_id: str
    now: datetime


async def get(
    session: AsyncSession, merchant_id: str, clock_id: str, *, lock: bool = False
) -> TestClock | None:
    """The clock, deleted or not."""
    statement = select(TestClock).where(
        col(TestClock.merchant_id) == merchant_id, col(TestClock.id) == clock_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def hold(session: AsyncSession, merchant_id: str, clock_id: str) -> TestClock | None:
    """The clock, neither moved nor deleted before the transaction ends; several may hold it."""
    statement = (
        select(TestClock)
        .where(col(TestClock.merchant_id) == merchant_id, col(TestClock.id) == clock_id)
        .with_for_update(read=True)
    )
    return (await session.exec(statement)).first()


def newest_first(merchant_id: str) -> SelectOfScalar[TestClock]:
    """A merchant's clocks that are not deleted."""
    return (
        sqlmodel.select(TestClock)
        .where(TestClock.merchant_id == merchant_id, col(TestClock.deleted_at).is_(None))
        .order_by(col(TestClock.created_at).desc(), col(TestClock.id).desc())
    )


async def now_of(
    session: AsyncSession, merchant_id: str, clock_id: str | None, wall: datetime
) -> datetime:
    """The clock's time, or the wall's for what is bound to none."""
    if clock_id is None:
        return wall
    clock = await get(session, merchant_id, clock_id)
    return wall if clock is None else clock.current_time


async def now_of_subscription(
    session: AsyncSession, merchant_id: str, subscription_id: str, wall: datetime
) -> datetime:
    """The time in which a subscription lives."""
    rows = await session.exec(
        select(col(TestClock.current_time))
        .join(Subscription, col(Subscription.test_clock_id) == col(TestClock.id))
        .where(
            col(Subscription.merchant_id) == merchant_id, col(Subscription.id) == subscription_id
        )
    )
    return rows.first() or wall


async def move(
    session: AsyncSession, merchant_id: str, clock_id: str, now: datetime, target: datetime
) -> None:
    """Moves the clock forward, never back (a repeated slice may come with an older instant)."""
    await session.exec(
        update(TestClock)
        .where(col(TestClock.merchant_id) == merchant_id, col(TestClock.id) == clock_id)
        .values(
            current_time=func.greatest(col(TestClock.current_time), now),
            target_time=func.greatest(col(TestClock.target_time), target),
            updated_at=wall_now(),
        )
    )


async def bind(
    session: AsyncSession,
    merchant_id: str,
    clock_id: str | None,
    workflow_id: str,
    due_at: datetime | None = None,
) -> None:
    """Makes a workflow a member of its clock, in the transaction of the fact that needs it.

    One that only waits for `due_at` at first need not be asked when it is due.
    """
    if clock_id is None:
        return
    await session.exec(
        insert(TestClockMember)
        .values(
            workflow_id=workflow_id,
            merchant_id=merchant_id,
            clock_id=clock_id,
            due_at=due_at,
            created_at=func.now(),
        )
        .on_conflict_do_update(
            index_elements=[col(TestClockMember.workflow_id)],
            set_={"ended_at": None, "due_at": due_at},
        )
    )


async def live_members(
    session: AsyncSession, merchant_id: str, clock_id: str
) -> dict[str, datetime | None]:
    """Whom the clock still moves, and before when nothing of each is due."""
    rows = await session.exec(
        select(col(TestClockMember.workflow_id), col(TestClockMember.due_at))
        .where(
            col(TestClockMember.merchant_id) == merchant_id,
            col(TestClockMember.clock_id) == clock_id,
            col(TestClockMember.ended_at).is_(None),
        )
        .order_by(col(TestClockMember.workflow_id))
    )
    return dict(rows.all())


# What `SubscriptionView` says of an active one; the others wait for more than an instant.
_DUE_SUBSCRIPTIONS = """
SELECT m.workflow_id, least(min(i.next_action_at), min(s.ending_at))
FROM subscriptions s
JOIN invoices i ON i.merchant_id = s.merchant_id AND i.subscription_id = s.id
    AND i.status = 'ACTIVE'
JOIN test_clock_members m ON m.merchant_id = s.merchant_id AND m.clock_id = s.test_clock_id
    AND m.workflow_id = 'subscription/' || s.id AND m.ended_at IS NULL
WHERE s.merchant_id = :merchant_id AND s.test_clock_id = :clock_id AND s.status = 'active'
GROUP BY m.workflow_id
ORDER BY m.workflow_id
"""


async def due_subscriptions(
    session: AsyncSession, merchant_id: str, clock_id: str
) -> dict[str, datetime | None]:
    """When each active subscription on the clock is due next, as its workflow would answer."""
    connection = await session.connection()
    rows = await connection.execute(
        text(_DUE_SUBSCRIPTIONS), {"merchant_id": merchant_id, "clock_id": clock_id}
    )
    return {row[0]: row[1] for row in rows}


async def end_members(session: AsyncSession, merchant_id: str, workflow_ids: Sequence[str]) -> None:
    """Takes finished workflows off their clock."""
    await session.exec(
        update(TestClockMember)
        .where(
            col(TestClockMember.merchant_id) == merchant_id,
            col(TestClockMember.workflow_id).in_(workflow_ids),
        )
        .values(ended_at=func.now())
    )


async def last_grace_end(session: AsyncSession, merchant_id: str, clock_id: str) -> datetime | None:
    """When the last of its invoices closes that waits for its grace; None where none does.

    One whose values cannot be calculated waits for more than an instant.
    """
    found = await session.exec(
        select(func.max(col(Invoice.grace_period_end)))
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id))
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.test_clock_id) == clock_id,
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.status) == "CLOSING",
            col(Invoice.failure_reason).is_(None),
        )
    )
    return found.one()


async def living_subscriptions(session: AsyncSession, merchant_id: str, clock_id: str) -> int:
    """How many subscriptions on the clock are not terminated."""
    count = await session.exec(
        select(func.count())
        .select_from(Subscription)
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.test_clock_id) == clock_id,
            col(Subscription.status) != "terminated",
        )
    )
    return count.one()
