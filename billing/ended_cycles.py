"""Which cycles of a cadence end in a window, and which one runs on; it knows no prices."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from billing.durations import Duration
from billing.errors import InvalidValue
from billing.periods import Period, boundary, index_at

# A price by the minute in a yearly plan is a mistake: it would make half a million lines.
CYCLES_MAX: Final = 1_000


def cycle_at(anchor: datetime, cadence: Duration, index: int) -> Period:
    """The cycle with this index."""
    return Period(boundary(anchor, cadence, index), boundary(anchor, cadence, index + 1))


def cycles_from(anchor: datetime, cadence: Duration, first: int) -> Iterator[Period]:
    """One cycle after the other; too many of them are refused."""
    for index in range(first, first + CYCLES_MAX):
        yield cycle_at(anchor, cadence, index)
    raise InvalidValue("The cadence is too short for its plan", field="billingCadence")


def ended_cycles(
    anchor: datetime, cadence: Duration, ended: Period, since: datetime, *, is_cut: bool
) -> Iterator[tuple[Period, Period]]:
    """What has ended with a window: each part that is owed, and the cycle that it is a part of.

    Nothing is owed for what lies before `since`. `is_cut`: the cycle that runs on ends with the
    window, before its time.
    """
    for cycle in cycles_from(anchor, cadence, index_at(anchor, cadence, ended.start)):
        is_over = cycle.end <= ended.end
        if not is_over and not is_cut:
            return
        start, end = max(cycle.start, since), min(cycle.end, ended.end)
        if start < end:
            yield Period(start, end), cycle
        if not is_over:
            return
