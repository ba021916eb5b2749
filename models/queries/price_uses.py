"""Statements on who bills a price, plan versions and subscriptions; it reads no prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Interval,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    union,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.interval_terms import ONE_OFF
from models.invoices import Invoice
from models.plans import Plan, PlanLine, PlanVersion
from models.queries.prices import SHOWN_MAX, Blockers
from models.subscription_intervals import SubscriptionInterval
from models.subscriptions import Subscription

OPEN = ("ACTIVE", "CLOSING")
"""Invoices whose lines are not written yet: they are rated by what the price says then."""


@dataclass(frozen=True, slots=True)
class HoldingVersion:
    """A plan version with a line of the price."""

    plan: Plan
    version: PlanVersion


async def plans_with(session: AsyncSession, merchant_id: str, price_id: str) -> Blockers:
    """The plans of which a version holds the price, with the versions' numbers."""
    statement = (
        select(Plan.id, Plan.name, func.array_agg(PlanVersion.number))
        .join(PlanVersion, col(PlanVersion.plan_id) == col(Plan.id))
        .join(PlanLine, col(PlanLine.plan_version_id) == col(PlanVersion.id))
        .where(PlanLine.merchant_id == merchant_id, PlanLine.price_id == price_id)
        .group_by(col(Plan.id), col(Plan.name))
        .order_by(col(Plan.id))
    )
    rows = (await session.exec(statement)).all()
    shown = [(plan, name, sorted(numbers)) for plan, name, numbers in rows[:SHOWN_MAX]]
    return Blockers(len(rows), shown)


async def plan_ids_with(session: AsyncSession, merchant_id: str, price_id: str) -> set[str]:
    """The plans of which a version holds the price; they stay so under the price's lock."""
    held = col(PlanVersion.id).in_(_holding(merchant_id, price_id))
    return set((await session.exec(select(PlanVersion.plan_id).where(held))).all())


async def versions_with(
    session: AsyncSession, merchant_id: str, price_id: str
) -> Sequence[HoldingVersion]:
    """The plan versions that hold the price, the newest of a plan first."""
    rows = await session.exec(
        select(Plan, PlanVersion)
        .join(PlanVersion, col(PlanVersion.plan_id) == col(Plan.id))
        .join(PlanLine, col(PlanLine.plan_version_id) == col(PlanVersion.id))
        .where(PlanLine.merchant_id == merchant_id, PlanLine.price_id == price_id)
        .order_by(col(Plan.id), col(PlanVersion.number).desc())
    )
    return [HoldingVersion(plan, version) for plan, version in rows]


async def subscriptions_billing(session: AsyncSession, merchant_id: str, price_id: str) -> Blockers:
    """The subscriptions that bill the price, with the numbers of the versions under which they do.

    Their plan version holds it, or terms of their own name it; or an invoice that is open still
    will bill a version that does: in its grace, perhaps of a subscription that has ended.
    """
    uses = union(
        _by_version(merchant_id, price_id),
        _by_open_invoice(merchant_id, price_id),
        _by_interval(merchant_id, price_id),
    ).subquery()
    statement = (
        select(col(Subscription.id), col(Subscription.name), func.array_agg(PlanVersion.number))
        .join(uses, uses.c.subscription_id == col(Subscription.id))
        .join(PlanVersion, col(PlanVersion.id) == uses.c.version_id)
        .where(Subscription.merchant_id == merchant_id)
        .group_by(col(Subscription.id), col(Subscription.name))
        .order_by(col(Subscription.id))
    )
    counted = select(func.count()).select_from(statement.subquery())
    count = (await session.exec(counted)).one()
    rows = await session.exec(statement.limit(SHOWN_MAX))
    return Blockers(count, [(found, name, sorted(numbers)) for found, name, numbers in rows.all()])


def _by_version(merchant_id: str, price_id: str) -> Select[str, str]:
    """Not ended: its own version, and one that bills the running period's arrears already."""
    held = _holding(merchant_id, price_id)
    moves = and_(
        col(Subscription.next_version_bills_arrears),
        col(Subscription.next_version_id) == col(PlanVersion.id),
    )
    follows = and_(
        col(Subscription.version_policy) == "floating",
        col(Plan.default_version_id) == col(PlanVersion.id),
        col(Plan.version_transition)["effectiveDate"].astext == "immediate",
    )
    return (
        sqlalchemy.select(
            col(Subscription.id).label("subscription_id"), col(PlanVersion.id).label("version_id")
        )
        .join(Plan, col(Plan.id) == col(Subscription.plan_id))
        .join(
            PlanVersion,
            or_(col(PlanVersion.id) == col(Subscription.plan_version_id), moves, follows),
        )
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.status) != "terminated",
            col(PlanVersion.id).in_(held),
        )
    )


def _by_open_invoice(merchant_id: str, price_id: str) -> Select[str, str]:
    held = _holding(merchant_id, price_id)
    versions = (Invoice.plan_version_id, Invoice.arrears_version_id, Invoice.coming_version_id)
    return (
        sqlalchemy.select(
            col(Invoice.subscription_id).label("subscription_id"),
            col(PlanVersion.id).label("version_id"),
        )
        .join(PlanVersion, or_(*(col(PlanVersion.id) == each for each in versions)))
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.status).in_(OPEN),
            col(PlanVersion.id).in_(held),
        )
    )


def _by_interval(merchant_id: str, price_id: str) -> Select[str, str]:
    """Its own terms name the price, and an invoice to come may still bill them."""
    return (
        sqlalchemy.select(
            col(SubscriptionInterval.subscription_id).label("subscription_id"),
            col(SubscriptionInterval.plan_version_id).label("version_id"),
        )
        .join(Subscription, col(Subscription.id) == col(SubscriptionInterval.subscription_id))
        .join(Invoice, col(Invoice.subscription_id) == col(SubscriptionInterval.subscription_id))
        .where(
            col(SubscriptionInterval.merchant_id) == merchant_id,
            col(SubscriptionInterval.price_id) == price_id,
            col(SubscriptionInterval.removed_at).is_(None),
            col(Invoice.status).in_(OPEN),
            or_(
                col(SubscriptionInterval.end_date).is_(None),
                col(Invoice.ended_from).is_(None),
                # A cycle is billed at its end, also where the terms ended inside it.
                col(SubscriptionInterval.end_date) + _cycle() > col(Invoice.ended_from),
            ),
        )
    )


def _cycle() -> ColumnElement[timedelta]:
    """How long after the terms their last cycle may end; the plan's own end with its windows."""
    cadence = col(SubscriptionInterval.billing_cadence)
    none = or_(cadence == ONE_OFF, cadence == col(Subscription.billing_cadence))
    return case((none, literal(timedelta(0))), else_=cast(cadence, Interval()))


def _holding(merchant_id: str, price_id: str) -> Select[str]:
    return sqlalchemy.select(col(PlanLine.plan_version_id)).where(
        col(PlanLine.merchant_id) == merchant_id, col(PlanLine.price_id) == price_id
    )
