"""Usage whose price has another cadence than its plan, from version to version; it rates none.

Its cycle may run over boundaries. As long as each version bills the metric at the same cadence the
cycle goes on, and the version that bills its end prices all of it. Where one does not, the cycle
ends; where one comes that does, it begins.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.durations import Duration
from billing.periods import Period, period_at
from billing.rating import Meter, PriceTerms, Schedule


def own_meter(price: PriceTerms, cadence: Duration) -> Meter | None:
    """What such usage is known by; None of any other price. `cadence` is the plan's."""
    if price.kind != "metric" or price.cadence is None or price.cadence == cadence:
        return None
    return price.source_id, price.cadence


def own_meters(prices: Sequence[PriceTerms], cadence: Duration) -> frozenset[Meter]:
    """All of them among these prices."""
    found = (own_meter(price, cadence) for price in prices)
    return frozenset(meter for meter in found if meter is not None)


def runs_over(prices: Sequence[PriceTerms], schedule: Schedule, boundary: datetime) -> bool:
    """Whether such usage has a cycle that does not end at a boundary, but runs on there."""
    cycles = (
        period_at(schedule.anchor, cadence, boundary)
        for _, cadence in own_meters(prices, schedule.cadence)
    )
    return any(cycle.start < boundary for cycle in cycles)


def left_prices(
    begun: Sequence[PriceTerms], billed: Sequence[PriceTerms], cadence: Duration
) -> list[PriceTerms]:
    """Such usage of the version with which a window began that the one that bills it lacks.

    They differ where a version counts for the whole running window: what was used before that
    window, in cycles that ran on at its start, is owed still.
    """
    kept = own_meters(billed, cadence)
    own = ((price, own_meter(price, cadence)) for price in begun)
    return [price for price, meter in own if meter is not None and meter not in kept]


@dataclass(frozen=True, slots=True)
class BilledBefore:
    """A window that an earlier invoice bills: with what, and with what the window after began."""

    window: Period
    meters: Collection[Meter]
    following: Collection[Meter]


def entered_at(meter: Meter, start: datetime, earlier: Sequence[BilledBefore]) -> datetime | None:
    """From when on the usage has been billed without a break, up to a window's start.

    `earlier` are the windows before that one, the newest first, as far back as the cycle goes;
    None: in all of them.
    """
    for each in earlier:
        if each.window.end != start:
            # A pause, before which all was billed.
            return None
        if meter not in each.meters or meter not in each.following:
            return start
        start = each.window.start
    return None
