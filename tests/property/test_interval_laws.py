"""Laws of intervals: every instant is billed once, and by what lies over it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.durations import Duration
from billing.interval_terms import Interval
from billing.intervals import Boundary, Overlay, charges_under, priced
from billing.periods import Period
from billing.rating import PriceTerms, Schedule, rate_charge

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Duration(months=1)
JANUARY = Period(START, datetime(2026, 2, 1, tzinfo=UTC))
SCHEDULE = Schedule(START, MONTH, START)
AT_END = Boundary(SCHEDULE, JANUARY, Period(JANUARY.end, datetime(2026, 3, 1, tzinfo=UTC)))
RENT = PriceTerms(
    price_id="price_1",
    kind="fee",
    source_id="fee_1",
    display_name="Rent",
    model="standard",
    properties={"unitPrice": "31"},
    payment_term="in_arrears",
    cadence=MONTH,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
    key="rent",
)


@st.composite
def overlays(draw: st.DrawFn) -> list[Overlay]:
    """Intervals of one key that do not overlap, some beyond the month, some open."""
    hours = st.integers(-200, 1200)
    edges = sorted(draw(st.sets(hours, max_size=8)))
    found = []
    for number, (start, end) in enumerate(zip(edges[::2], edges[1::2], strict=False)):
        is_last = 2 * number + 2 >= len(edges) - 1
        interval = Interval(
            interval_id=f"int_{number}",
            key="rent",
            kind="plan_line",
            price_id="price_1",
            version_id="pver_1",
            unit_price=draw(st.sampled_from([None, Decimal(0), Decimal(62)])),
            base_quantity=Decimal(draw(st.integers(0, 5))),
            cadence="P1M",
            mode="arrears",
            start=START + timedelta(hours=start),
            end=None if is_last and draw(st.booleans()) else START + timedelta(hours=end),
            ends_key=is_last and draw(st.booleans()),
        )
        found.append(Overlay(interval, priced(interval, RENT)))
    return found


@given(overlays())
def test_every_instant_is_charged_once_by_what_lies_over_it(own: list[Overlay]) -> None:
    charges = charges_under([RENT], own, AT_END)
    pieces = sorted(charges, key=lambda charge: charge.window.start)
    for before, after in pairwise(pieces):
        assert before.window.end <= after.window.start
    for charge in charges:
        assert JANUARY.covers(charge.window)
        holding = [
            each.interval.interval_id for each in own if each.interval.holds(charge.window.start)
        ]
        assert holding == ([charge.price.interval_id] if charge.price.interval_id else [])
    if not any(each.interval.ends_key for each in own):
        assert sum(charge.window.microseconds for charge in charges) == JANUARY.microseconds


@given(overlays())
def test_intervals_at_the_plans_terms_change_nothing(own: list[Overlay]) -> None:
    plain = []
    for each in own:
        same = Interval(
            interval_id=each.interval.interval_id,
            key="rent",
            kind="plan_line",
            price_id="price_1",
            version_id="pver_1",
            unit_price=None,
            base_quantity=Decimal(1),
            cadence="P1M",
            mode="arrears",
            start=each.interval.start,
            end=each.interval.end,
        )
        plain.append(Overlay(same, priced(same, RENT)))
    lines = [
        rate_charge(charge, Decimal(0), "exclusive")
        for charge in charges_under([RENT], plain, AT_END)
    ]
    total = sum((Fraction(line.total_price) for line in lines), Fraction(0))
    assert abs(total - 31) < Fraction(1, 10**30)
