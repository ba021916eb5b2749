"""How a subscription's own terms change; its writer calls it, no worker does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.subscription_changes import keep_begun_version
from billing.ids import derived_id
from billing.interval_edits import Change, Edits, Ground, apply_edits
from billing.interval_refusals import PlanChangeWaits
from billing.interval_terms import Interval
from billing.intervals import resolved_rate
from billing.money import text
from billing.version_migration import BoundaryDue, SubscriptionNotLive
from models.base import new_id, wall_now
from models.invoices import Invoice
from models.queries import drafts, invoices, plans, prices, subscriptions
from models.queries import subscription_intervals as intervals
from models.queries import test_clocks as clocks
from models.queries.drafts import Terms
from models.queries.terms import next_version, price_set, prices_named
from models.subscription_intervals import IntervalChange
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What a merchant says about a change of intervals; billing never reads it."""

    change_reason: str = "unspecified"
    description: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditIntervals:
    """What a merchant changes about what a subscription bills, and why."""

    merchant_id: str
    subscription_id: str
    edits: Edits
    why: Why


@dataclass(frozen=True, slots=True)
class EditedIntervals:
    """The record that was written, None where nothing changed; how many prices came and went."""

    change_id: str | None
    created: int = 0
    removed: int = 0


async def edit(session: AsyncSession, terms: Terms, command: EditIntervals) -> EditedIntervals:
    """Changes the intervals, pins the version that they lie over, and records it."""
    subscription = terms.subscription
    running = await _running(session, subscription)
    if terms.named_cycles(_boundary(running)) is not None:
        raise PlanChangeWaits("A plan of another cadence waits for the next period")
    await plans.hold(session, subscription.merchant_id, subscription.plan_id)
    current = await intervals.all_of(session, terms)
    ground = await _ground(session, terms, running, command.edits, current)
    new_ids = [new_id("int") for _each in command.edits.add]
    changes = apply_edits(current, command.edits, ground, new_ids)
    if not changes:
        return EditedIntervals(None)
    before = await _charged(session, terms, running)
    await _write(session, subscription, changes)
    await _pin(session, terms)
    after = await _charged(session, terms, running)
    change_id = new_id("ich")
    await _record(session, terms, command.why, changes, change_id)
    return EditedIntervals(
        change_id,
        created=len({price for price, _ in after - before}),
        removed=len({price for price, _ in before - after}),
    )


async def keep_values(session: AsyncSession, merchant_id: str, archived: Mapping[str, str]) -> None:
    """Where a price's id takes another value, terms that name it go on with the id of the old one.

    Called by whoever moves the values, in the same transaction; both ids are price ids.
    """
    await intervals.move_prices(session, merchant_id, archived)


async def _running(session: AsyncSession, subscription: Subscription) -> Invoice:
    running = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    if subscription.status != "active" or not running:
        raise SubscriptionNotLive(f"The subscription is {subscription.status}")
    now = await clocks.now_of(
        session, subscription.merchant_id, subscription.test_clock_id, wall_now()
    )
    if _boundary(running[0]) <= now:
        raise BoundaryDue("A period is being closed; try again")
    return running[0]


def _boundary(running: Invoice) -> datetime:
    return running.ended_to or running.period_start


async def _ground(
    session: AsyncSession,
    terms: Terms,
    running: Invoice,
    edits: Edits,
    current: Sequence[Interval],
) -> Ground:
    subscription = terms.subscription
    version_id = subscription.plan_version_id
    coming = next_version(terms, version_id)
    lines = await plans.lines(session, subscription.merchant_id, [version_id, coming])
    keys = {line.key: price.id for line, price in lines[version_id]}
    named = {add.price_id for add in edits.add if add.price_id is not None}
    # A price of another plan is not held with the plan: its row is.
    await prices.among(session, subscription.merchant_id, sorted(named))
    price_ids = {*keys.values(), *named, *(each.price_id for each in current)}
    return Ground(
        schedule=terms.schedule,
        open_from=running.ended_from,
        open_to=_boundary(running),
        version_id=version_id,
        plan_keys=keys,
        next_keys=frozenset(line.key for line, _ in lines[coming]),
        catalogue=await intervals.catalogue(session, subscription.merchant_id, price_ids),
        is_legacy=terms.plan.billing_version == 0,
    )


async def _write(
    session: AsyncSession, subscription: Subscription, changes: Sequence[Change]
) -> None:
    for change in changes:
        if change.after is None:
            await intervals.remove(session, subscription.merchant_id, change.interval_id)
        else:
            await intervals.write(session, subscription.merchant_id, subscription.id, change.after)


async def _pin(session: AsyncSession, terms: Terms) -> None:
    """Terms of its own lie over the version that they were agreed on."""
    subscription = terms.subscription
    if subscription.version_policy != "pinned":
        await keep_begun_version(session, terms)
        await subscriptions.change(
            session, subscription.merchant_id, subscription.id, version_policy="pinned"
        )


async def _charged(session: AsyncSession, terms: Terms, running: Invoice) -> set[tuple[str, str]]:
    """What the open invoice charges, as prices and their windows."""
    step = drafts.step_of(terms, running)
    sets = {
        version_id: await price_set(session, terms, version_id) for version_id in step.version_ids
    }
    own = await intervals.overlays(session, terms)
    return {
        (charge.price.price_id, f"{charge.price.interval_id} {charge.window}")
        for charge in drafts.charges_of(terms, step, sets, own)
    }


async def record_beginning(session: AsyncSession, terms: Terms, why: Why) -> None:
    """Records why a subscription begins with the intervals that it begins with."""
    found = await intervals.all_of(session, terms)
    begun = [Change(each.interval_id, None, each) for each in found]
    await _record(session, terms, why, begun, derived_id("ich", terms.subscription.id, "beginning"))


async def record_ending(
    session: AsyncSession, terms: Terms, why: Why, before: Sequence[Interval]
) -> None:
    """Records why a subscription's intervals end, where they did with its termination."""
    after = {each.interval_id: each for each in await intervals.all_of(session, terms)}
    changes = [
        Change(each.interval_id, each, after.get(each.interval_id))
        for each in before
        if after.get(each.interval_id) != each
    ]
    if changes:
        change_id = derived_id("ich", terms.subscription.id, "ending")
        await _record(session, terms, why, changes, change_id)


async def _record(
    session: AsyncSession, terms: Terms, why: Why, changes: Sequence[Change], change_id: str
) -> None:
    held = [each for change in changes for each in (change.before, change.after) if each]
    found = await prices_named(session, terms, {each.price_id for each in held})
    prices = {price.price_id: price for price in found.prices}

    def copy(interval: Interval | None) -> dict[str, Any] | None:
        if interval is None:
            return None
        rate = resolved_rate(interval, prices[interval.price_id])
        return {**intervals.shown(interval), "resolvedUnitPrice": text(rate)}

    row = IntervalChange(
        id=change_id,
        merchant_id=terms.subscription.merchant_id,
        subscription_id=terms.subscription.id,
        change_reason=why.change_reason,
        description=why.description,
        custom=dict(why.custom),
        entries=[
            {
                "intervalId": each.interval_id,
                "before": copy(each.before),
                "after": copy(each.after),
            }
            for each in changes
        ],
    )
    session.add(row)
    await session.flush()
