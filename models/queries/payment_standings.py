"""How payments and their pages stand at this moment: derived at each read, written nowhere.

A row says `pending` from its page's opening to its end. Whether a charge is under way meanwhile,
its attempts say; whether its time is over, a clock says: the subscription's, else the wall's.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.payments import Payment, PaymentAttempt, PaymentSession
from models.subscriptions import Subscription
from models.test_clocks import TestClock


def of_payment(wall: datetime) -> ColumnElement[str]:
    """A one-off payment's status; it lives in wall time."""
    is_waiting = col(Payment.status) == "pending"
    is_charged = _is_charged(col(Payment.merchant_id), col(Payment.id))
    return case(
        (and_(is_waiting, is_charged), "processing"),
        (and_(is_waiting, col(Payment.expires_at) <= wall), "expired"),
        else_=col(Payment.status),
    )


def of_session(wall: datetime) -> ColumnElement[str]:
    """A page's status; an invoice's lives in its subscription's time."""
    bound = (
        select(col(TestClock.current_time))
        .join(Subscription, col(Subscription.test_clock_id) == col(TestClock.id))
        .where(
            col(Subscription.merchant_id) == col(PaymentSession.merchant_id),
            col(Subscription.id) == col(PaymentSession.subscription_id),
        )
    )
    now = func.coalesce(bound.scalar_subquery(), wall)
    # A failed page's customer may pay after the last retry.
    may_be_charged = col(PaymentSession.status).in_(("pending", "failed"))
    is_charged = _is_charged(col(PaymentSession.merchant_id), col(PaymentSession.collection_id))
    is_over = col(PaymentSession.expires_at) <= now
    return case(
        (and_(may_be_charged, is_charged), "processing"),
        (and_(col(PaymentSession.status) == "pending", is_over), "expired"),
        else_=col(PaymentSession.status),
    )


async def of_payments(
    session: AsyncSession, merchant_id: str, ids: Collection[str], wall: datetime
) -> dict[str, str]:
    """The status of each of these one-off payments."""
    rows = await session.exec(
        select(col(Payment.id), of_payment(wall)).where(
            col(Payment.merchant_id) == merchant_id, col(Payment.id).in_(ids)
        )
    )
    return dict(rows.all())


async def of_sessions(
    session: AsyncSession, merchant_id: str, ids: Collection[str], wall: datetime
) -> dict[str, str]:
    """The status of each of these pages."""
    rows = await session.exec(
        select(col(PaymentSession.id), of_session(wall)).where(
            col(PaymentSession.merchant_id) == merchant_id, col(PaymentSession.id).in_(ids)
        )
    )
    return dict(rows.all())


def _is_charged(merchant_id: Any, collection_id: Any) -> ColumnElement[bool]:
    """Whether the outcome of an attempt is not known yet."""
    return (
        select(col(PaymentAttempt.id))
        .where(
            col(PaymentAttempt.merchant_id) == merchant_id,
            col(PaymentAttempt.collection_id) == collection_id,
            col(PaymentAttempt.status) == "pending",
        )
        .exists()
    )
