"""How a subscription moves to another version of its plan; its writer calls it, no worker does."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import entitlements
from activities.subscription_changes import keep_begun_version
from billing.cycles import PlanCycles, plan_cycles_document
from billing.errors import NotFound
from billing.version_migration import (
    FeatureTerms,
    LineMeaning,
    Standing,
    Timing,
    check_features,
    check_intervals,
    check_standing,
)
from models.base import wall_now
from models.plans import PlanLine, PlanVersion
from models.prices import Price
from models.queries import invoices, plans, subscription_intervals, subscriptions
from models.queries import test_clocks as clocks
from models.queries.drafts import Terms
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateVersion:
    """Bills a subscription by a version of its plan; without a timing as the plan says."""

    merchant_id: str
    subscription_id: str
    target_version_number: int
    timing: Timing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratedVersion:
    """What moves, and when; no instant where nothing does."""

    from_version_number: int
    to_version_number: int
    effective_at: datetime | None
    entitlements_effective_at: datetime | None
    changed: bool


async def migrate(session: AsyncSession, terms: Terms, command: MigrateVersion) -> MigratedVersion:
    """Pins the subscription, and names the version of its next period.

    A second call before the boundary replaces the first, also back to the running version.
    """
    subscription, plan = terms.subscription, terms.plan
    await plans.hold(session, plan.merchant_id, plan.id)
    current = await _version(session, plan.id, subscription)
    target = await plans.version(session, plan.merchant_id, plan.id, command.target_version_number)
    if target is None:
        raise NotFound(f"No version {command.target_version_number} of the plan")
    now = await clocks.now_of(session, plan.merchant_id, subscription.test_clock_id, wall_now())
    boundary = await _boundary(session, subscription, now)
    is_same = target.id == current.id
    if not is_same:
        await _check_lines(session, terms, (current.id, target.id), boundary)
    timing = command.timing or _planned_timing(terms)
    changed = not is_same or subscription.version_policy != "pinned"
    await pin(session, terms, None if is_same else target.id, timing)
    await entitlements.follow(session, subscription, now)
    return MigratedVersion(
        from_version_number=current.number,
        to_version_number=target.number,
        effective_at=None if is_same else boundary,
        entitlements_effective_at=(None if is_same else now if timing == "immediate" else boundary),
        changed=changed,
    )


async def _version(session: AsyncSession, plan_id: str, subscription: Subscription) -> PlanVersion:
    found = await plans.version_by_id(
        session, subscription.merchant_id, subscription.plan_version_id
    )
    if found is None:
        raise NotFound(f"No version {subscription.plan_version_id} of {plan_id}")
    return found


async def _boundary(session: AsyncSession, subscription: Subscription, now: datetime) -> datetime:
    running = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    return check_standing(
        Standing(
            status=subscription.status,
            boundary=running[0].next_action_at if running else None,
            ending_at=subscription.ending_at,
            now=now,
        )
    )


def _planned_timing(terms: Terms) -> Timing:
    planned = terms.plan.version_transition.get("effectiveDate")
    return "immediate" if planned == "immediate" else "next_period"


async def pin(
    session: AsyncSession,
    terms: Terms,
    target_id: str | None,
    timing: Timing,
    *,
    cycles: PlanCycles | None = None,
) -> None:
    """Names the version that the next boundary takes, if any, and follows the plan no longer.

    `cycles` are those of its plan, where that is another one.
    """
    subscription = terms.subscription
    if subscription.version_policy != "pinned":
        await keep_begun_version(session, terms)
    await subscriptions.change(
        session,
        subscription.merchant_id,
        subscription.id,
        version_policy="pinned",
        next_version_id=target_id,
        next_version_bills_arrears=target_id is not None and timing == "immediate",
        next_cycles=None if cycles is None else plan_cycles_document(cycles),
    )


async def _check_lines(
    session: AsyncSession, terms: Terms, version_ids: tuple[str, str], boundary: datetime
) -> None:
    """Refuses a version under which an allowance or an agreed rate would mean something else."""
    subscription = terms.subscription
    lines = await plans.lines(session, terms.plan.merchant_id, version_ids)
    before, after = (lines[version_id] for version_id in version_ids)
    check_features(
        _features([price for _, price in before]), _features([price for _, price in after])
    )
    own = await subscription_intervals.stored(session, subscription.merchant_id, subscription.id)
    check_intervals(own, _meanings(before), _meanings(after), boundary)


def _meanings(lines: list[tuple[PlanLine, Price]]) -> dict[str, LineMeaning]:
    return {
        line.key: LineMeaning(
            price.billable_metric_id or price.fee_id or "",
            price.billing_cadence,
            price.payment_term,
        )
        for line, price in lines
    }


def _features(prices: list[Price]) -> dict[str, FeatureTerms]:
    found = {}
    for price in prices:
        if price.feature_id is not None:
            period = (price.entitlement_template or {}).get("usagePeriod") or {}
            found[price.feature_id] = FeatureTerms(price.billable_metric_id, period.get("interval"))
    return found
