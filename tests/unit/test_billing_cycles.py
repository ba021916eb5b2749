"""Which cycles a subscription is billed by, after plans of other cadences."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.changing_fees import is_cut, is_missed
from billing.cycles import (
    Cycles,
    EarlierCycles,
    PlanCycles,
    Timeline,
    cycles_documents,
    kept_cycles,
    kept_plan_cycles,
    plan_cycles_document,
)
from billing.durations import Duration
from billing.entering_fees import advance_keys
from billing.periods import Period
from billing.rating import PriceTerms

MONTH, QUARTER, YEAR, ONCE = (Duration(months=each) for each in (1, 3, 12, 0))


def day(month: int, number: int, year: int = 2026) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


MONTHS = Cycles(day(1, 31), MONTH)
FEE = PriceTerms(
    price_id="price_1",
    kind="fee",
    source_id="fee_1",
    display_name="Fee",
    model="standard",
    properties={"unitPrice": "1"},
    payment_term="in_arrears",
    cadence=YEAR,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
    key="fee",
)


@pytest.mark.parametrize(
    ("plan", "changed_at", "anchor"),
    [
        (PlanCycles(MONTH), day(2, 10), day(1, 31)),  # The cadence is the same: it goes on.
        (PlanCycles(MONTH, day(1, 1)), day(2, 10), day(1, 31)),
        (PlanCycles(YEAR), day(2, 10), day(2, 10)),
        (PlanCycles(YEAR), day(2, 28), day(2, 28)),
        (PlanCycles(YEAR), day(1, 31, 2027), day(1, 31)),  # The anniversary.
        (PlanCycles(QUARTER), day(4, 30), day(1, 31)),
        (PlanCycles(YEAR, day(7, 1, 2025)), day(2, 10), day(7, 1, 2025)),
    ],
)
def test_the_anchor_stays_where_a_cycle_begins(
    plan: PlanCycles, changed_at: datetime, anchor: datetime
) -> None:
    assert plan.following(MONTHS, changed_at) == Cycles(anchor, plan.cadence)


def test_a_31st_comes_back_when_a_year_becomes_months() -> None:
    years = Cycles(day(1, 31), YEAR)
    months = PlanCycles(MONTH).following(years, day(1, 31, 2027))
    assert months.at(day(3, 15, 2027)) == Period(day(2, 28, 2027), day(3, 31, 2027))


def test_what_was_billed_keeps_its_cycles() -> None:
    """Months, a year from 10 February in invoice 2, and months from that instant in invoice 3."""
    first, year = Cycles(day(1, 1), MONTH), Cycles(day(2, 10), YEAR)
    last = PlanCycles(MONTH).following(year, day(2, 10))
    timeline = Timeline(first).moved(year, day(2, 10), 2).moved(last, day(2, 10), 3)
    assert timeline.current == last == Cycles(day(2, 10), MONTH)
    assert [timeline.of_window(number) for number in range(5)] == [first, first, first, year, last]
    assert [timeline.of_coming(number) for number in range(4)] == [first, first, year, last]
    assert timeline.at(day(2, 9)) == first
    assert timeline.at(day(2, 10)) == last
    assert timeline.period_at(day(2, 9)) == Period(day(2, 1), day(2, 10))
    assert timeline.period_at(day(1, 9)) == Period(day(1, 1), day(2, 1))
    assert timeline.period_at(day(2, 10)) == Period(day(2, 10), day(3, 10))
    assert timeline.ended == [first, year]


def test_they_read_back() -> None:
    earlier = (EarlierCycles(MONTHS, day(2, 10), 2), EarlierCycles(MONTHS, day(2, 11), 3))
    assert kept_cycles(cycles_documents(earlier)) == earlier
    for plan in (PlanCycles(YEAR), PlanCycles(YEAR, day(7, 1))):
        assert kept_plan_cycles(plan_cycles_document(plan)) == plan


def test_what_a_boundary_would_cut() -> None:
    assert is_cut(FEE, MONTHS, day(2, 28))
    assert not is_cut(FEE, MONTHS, day(1, 31, 2027))
    for other in (
        replace(FEE, cadence=None),
        replace(FEE, cadence=ONCE),
        replace(FEE, payment_term="in_advance"),
        replace(FEE, kind="metric"),
    ):
        assert not is_cut(other, MONTHS, day(2, 28))


def test_what_a_boundary_would_miss() -> None:
    years = Cycles(day(2, 28), YEAR)
    assert is_missed(FEE, MONTHS, MONTHS)
    assert not is_missed(FEE, MONTHS, years)
    assert not is_missed(replace(FEE, cadence=MONTH), MONTHS, MONTHS)
    assert not is_missed(replace(FEE, cadence=None), MONTHS, MONTHS)
    for coming in (MONTHS, years):
        assert is_missed(replace(FEE, cadence=ONCE), MONTHS, coming)
        assert not is_missed(replace(FEE, kind="metric"), MONTHS, coming)


def test_all_fees_in_advance_enter_with_other_cycles() -> None:
    ahead = replace(FEE, payment_term="in_advance")
    assert advance_keys([ahead, replace(ahead, key=""), replace(FEE, key="other")]) == {"fee"}
