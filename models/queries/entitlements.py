"""The statements of entitlements and their grants."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import wall_now
from models.entitlements import Entitlement, EntitlementGrant
from models.features import Feature
from models.invoices import Invoice
from models.plans import PlanLine
from models.prices import Price
from models.subscriptions import Subscription
from models.test_clocks import TestClock


@dataclass(frozen=True, slots=True)
class Held:
    """An entitlement and its feature's key."""

    row: Entitlement
    feature_key: str


async def sold_by(
    session: AsyncSession, merchant_id: str, version_id: str
) -> Sequence[tuple[Price, Feature]]:
    """The prices of a plan version that carry a feature, in the plan's order."""
    rows = await session.exec(
        select(Price, Feature)
        .join(PlanLine, col(PlanLine.price_id) == col(Price.id))
        .join(Feature, col(Feature.id) == col(Price.feature_id))
        .where(
            col(PlanLine.merchant_id) == merchant_id,
            col(PlanLine.plan_version_id) == version_id,
            col(Feature.deleted_at).is_(None),
        )
        .order_by(col(PlanLine.position))
    )
    return rows.all()


async def of_subscriptions(
    session: AsyncSession, merchant_id: str, subscription_ids: Collection[str]
) -> list[Held]:
    """All that these subscriptions ever had, canceled ones too, the oldest first."""
    rows = await session.exec(
        select(Entitlement, col(Feature.key))
        .join(Feature, col(Feature.id) == col(Entitlement.feature_id))
        .where(
            col(Entitlement.merchant_id) == merchant_id,
            col(Entitlement.subscription_id).in_(subscription_ids),
        )
        .order_by(col(Entitlement.created_at), col(Entitlement.id))
    )
    return [Held(row, key) for row, key in rows]


@dataclass(frozen=True, slots=True)
class Follower:
    """Who follows a plan, in which time, and the version that his window began with."""

    subscription: Subscription
    now: datetime
    begun_version_id: str


async def followers(
    session: AsyncSession, merchant_id: str, plan_id: str, wall: datetime
) -> list[Follower]:
    """Who is billed by the plan's default where that counts at once, locked.

    Whose running window is bound to a version already, by a policy that he had, is not.
    """
    rows = await session.exec(
        select(Subscription, col(TestClock.current_time), col(Invoice.plan_version_id))
        .join(Invoice, col(Invoice.subscription_id) == col(Subscription.id))
        .outerjoin(TestClock, col(TestClock.id) == col(Subscription.test_clock_id))
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.plan_id) == plan_id,
            col(Subscription.status) == "active",
            col(Subscription.version_policy) != "pinned",
            col(Invoice.status) == "ACTIVE",
            col(Invoice.arrears_version_id).is_(None),
        )
        .order_by(col(Subscription.id))
        .with_for_update(of=Subscription, key_share=True)
    )
    return [Follower(owner, time or wall, version_id) for owner, time, version_id in rows]


async def are_standing(session: AsyncSession, merchant_id: str, feature_id: str) -> bool:
    """Whether somebody is entitled to a feature."""
    rows = await session.exec(
        select(col(Entitlement.id))
        .where(
            col(Entitlement.merchant_id) == merchant_id,
            col(Entitlement.feature_id) == feature_id,
            col(Entitlement.status) == "active",
        )
        .limit(1)
    )
    return rows.first() is not None


async def change(
    session: AsyncSession, merchant_id: str, entitlement_ids: Collection[str], **changes: Any
) -> None:
    """Writes some columns of these."""
    await session.exec(
        update(Entitlement)
        .where(
            col(Entitlement.merchant_id) == merchant_id, col(Entitlement.id).in_(entitlement_ids)
        )
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


async def renew(
    session: AsyncSession,
    merchant_id: str,
    entitlement_ids: Collection[str],
    at: datetime,
    **terms: Any,
) -> None:
    """Gives these other terms from an instant on; what held until then stays written."""
    held = func.jsonb_build_object(
        "until",
        at.isoformat(),
        "template",
        col(Entitlement.template),
        "metric_id",
        col(Entitlement.billable_metric_id),
    )
    await change(
        session,
        merchant_id,
        entitlement_ids,
        earlier_terms=col(Entitlement.earlier_terms).op("||")(func.jsonb_build_array(held)),
        **terms,
    )


async def metered(
    session: AsyncSession, merchant_id: str, subscription_id: str, feature_ids: Collection[str]
) -> list[Entitlement]:
    """All that a subscription ever had to these features, if they are metered; oldest first."""
    rows = await session.exec(
        select(Entitlement)
        .join(Feature, col(Feature.id) == col(Entitlement.feature_id))
        .where(
            col(Entitlement.merchant_id) == merchant_id,
            col(Entitlement.subscription_id) == subscription_id,
            col(Entitlement.feature_id).in_(feature_ids),
            col(Feature.type) == "metered",
        )
        .order_by(col(Entitlement.active_from), col(Entitlement.id))
        .execution_options(populate_existing=True)
    )
    return list(rows.all())


async def grants_of(
    session: AsyncSession, merchant_id: str, entitlement_ids: Collection[str]
) -> list[EntitlementGrant]:
    """All that these were granted, void or not, by creation."""
    rows = await session.exec(
        select(EntitlementGrant)
        .where(
            col(EntitlementGrant.merchant_id) == merchant_id,
            col(EntitlementGrant.entitlement_id).in_(entitlement_ids),
        )
        .order_by(
            col(EntitlementGrant.effective_at),
            col(EntitlementGrant.created_at),
            col(EntitlementGrant.id),
        )
        .execution_options(populate_existing=True)
    )
    return list(rows.all())


async def void_grants(
    session: AsyncSession,
    merchant_id: str,
    entitlement_ids: Collection[str],
    at: datetime,
    *,
    origin: str | None = None,
) -> None:
    """Voids what these were granted and has not expired, or only what came from one origin."""
    statement = update(EntitlementGrant).where(
        col(EntitlementGrant.merchant_id) == merchant_id,
        col(EntitlementGrant.entitlement_id).in_(entitlement_ids),
        col(EntitlementGrant.voided_at).is_(None),
        (col(EntitlementGrant.expires_at).is_(None)) | (col(EntitlementGrant.expires_at) > at),
    )
    if origin is not None:
        statement = statement.where(col(EntitlementGrant.origin) == origin)
    await session.exec(
        statement.values(voided_at=at).execution_options(synchronize_session="fetch")
    )


async def grant_counts(
    session: AsyncSession, merchant_id: str, entitlement_ids: Collection[str]
) -> dict[str, int]:
    """How many grants each of these ever had; none is not named."""
    if not entitlement_ids:
        return {}
    rows = await session.exec(
        select(col(EntitlementGrant.entitlement_id), func.count())
        .where(
            col(EntitlementGrant.merchant_id) == merchant_id,
            col(EntitlementGrant.entitlement_id).in_(entitlement_ids),
        )
        .group_by(col(EntitlementGrant.entitlement_id))
    )
    return dict(rows.all())
