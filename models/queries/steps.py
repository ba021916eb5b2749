"""A boundary that an invoice bills, and how billing sees it; it gathers no charges."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from billing.cycles import Cycles
from billing.durations import Duration
from billing.entering_fees import advance_keys, entering_keys
from billing.periods import Period
from billing.rating import Meter, Schedule
from billing.usage_cycles import own_meters
from models.invoices import Invoice
from models.queries.terms import PriceSet, Terms, next_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One boundary: the window that ended there, the one that comes, and their plan versions."""

    ended: Period | None
    ended_version_id: str
    coming: Period | None
    coming_version_id: str
    billed_version_id: str = ""
    """The version whose fees in advance the boundary before has asked for."""
    terminating: bool = False
    resumed_at: datetime | None = None
    paid_until: datetime | None = None
    """Of the last pause before it; see `billing.rating.Schedule`."""
    entered: tuple[tuple[Meter, datetime], ...] = ()
    """From when on usage at another cadence than the plan's is billed, where it came later."""
    cycles: Cycles | None = None
    """Of the window that ended; None: those of the subscription as it stands."""
    coming_cycles: Cycles | None = None
    """Of the window that comes, where they are others than those of the one that ended."""

    @property
    def version_ids(self) -> set[str]:
        return {self.ended_version_id, self.coming_version_id, self.billed_version_id} - {""}


def schedule_at(terms: Terms, step: Step, sets: Mapping[str, PriceSet]) -> Schedule:
    """The subscription's schedule as it stands at the boundary, for the window that ended."""
    billed = sets.get(step.billed_version_id)
    coming = sets[step.coming_version_id]
    own = terms.schedule if step.cycles is None else terms.schedule_of(step.cycles)
    schedule = replace(
        own,
        resumed_at=step.resumed_at,
        paid_until=step.paid_until,
        entered=dict(step.entered),
        leaving=_leaving(step, sets, own.cadence),
    )
    if billed is None:
        return schedule
    return replace(schedule, entering=entering_keys(billed.prices, coming.prices, schedule.cadence))


def _leaving(step: Step, sets: Mapping[str, PriceSet], cadence: Duration) -> frozenset[Meter]:
    """Usage at another cadence than the plan's that the version to come bills no more.

    By other cycles none goes on.
    """
    if step.ended_version_id == step.coming_version_id:
        return frozenset()
    ended = own_meters(sets[step.ended_version_id].prices, cadence)
    if step.coming_cycles is not None:
        return ended
    return ended - own_meters(sets[step.coming_version_id].prices, cadence)


def coming_schedule(schedule: Schedule, step: Step, sets: Mapping[str, PriceSet]) -> Schedule:
    """The same for the window that comes: by other cycles no fee has been asked for before."""
    cycles = step.coming_cycles
    if cycles is None:
        return schedule
    entering = advance_keys(sets[step.coming_version_id].prices)
    return replace(schedule, anchor=cycles.anchor, cadence=cycles.cadence, entering=entering)


def arrears_version(terms: Terms, invoice: Invoice) -> str:
    """The plan version whose prices an invoice's ended window is billed at.

    That of the window's start; with an `immediate` transition the plan's default, for the whole
    window, as long as the window runs (SEMANTICS §7). Advances follow at the next boundary anyway.
    """
    subscription = terms.subscription
    migrates = subscription.version_policy == "pinned" and subscription.next_version_bills_arrears
    if migrates and invoice.status == "ACTIVE" and subscription.next_version_id is not None:
        return subscription.next_version_id
    if invoice.arrears_version_id is not None:
        return invoice.arrears_version_id
    follows = (
        invoice.status == "ACTIVE"
        and terms.subscription.version_policy != "pinned"
        and terms.plan.version_transition.get("effectiveDate") == "immediate"
    )
    return terms.plan.default_version_id if follows else invoice.plan_version_id


def step_of(terms: Terms, invoice: Invoice) -> Step:
    """The boundary that an invoice of a running subscription bills."""
    ended = (
        None
        if invoice.ended_from is None or invoice.ended_to is None
        else Period(invoice.ended_from, invoice.ended_to)
    )
    start = invoice.period_start if invoice.ended_to is None else invoice.ended_to
    coming = None if invoice.coming_to is None else Period(start, invoice.coming_to)
    cycles, coming_cycles = terms.cycles_of(invoice, start)
    if invoice.status == "ACTIVE" and coming_cycles is not None:
        # Another plan waits for this boundary, which then writes this down.
        coming = Period(start, coming_cycles.at(start).end)
    if (last := _last_window(terms, invoice, ended)) is not None:
        ended, coming, coming_cycles = last, None, None
    return Step(
        ended=ended,
        ended_version_id=arrears_version(terms, invoice),
        coming=coming,
        coming_version_id=invoice.coming_version_id or next_version(terms, invoice.plan_version_id),
        billed_version_id=invoice.plan_version_id,
        terminating=coming is None or coming.is_empty,
        resumed_at=invoice.resumed_at,
        paid_until=invoice.paid_until,
        cycles=cycles,
        coming_cycles=coming_cycles,
    )


def _last_window(terms: Terms, invoice: Invoice, ended: Period | None) -> Period | None:
    """An open window up to its subscription's end, which lies in it; None: another one comes."""
    end = terms.subscription.ending_at
    if invoice.status != "ACTIVE" or ended is None or end is None:
        return None
    return Period(ended.start, end) if ended.start <= end <= ended.end else None
