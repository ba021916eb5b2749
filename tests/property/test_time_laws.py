"""Laws of time: boundaries ascend and are found by index, durations read back, months partition."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.durations import Duration, parse_duration
from billing.errors import InvalidValue
from billing.money import exact
from billing.periods import Period, boundary, index_at, period_at
from billing.proration import fraction, prorate
from billing.revenue import BucketWidth, buckets
from tests.property.strategies import amounts, anchors, cadences, durations, instants, parts_of
from tests.property.strategies import periods as some_period

indexes = st.integers(-200, 200)
TICK = timedelta(microseconds=1)


@given(durations)
def test_a_duration_reads_back(duration: Duration) -> None:
    assert parse_duration(duration.text()) == duration
    assert parse_duration(duration.text()).text() == duration.text()


@given(st.text("PTYMWDHS0123456789.,-", max_size=20))
def test_a_duration_is_read_or_refused_and_nothing_else(spelled: str) -> None:
    try:
        duration = parse_duration(spelled)
    except InvalidValue:
        return
    assert spelled.startswith("P")
    assert parse_duration(duration.text()) == duration


@given(anchors, cadences, indexes)
def test_boundaries_strictly_ascend(anchor: datetime, cadence: Duration, index: int) -> None:
    assert boundary(anchor, cadence, index) < boundary(anchor, cadence, index + 1)


@given(anchors, cadences, indexes)
def test_the_index_finds_its_boundary(anchor: datetime, cadence: Duration, index: int) -> None:
    edge = boundary(anchor, cadence, index)
    assert index_at(anchor, cadence, edge) == index
    assert index_at(anchor, cadence, edge - TICK) == index - 1


@given(anchors, cadences, instants)
def test_every_instant_lies_in_one_period(
    anchor: datetime, cadence: Duration, instant: datetime
) -> None:
    period = period_at(anchor, cadence, instant)
    assert period.contains(instant)
    assert period_at(anchor, cadence, period.start) == period
    assert period_at(anchor, cadence, period.end).start == period.end


@given(anchors, st.integers(-1_000, 1_000))
def test_monthly_boundaries_keep_the_anchor_s_day_or_the_month_s_last(
    anchor: datetime, index: int
) -> None:
    edge = boundary(anchor, Duration(months=1), index)
    is_last_day = (edge + timedelta(days=1)).day == 1
    assert edge.day == anchor.day or (is_last_day and edge.day < anchor.day)
    assert edge.timetz() == anchor.timetz()


@given(st.data(), some_period(), amounts)
def test_the_parts_of_a_cycle_owe_its_price(
    data: st.DataObject, cycle: Period, price: Decimal
) -> None:
    """Exactly as fractions, and to 34 digits as amounts."""
    parts = data.draw(parts_of(cycle))
    assert sum((fraction(part, cycle) for part in parts), Fraction(0)) == 1
    with exact():
        owed = sum((prorate(price, part, cycle) for part in parts), Decimal(0))
        assert abs(owed - price) <= abs(price) * Decimal("1e-34")


@given(anchors, indexes, amounts)
def test_the_days_of_a_month_owe_its_price(anchor: datetime, index: int, price: Decimal) -> None:
    month = Period(
        boundary(anchor, Duration(months=1), index), boundary(anchor, Duration(months=1), index + 1)
    )
    days = buckets(month.start, month.end, "day")
    with exact():
        owed = sum((prorate(price, day, month) for day in days), Decimal(0))
        assert abs(owed - price) <= abs(price) * Decimal("1e-34")


@given(instants, st.integers(0, 31 * 86_400), st.sampled_from(["hour", "day", "week"]))
def test_buckets_are_the_range(start: datetime, seconds: int, width: BucketWidth) -> None:
    end = start + timedelta(seconds=seconds)
    found = buckets(start, end, width)
    assert sum((bucket.microseconds for bucket in found), 0) == Period(start, end).microseconds
    for bucket, following in pairwise(found):
        assert bucket.end == following.start
        assert bucket.end.minute == bucket.end.second == bucket.end.microsecond == 0


@given(some_period(), some_period())
def test_overlap_is_symmetrical_and_inside_both(one: Period, other: Period) -> None:
    shared = one.overlap(other)
    assert shared == other.overlap(one)
    if shared is None:
        assert one.end <= other.start or other.end <= one.start
    else:
        assert one.covers(shared)
        assert other.covers(shared)
        assert not shared.is_empty
