"""A boundary that an invoice bills, and how billing sees it; it gathers no charges."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from billing.durations import Duration
from billing.entering_fees import entering_keys
from billing.periods import Period
from billing.rating import Meter, Schedule
from billing.usage_cycles import own_meters
from models.queries.terms import PriceSet, Terms


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

    @property
    def version_ids(self) -> set[str]:
        return {self.ended_version_id, self.coming_version_id, self.billed_version_id} - {""}


def schedule_at(terms: Terms, step: Step, sets: Mapping[str, PriceSet]) -> Schedule:
    """The subscription's schedule as it stands at the boundary."""
    billed = sets.get(step.billed_version_id)
    coming = sets[step.coming_version_id]
    schedule = replace(
        terms.schedule,
        resumed_at=step.resumed_at,
        paid_until=step.paid_until,
        entered=dict(step.entered),
        leaving=_leaving(step, sets, terms.schedule.cadence),
    )
    if billed is None:
        return schedule
    return replace(schedule, entering=entering_keys(billed.prices, coming.prices, schedule.cadence))


def _leaving(step: Step, sets: Mapping[str, PriceSet], cadence: Duration) -> frozenset[Meter]:
    """Usage at another cadence than the plan's that the version to come bills no more."""
    if step.ended_version_id == step.coming_version_id:
        return frozenset()
    ended, coming = sets[step.ended_version_id], sets[step.coming_version_id]
    return own_meters(ended.prices, cadence) - own_meters(coming.prices, cadence)
