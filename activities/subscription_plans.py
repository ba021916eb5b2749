"""How a subscription changes its plan, inside a period or with it; its writer calls it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import entitlements
from activities import subscription_periods as periods
from activities.subscription_changes import NO_MOVE
from activities.subscription_versions import pin
from billing.cycles import Cycles, PlanCycles
from billing.durations import parse_duration
from billing.errors import NotFound
from billing.ids import derived_id
from billing.periods import Period
from billing.plan_change import Amount, PlanNotChangeable, change_document, check_plans
from billing.version_migration import Standing, check_standing
from models.invoices import Invoice
from models.manual_lines import ManualLine
from models.queries import (
    invoices,
    manual_lines,
    plan_changes,
    plans,
    subscription_intervals,
    subscriptions,
)
from models.queries.drafts import Terms, window_at

At = Literal["now", "period_end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """Bills a subscription by another plan, from now on or from its next period."""

    merchant_id: str
    subscription_id: str
    now: datetime
    plan_id: str
    at: At


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """When it takes effect, and what it gives back and asks for then."""

    effective_at: datetime
    cycles: Cycles
    """By which it is billed from then on."""
    lines: Sequence[Amount]


async def plan(session: AsyncSession, terms: Terms, command: ChangePlan) -> PlannedChange:
    """What the change would bill; it writes nothing."""
    running = await _running(session, terms, command.now)
    # Both plans' lines are written on it: what it cannot tax as the other plan does is refused.
    terms = terms.on(running)
    new = await _target(session, terms, command)
    if command.at == "period_end":
        boundary = running.next_action_at or command.now
        cycles = _cycles(new, boundary)
        if await plan_changes.cuts_cycles(session, terms, new, cycles, boundary):
            raise PlanNotChangeable("A price of another cadence stands against it; change it now")
        return PlannedChange(boundary, cycles, [])
    cycles = _cycles(new, command.now)
    back = await plan_changes.given_back(session, terms, command.now)
    asked = await plan_changes.asked_for(session, new, cycles, command.now)
    return PlannedChange(command.now, cycles, [*back, *asked])


def _cycles(new: Terms, at: datetime) -> Cycles:
    """By which the subscription is billed from then on."""
    return _plan_cycles(new).following(new.timeline.current, at)


def _plan_cycles(new: Terms) -> PlanCycles:
    return PlanCycles(parse_duration(new.plan.billing_cadence), new.plan.billing_anchor)


async def change(session: AsyncSession, terms: Terms, command: ChangePlan) -> None:
    """Changes the plan; found changed already, it is a repeated call."""
    if terms.plan.id == command.plan_id:
        return
    planned = await plan(session, terms, command)
    running = await _running(session, terms, command.now)
    new = await _target(session, terms, command)
    if command.at == "period_end":
        # A version of another plan: the boundary takes it with its plan.
        version_id = new.plan.default_version_id
        await pin(session, terms, version_id, "next_period", cycles=_plan_cycles(new))
        return
    await _write_lines(session, running, planned)
    await periods.cut(session, terms, running, periods.Cut(command.now, is_last=False))
    await invoices.change(
        session,
        running.merchant_id,
        running.id,
        coming_version_id=terms.subscription.plan_version_id,
    )
    await subscriptions.change(
        session,
        running.merchant_id,
        running.subscription_id,
        plan_id=new.plan.id,
        plan_version_id=new.plan.default_version_id,
        **NO_MOVE,
    )
    await periods.move_cycles(session, new, running, periods.Moved(planned.cycles, command.now))
    await periods.open_invoice(
        session,
        new,
        sequence_number=running.sequence_number + 1,
        ended=Period(command.now, window_at(new, command.now).end),
        run=periods.Run(resumed_at=command.now),
    )
    await entitlements.follow(session, terms.subscription, command.now)


async def _running(session: AsyncSession, terms: Terms, now: datetime) -> Invoice:
    subscription = terms.subscription
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    running = found[0] if found else None
    boundary = None if running is None else running.next_action_at
    check_standing(Standing(subscription.status, boundary, subscription.ending_at, now))
    if running is None or running.ended_from is None:
        raise PlanNotChangeable("Its first period has not begun")
    return running


async def _target(session: AsyncSession, terms: Terms, command: ChangePlan) -> Terms:
    """The subscription as it would stand under the other plan."""
    subscription = terms.subscription
    await plans.hold(session, command.merchant_id, command.plan_id)
    target = await subscriptions.plan_of(session, command.merchant_id, command.plan_id)
    if target is None:
        raise NotFound(f"No plan {command.plan_id}")
    living = await subscriptions.living(
        session, command.merchant_id, subscription.customer_id, target.id
    )
    if living is not None:
        raise PlanNotChangeable("The customer has a subscription of that plan")
    new = replace(terms, plan=target, tax_behavior=None)
    check_plans(plan_changes.plan_terms(terms), plan_changes.plan_terms(new))
    own = await subscription_intervals.stored(session, command.merchant_id, subscription.id)
    if any(each.end is None or each.end > command.now for each in own):
        raise PlanNotChangeable("Terms of its own lie over the plan; end them first")
    return new


async def _write_lines(session: AsyncSession, running: Invoice, planned: PlannedChange) -> None:
    for at, each in enumerate(planned.lines):
        await manual_lines.add(
            session,
            ManualLine(
                id=derived_id("li", running.id, "plan-change", at),
                merchant_id=running.merchant_id,
                customer_id=running.customer_id,
                subscription_id=running.subscription_id,
                invoice_id=running.id,
                display_name=each.name,
                currency=running.currency,
                quantity=Decimal(1),
                unit_price=each.amount,
                invoice_at=planned.effective_at,
                period_start=each.window.start,
                period_end=each.window.end,
                plan_change=None if each.fee is None else change_document(each.fee),
            ),
        )
