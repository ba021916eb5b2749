"""Entitlement transactions: what a plan's prices give is written here; nobody's access is judged.

The steps of a subscription call `follow` and `end` in their own transactions, a plan that takes
effect at once `follow_plan`; the API reconciles.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.durations import parse_duration
from billing.errors import BillingVersionMismatch, NotFound
from billing.ids import derived_id
from billing.provisioning import (
    Convergence,
    FailedFeature,
    HeldFeature,
    NotReconcilable,
    SoldFeature,
    allowance_of,
    converge,
    is_billed_again,
)
from models.base import wall_now
from models.database import Database
from models.entitlements import Entitlement, EntitlementGrant
from models.features import Feature
from models.plans import Plan
from models.prices import Price
from models.queries import drafts, entitlements, invoices, subscriptions
from models.queries import test_clocks as clocks
from models.queries.allowances import ALLOWANCE
from models.queries.drafts import Terms
from models.queries.entitlements import Held
from models.queries.terms import Expected
from models.subscriptions import Subscription

PLANNED = "plan"


@dataclass(frozen=True, slots=True)
class ReconcileFeatures:
    """Whose entitlements are to be as the plan says; a dry run only tells what would happen."""

    merchant_id: str
    subscription_id: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class AddedFeature:
    """A feature that was missing, and whether lines of its price are still to come."""

    feature_id: str
    feature_key: str
    billed: bool


@dataclass(frozen=True, slots=True)
class ReconciledFeatures:
    """What was missing, in place, too much, and impossible."""

    added: Sequence[AddedFeature]
    skipped: Sequence[HeldFeature]
    removed: Sequence[HeldFeature]
    failed: Sequence[FailedFeature]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is to change for a subscription, when, and all entitlements that it ever had."""

    owner: Subscription
    now: datetime
    ever: Sequence[Held]
    found: Convergence


class EntitlementActivities:
    """The only writer of entitlements and their grants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reconcile(self, command: ReconcileFeatures) -> ReconciledFeatures:
        """Adds what is missing and ends what is too much; no activity: the API calls it.

        What is in place stays as it is, whatever its price says by now (the contract's rule).
        """
        async with self._database.transaction() as session:
            terms = await _reconcilable(session, command)
            owner = terms.subscription
            now = await clocks.now_of(session, owner.merchant_id, owner.test_clock_id, wall_now())
            version_id = await _version(session, terms)
            (outcome,) = await _compared(session, [(owner, now)], version_id)
            found = outcome.found
            kept, found.changed = [*found.kept, *(has for has, _ in found.changed)], []
            if not command.dry_run:
                await _write(session, owner.merchant_id, [outcome])
            return ReconciledFeatures(
                added=[
                    AddedFeature(
                        each.feature_id,
                        each.feature_key,
                        is_billed_again(each, owner.started_at, now),
                    )
                    for each in found.added
                ],
                skipped=kept,
                removed=found.ended,
                failed=found.failed,
            )


async def follow(session: AsyncSession, subscription: Subscription, now: datetime) -> None:
    """Makes the entitlements of a subscription those of the version that it is billed by.

    A part of the transaction that activates it or changes its version, under its lock. `now` is
    from when on: of an activation the start of the first window that is billed.
    """
    terms = await drafts.terms_of(session, subscription)
    if terms.plan.billing_version == 0 or subscription.status != "active":
        return
    version_id = await _version(session, terms)
    outcomes = await _compared(session, [(subscription, now)], version_id)
    await _write(session, subscription.merchant_id, outcomes)


async def expected(session: AsyncSession, terms: Terms) -> Terms:
    """The terms with what the activation will give: windows that elapsed are billed before it."""
    if terms.plan.billing_version == 0:
        return terms
    owner = terms.subscription
    begun = [(owner, drafts.billed_from(terms))]
    (outcome,) = await _compared(session, begun, owner.plan_version_id)
    rows: list[Entitlement] = []
    grants: list[EntitlementGrant] = []
    for sold in outcome.found.added:
        if sold.feature_type == "metered":
            rows.append(_entitlement(outcome, sold))
            grants += _allowance(rows[-1], sold, rows[-1].active_from, number=0)
    return replace(terms, expected=Expected(rows, grants))


async def follow_plan(session: AsyncSession, plan: Plan, *, was_immediate: bool = False) -> None:
    """The same for all who follow a plan whose default takes effect at once, or did until now.

    A part of the transaction that moves the default or changes the transition, under the plan's
    lock. Who is billed by the default no longer has what the version gives that his window began
    with.
    """
    immediate = is_immediate(plan)
    if plan.billing_version == 0 or not (immediate or was_immediate):
        return
    by_version: dict[str, list[tuple[Subscription, datetime]]] = defaultdict(list)
    for each in await entitlements.followers(session, plan.merchant_id, plan.id, wall_now()):
        version_id = plan.default_version_id if immediate else each.begun_version_id
        by_version[version_id].append((each.subscription, each.now))
    for version_id, owners in by_version.items():
        outcomes = await _compared(session, owners, version_id)
        await _write(session, plan.merchant_id, outcomes)


def is_immediate(plan: Plan) -> bool:
    """Whether a new default of the plan counts for the windows that run."""
    return plan.version_transition.get("effectiveDate") == "immediate"


async def end(session: AsyncSession, subscription: Subscription, now: datetime) -> None:
    """Cancels all that a subscription gave: it is over."""
    merchant_id = subscription.merchant_id
    rows = await entitlements.of_subscriptions(session, merchant_id, [subscription.id])
    ids = [each.row.id for each in rows if each.row.status == "active"]
    await _cancel(session, merchant_id, ids, now)


async def _reconcilable(session: AsyncSession, command: ReconcileFeatures) -> Terms:
    owner = await subscriptions.get(
        session, command.merchant_id, command.subscription_id, lock=True
    )
    if owner is None:
        raise NotFound(f"No subscription {command.subscription_id}")
    if owner.status != "active":
        raise NotReconcilable(f"The subscription is {owner.status}")
    terms = await drafts.terms_of(session, owner)
    if terms.plan.billing_version == 0:
        raise BillingVersionMismatch("Entitlements to features need standard billing")
    return terms


async def _version(session: AsyncSession, terms: Terms) -> str:
    """The version by which the usage of the running window is billed."""
    owner = terms.subscription
    running = await invoices.of_subscription(session, owner.merchant_id, owner.id, "ACTIVE")
    return drafts.arrears_version(terms, running[0]) if running else owner.plan_version_id


async def _compared(
    session: AsyncSession, owners: Sequence[tuple[Subscription, datetime]], version_id: str
) -> list[_Outcome]:
    """How what each of these has differs from what the version gives."""
    if not owners:
        return []
    merchant_id = owners[0][0].merchant_id
    rows: dict[str | None, list[Held]] = defaultdict(list)
    ids = [owner.id for owner, _ in owners]
    for each in await entitlements.of_subscriptions(session, merchant_id, ids):
        rows[each.row.subscription_id].append(each)
    sold = await entitlements.sold_by(session, merchant_id, version_id)
    return [
        _Outcome(
            owner,
            now,
            rows[owner.id],
            converge(
                [_sold(owner, price, feature) for price, feature in sold],
                [_held(each) for each in rows[owner.id] if each.row.status == "active"],
            ),
        )
        for owner, now in owners
    ]


def _sold(owner: Subscription, price: Price, feature: Feature) -> SoldFeature:
    return SoldFeature(
        feature_id=feature.id,
        feature_key=feature.key,
        feature_type=feature.type,
        metric_id=price.billable_metric_id,
        template=price.entitlement_template,
        billed_every=parse_duration(price.billing_cadence or owner.billing_cadence),
        discounts_by_grant=price.grant_discount_enabled,
    )


def _held(each: Held) -> HeldFeature:
    return HeldFeature(
        entitlement_id=each.row.id,
        feature_id=each.row.feature_id,
        feature_key=each.feature_key,
        metric_id=each.row.billable_metric_id,
        template=each.row.template,
        is_planned=each.row.origin == PLANNED,
    )


async def _write(session: AsyncSession, merchant_id: str, outcomes: Sequence[_Outcome]) -> None:
    """Ends, changes and gives, in as many statements for many subscriptions as for one."""
    ended: dict[datetime, list[str]] = defaultdict(list)
    for outcome in outcomes:
        ended[outcome.now] += [each.entitlement_id for each in outcome.found.ended]
    for now, ids in ended.items():
        await _cancel(session, merchant_id, ids, now)
    grants = await _change(session, merchant_id, outcomes)
    for outcome in outcomes:
        for sold in outcome.found.added:
            row = _entitlement(outcome, sold)
            session.add(row)
            grants += _allowance(row, sold, row.active_from, number=0)
    await session.flush()
    session.add_all(grants)
    await session.flush()


async def _cancel(
    session: AsyncSession, merchant_id: str, entitlement_ids: Sequence[str], now: datetime
) -> None:
    if not entitlement_ids:
        return
    await entitlements.change(
        session, merchant_id, entitlement_ids, status="canceled", active_to=now
    )
    await entitlements.void_grants(session, merchant_id, entitlement_ids, now)


async def _change(
    session: AsyncSession, merchant_id: str, outcomes: Sequence[_Outcome]
) -> list[EntitlementGrant]:
    """What stays goes on under the new terms, and so do grants of other origin."""
    moved: dict[tuple[datetime, str], list[Entitlement]] = defaultdict(list)
    sold_as: dict[str, SoldFeature] = {}
    for outcome in outcomes:
        rows = {each.row.id: each.row for each in outcome.ever}
        for has, sold in outcome.found.changed:
            moved[outcome.now, sold.feature_id].append(rows[has.entitlement_id])
            sold_as[sold.feature_id] = sold
    numbers = await entitlements.grant_counts(
        session, merchant_id, [row.id for rows in moved.values() for row in rows]
    )
    grants: list[EntitlementGrant] = []
    for (now, feature_id), members in moved.items():
        sold, ids = sold_as[feature_id], [row.id for row in members]
        await entitlements.renew(
            session,
            merchant_id,
            ids,
            now,
            template=_template(sold),
            billable_metric_id=sold.metric_id,
        )
        await entitlements.void_grants(session, merchant_id, ids, now, origin=ALLOWANCE)
        grants += _renewed(members, sold, now, numbers)
    return grants


def _renewed(
    rows: Sequence[Entitlement], sold: SoldFeature, now: datetime, numbers: Mapping[str, int]
) -> list[EntitlementGrant]:
    return [
        grant
        for row in rows
        for grant in _allowance(row, sold, max(row.active_from, now), number=numbers.get(row.id, 0))
    ]


def _entitlement(outcome: _Outcome, sold: SoldFeature) -> Entitlement:
    """Access to what is missing, from the subscription's start where that is to come."""
    owner = outcome.owner
    earlier = sum(each.row.feature_id == sold.feature_id for each in outcome.ever)
    return Entitlement(
        id=derived_id("ent", owner.id, sold.feature_id, earlier),
        merchant_id=owner.merchant_id,
        customer_id=owner.customer_id,
        feature_id=sold.feature_id,
        subscription_id=owner.id,
        billable_metric_id=sold.metric_id,
        template=_template(sold),
        origin=PLANNED,
        active_from=max(owner.started_at, outcome.now),
    )


def _template(sold: SoldFeature) -> dict[str, Any] | None:
    return None if sold.template is None else dict(sold.template)


def _allowance(
    row: Entitlement, sold: SoldFeature, at: datetime, *, number: int
) -> list[EntitlementGrant]:
    """The grant of a metered template; one of nothing is not written."""
    if sold.feature_type != "metered" or sold.template is None:
        return []
    allowance = allowance_of(sold.template)
    if allowance.amount == 0:
        return []
    grant = EntitlementGrant(
        id=derived_id("grt", row.id, number),
        merchant_id=row.merchant_id,
        entitlement_id=row.id,
        origin=ALLOWANCE,
        amount=allowance.amount,
        priority=allowance.priority,
        effective_at=at,
        recurrence_period=None if allowance.every is None else allowance.every.text(),
        reset_max_rollover=allowance.rollover_max,
        reset_min_rollover=allowance.rollover_min,
    )
    return [grant]
