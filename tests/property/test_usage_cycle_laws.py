"""Laws of usage at another cadence than its plan's: every instant is billed once, none is lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.durations import Duration
from billing.periods import Period, boundary, index_at
from billing.rating import Charge, PriceTerms, Schedule, charges_at
from billing.usage_cycles import BilledBefore, entered_at, left_prices, own_meters
from tests.property.strategies import anchors, instants

PLANS = [Duration(months=1), Duration(months=3), Duration(months=12)]
plan_cadences = st.sampled_from(PLANS)
price_cadences = st.sampled_from(
    [None, *PLANS, Duration(days=1), Duration(days=7), Duration(days=45), Duration(months=24)]
)
USAGE = PriceTerms(
    price_id="price_1",
    kind="metric",
    source_id="bm_1",
    display_name="Units",
    model="standard",
    properties={"unitPrice": "1"},
    payment_term="in_arrears",
    cadence=None,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
    key="units",
)


def _windows(schedule: Schedule, count: int) -> list[Period]:
    """The billing windows from the start on."""
    anchor, cadence = schedule.anchor, schedule.cadence
    first = index_at(anchor, cadence, schedule.started_at) + 1
    edges = [boundary(anchor, cadence, index) for index in range(first, first + count)]
    return [Period(a, b) for a, b in pairwise([schedule.started_at, *edges])]


def _joined(charges: Sequence[Charge]) -> list[Period]:
    """The time that the charges are for; fails where two of them share an instant."""
    found: list[Period] = []
    for window in sorted((each.window for each in charges), key=lambda window: window.start):
        if found and found[-1].end == window.start:
            found[-1] = Period(found[-1].start, window.end)
            continue
        assert not found or found[-1].end < window.start
        found.append(window)
    return found


@given(
    st.builds(Schedule, anchors, plan_cadences, instants),
    price_cadences,
    st.integers(1, 15),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_life_is_billed_once(
    schedule: Schedule, cadence: Duration | None, count: int, paused: float, resumed: float
) -> None:
    """Wherever anchor and start lie, and whenever it is paused, goes on, and ends."""
    usage = replace(USAGE, cadence=cadence)
    windows = _windows(schedule, count)
    charged = [
        charge
        for ended, coming in pairwise(windows)
        for charge in charges_at([usage], schedule, ended=ended, coming=coming)
    ]
    last = windows[-1]
    paused_at = last.start + (last.end - last.start) * paused
    resumed_at = paused_at + (last.end - paused_at) * resumed
    before, after = Period(last.start, paused_at), Period(resumed_at, last.end)
    charged += charges_at([usage], schedule, ended=before, coming=None, terminating=True)
    schedule = replace(schedule, resumed_at=resumed_at)
    charged += charges_at([usage], schedule, ended=after, coming=None, terminating=True)
    lived = [Charge(usage, each, each) for each in (*windows[:-1], before, after)]
    assert _joined(charged) == _joined([each for each in lived if not each.window.is_empty])


@dataclass(frozen=True)
class _Version:
    """At which cadence each metric is billed; one that is not there is not billed."""

    cadences: tuple[tuple[str, Duration | None], ...]

    @property
    def prices(self) -> list[PriceTerms]:
        return [
            replace(USAGE, source_id=metric, key=metric, price_id=metric, cadence=cadence)
            for metric, cadence in self.cadences
        ]


versions = st.dictionaries(st.sampled_from(["bm_1", "bm_2"]), price_cadences, max_size=2).map(
    lambda drawn: _Version(tuple(sorted(drawn.items())))
)


@given(anchors, instants, plan_cadences, st.lists(st.tuples(versions, versions), min_size=1))
def test_a_metric_is_billed_for_the_windows_whose_version_has_it(
    anchor: datetime,
    started_at: datetime,
    plan: Duration,
    drawn: list[tuple[_Version, _Version]],
) -> None:
    """Each window begins with a version; another may count for all of it, as if from its start."""
    schedule = Schedule(anchor, plan, started_at)
    windows = _windows(schedule, min(len(drawn), 12))
    begun = [first for first, _ in drawn[: len(windows)]]
    billed = [second for _, second in drawn[: len(windows)]]
    meters = {each: own_meters(each.prices, plan) for each in (*begun, *billed)}
    charged: list[Charge] = []
    for at, window in enumerate(windows):
        earlier = [
            BilledBefore(windows[n], meters[billed[n]], meters[begun[n + 1]])
            for n in reversed(range(at))
        ]
        is_last = at + 1 == len(windows)
        coming = frozenset() if is_last else meters[begun[at + 1]]
        asked = meters[begun[at]] | meters[billed[at]]
        entered = {each: entered_at(each, window.start, earlier) for each in asked}
        own = replace(
            schedule,
            entered={each: since for each, since in entered.items() if since is not None},
            leaving=meters[billed[at]] - coming,
        )
        charged += charges_at(
            billed[at].prices, own, ended=window, coming=None, terminating=is_last
        )
        left = left_prices(begun[at].prices, billed[at].prices, plan)
        start = Period(window.start, window.start)
        charged += charges_at(left, own, ended=start, coming=None, terminating=True)
    for metric in ("bm_1", "bm_2"):
        having = [
            Charge(USAGE, window, window)
            for window, version in zip(windows, billed, strict=True)
            if metric in dict(version.cadences)
        ]
        theirs = [charge for charge in charged if charge.price.source_id == metric]
        assert _joined(theirs) == _joined(having)
