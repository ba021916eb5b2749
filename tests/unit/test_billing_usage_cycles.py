"""Examples of usage that enters and leaves with plan versions, worked by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from billing.durations import Duration
from billing.periods import Period
from billing.rating import PriceTerms, Schedule
from billing.usage_cycles import (
    BilledBefore,
    entered_at,
    left_prices,
    own_meter,
    own_meters,
    runs_over,
)

MONTH, QUARTER = Duration(months=1), Duration(months=3)
USAGE = PriceTerms(
    price_id="price_1",
    kind="metric",
    source_id="bm_1",
    display_name="Units",
    model="standard",
    properties={"unitPrice": "1"},
    payment_term="in_arrears",
    cadence=QUARTER,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
)
METER = ("bm_1", QUARTER)
HERE = frozenset({METER})
NOT_HERE: frozenset[tuple[str, Duration]] = frozenset()


def month(number: int) -> Period:
    return Period(datetime(2026, number, 1, tzinfo=UTC), datetime(2026, number + 1, 1, tzinfo=UTC))


def test_only_another_cadence_than_the_plans_is_one_of_its_own() -> None:
    plans, fee = replace(USAGE, cadence=MONTH), replace(USAGE, kind="fee")
    assert own_meter(USAGE, MONTH) == METER
    others = [plans, replace(USAGE, cadence=None), fee]
    assert [own_meter(each, MONTH) for each in others] == [None, None, None]
    assert own_meters([*others, USAGE], MONTH) == HERE


def test_a_cycle_goes_on_through_versions_that_have_it() -> None:
    earlier = [BilledBefore(month(2), HERE, HERE), BilledBefore(month(1), HERE, HERE)]
    assert entered_at(METER, month(3).start, earlier) is None


def test_it_entered_with_the_version_that_brought_it() -> None:
    february, january = month(2), month(1)
    earlier = [BilledBefore(february, HERE, HERE), BilledBefore(january, NOT_HERE, HERE)]
    assert entered_at(METER, month(3).start, earlier) == february.start
    # Billed until 1 March, since the version that came did not have it; the next one did.
    dropped = [BilledBefore(february, HERE, NOT_HERE)]
    assert entered_at(METER, month(3).start, dropped) == month(3).start


def test_a_quarter_runs_over_two_of_three_months() -> None:
    schedule = Schedule(month(1).start, MONTH, month(1).start)
    ends = [month(number).end for number in (1, 2, 3)]
    assert [runs_over([USAGE], schedule, end) for end in ends] == [True, True, False]
    assert not runs_over([replace(USAGE, cadence=None)], schedule, ends[0])


def test_behind_a_pause_nothing_is_asked() -> None:
    earlier = [BilledBefore(month(1), NOT_HERE, NOT_HERE)]
    assert entered_at(METER, month(3).start, earlier) is None


def test_a_version_for_the_whole_window_leaves_what_it_lacks() -> None:
    monthly = replace(USAGE, cadence=None)
    assert left_prices([USAGE], [USAGE], MONTH) == []
    assert left_prices([USAGE], [monthly], MONTH) == [USAGE]
    assert left_prices([monthly], [], MONTH) == []
