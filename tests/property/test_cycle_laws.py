"""Laws of plans of other cadences: each instant lies in one period, and is paid once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.cycles import Cycles, PlanCycles, Timeline, cycles_documents, kept_cycles
from billing.durations import Duration
from billing.periods import Period
from billing.plan_change import Amount, ChangedFee, unused
from billing.proration import prorate
from tests.property.strategies import anchors, cadences, prices

WALKED = 40
TOLERANCE = Fraction(1, 10**20)
gaps = st.integers(0, 500 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
own_anchors = st.one_of(st.none(), anchors)


@dataclass(frozen=True)
class Change:
    """Another plan, so long after the one before."""

    after: timedelta
    plan: PlanCycles
    price: Decimal


plans = st.builds(PlanCycles, cadences, own_anchors)
changes = st.lists(st.builds(Change, gaps, plans, prices), max_size=6)


def _chain(start: datetime, cadence: Duration, made: list[Change]) -> Timeline:
    timeline, now = Timeline(Cycles(start, cadence)), start
    for number, change in enumerate(made):
        now += change.after
        cycles = change.plan.following(timeline.current, now)
        if cycles != timeline.current:
            timeline = timeline.moved(cycles, now, number)
    return timeline


@given(anchors, cadences, changes, gaps)
def test_each_instant_lies_in_one_period(
    start: datetime, cadence: Duration, made: list[Change], later: timedelta
) -> None:
    timeline = _chain(start, cadence, made)
    assert kept_cycles(cycles_documents(timeline.earlier)) == timeline.earlier
    instant = start + later
    period = timeline.period_at(instant)
    assert period.contains(instant)
    for _ in range(WALKED):
        assert timeline.period_at(period.last) == period
        following = timeline.period_at(period.end)
        assert following.start == period.end
        period = following


@given(anchors, cadences, changes)
def test_windows_follow_the_numbers_of_their_invoices(
    start: datetime, cadence: Duration, made: list[Change]
) -> None:
    timeline = _chain(start, cadence, made)
    for number in range(len(made) + 1):
        assert timeline.of_coming(number) == timeline.of_window(number + 1)


@given(anchors, cadences, prices, changes, gaps)
def test_what_stays_is_what_was_used(
    start: datetime, cadence: Duration, price: Decimal, made: list[Change], later: timedelta
) -> None:
    """Of each fee paid ahead, less what is given back once, its price for the time it held."""
    cycles, now = Cycles(start, cadence), start
    paid = [_paid(0, cycles, now, price)]
    returned: list[Amount] = []
    ends: list[datetime] = []
    for number, change in enumerate([*made, None]):
        now += later if change is None else change.after
        back = unused(paid, now, [each.fee for each in returned if each.fee is not None])
        returned += back
        ends.append(now)
        if change is not None:
            cycles = change.plan.following(cycles, now)
            paid.append(_paid(number + 1, cycles, now, change.price))
    fees = [each.fee.billed_as for each in returned if each.fee is not None]
    assert len(fees) == len(set(fees))
    kept = sum((Fraction(each.amount) for each in [*paid, *returned]), Fraction(0))
    used = sum((_used(*each) for each in zip(paid, ends, strict=True)), Fraction(0))
    assert abs(kept - used) <= TOLERANCE


def _paid(number: int, cycles: Cycles, now: datetime, price: Decimal) -> Amount:
    cycle = cycles.at(now)
    window = Period(now, cycle.end)
    fee = ChangedFee(
        price_id=f"price_{number}", plan_version_id=None, cycle=cycle, invoice_id=f"inv_{number}"
    )
    return Amount("Fee", window, prorate(price, window, cycle), fee)


def _used(paid: Amount, until: datetime) -> Fraction:
    """The part of what was paid that its time until then is of its window."""
    held = Period(paid.window.start, min(until, paid.window.end))
    return Fraction(paid.amount) * Fraction(held.microseconds, paid.window.microseconds)
