"""Examples of what falls due at each boundary, worked by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from billing.durations import Duration
from billing.entering_fees import entering_keys
from billing.errors import InvalidValue
from billing.periods import Period
from billing.rating import Charge, PriceTerms, Schedule, charges_at, rate_charge

MONTH = Duration(months=1)
YEAR = Duration(months=12)
FEE = PriceTerms(
    price_id="price_fee",
    kind="fee",
    source_id="fee_1",
    display_name="Base fee",
    model="standard",
    properties={"unitPrice": "49.00"},
    payment_term="in_advance",
    cadence=None,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal("0.1"),
)
ARREARS_FEE = replace(FEE, price_id="price_arrears", payment_term="in_arrears")
USAGE = replace(
    FEE,
    price_id="price_usage",
    kind="metric",
    source_id="bm_1",
    display_name="Tokens",
    properties={"unitPrice": "0.002"},
    payment_term="in_arrears",
)


def day(month: int, number: int, year: int = 2026) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def span(start: tuple[int, int], end: tuple[int, int]) -> Period:
    return Period(day(*start), day(*end))


# Anchored on the 1st, started on the 16th of January: the first window is a stub.
SCHEDULE = Schedule(day(1, 1), MONTH, day(1, 16))
STUB = span((1, 16), (2, 1))
JANUARY = span((1, 1), (2, 1))
FEBRUARY = span((2, 1), (3, 1))
MARCH = span((3, 1), (4, 1))


def windows(charges: list[Charge]) -> list[tuple[str, Period, Period]]:
    return [(each.price.price_id, each.window, each.cycle) for each in charges]


class TestUsage:
    def test_is_owed_for_the_window_that_ended_and_never_prorated(self) -> None:
        start = charges_at([USAGE], SCHEDULE, ended=None, coming=STUB)
        assert start == []
        first = charges_at([USAGE], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert first == [Charge(USAGE, STUB, STUB)]

    def test_is_owed_at_the_end_whatever_its_payment_term(self) -> None:
        advance = replace(USAGE, payment_term="in_advance")
        assert charges_at([advance], SCHEDULE, ended=None, coming=STUB) == []
        charges = charges_at([advance], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert charges == [Charge(advance, STUB, STUB)]

    def test_no_time_has_no_usage(self) -> None:
        nothing = Period(day(2, 1), day(2, 1))
        assert charges_at([USAGE], SCHEDULE, ended=nothing, coming=None, terminating=True) == []


class TestUsageAtItsOwnCadence:
    """The first quarter is a stub, from 16 January to 1 April."""

    QUARTERLY = replace(USAGE, cadence=Duration(months=3))
    METER = ("bm_1", Duration(months=3))

    def owed(self, ended: Period, schedule: Schedule = SCHEDULE, **at: bool) -> list[Period]:
        charges = charges_at([self.QUARTERLY], schedule, ended=ended, coming=None, **at)
        assert all(each.window == each.cycle for each in charges)
        return [each.window for each in charges]

    def test_is_owed_once_its_cycle_has_ended(self) -> None:
        assert self.owed(STUB) == []
        assert self.owed(FEBRUARY) == []
        assert self.owed(MARCH) == [span((1, 16), (4, 1))]

    def test_has_many_cycles_in_a_longer_period(self) -> None:
        yearly = Schedule(day(1, 1), YEAR, day(1, 16))
        monthly = replace(USAGE, cadence=MONTH)
        year = Period(day(1, 16), day(1, 1, 2027))
        charges = charges_at([monthly], yearly, ended=year, coming=None)
        assert [each.window for each in charges[:2]] == [STUB, FEBRUARY]
        assert len(charges) == 12

    def test_is_cut_where_the_subscription_ends(self) -> None:
        cut = span((2, 1), (2, 10))
        assert self.owed(cut, terminating=True) == [span((1, 16), (2, 10))]
        nothing = span((3, 1), (3, 1))
        assert self.owed(nothing, terminating=True) == [span((1, 16), (3, 1))]

    def test_is_cut_where_no_version_bills_it_further(self) -> None:
        leaving = replace(SCHEDULE, leaving=frozenset({self.METER}))
        assert self.owed(FEBRUARY, leaving) == [span((1, 16), (3, 1))]

    def test_begins_where_it_entered_was_resumed_or_billing_began(self) -> None:
        for since in (
            replace(SCHEDULE, entered={self.METER: day(2, 1)}),
            replace(SCHEDULE, resumed_at=day(2, 1)),
            replace(SCHEDULE, billed_from=day(2, 1)),
        ):
            assert self.owed(MARCH, since) == [span((2, 1), (4, 1))]


class TestFeesInAdvance:
    def test_the_start_owes_the_rest_of_the_running_cycle(self) -> None:
        charges = charges_at([FEE], SCHEDULE, ended=None, coming=STUB)
        assert charges == [Charge(FEE, STUB, JANUARY)]

    def test_a_boundary_owes_the_coming_cycle_whole(self) -> None:
        charges = charges_at([FEE], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert charges == [Charge(FEE, FEBRUARY, FEBRUARY)]

    def test_a_start_on_a_boundary_has_no_stub(self) -> None:
        schedule = Schedule(day(1, 1), MONTH, day(2, 1))
        charges = charges_at([FEE], schedule, ended=None, coming=FEBRUARY)
        assert charges == [Charge(FEE, FEBRUARY, FEBRUARY)]

    def test_an_obligation_waits_for_its_next_whole_cycle(self) -> None:
        duty = replace(FEE, is_obligation=True)
        assert charges_at([duty], SCHEDULE, ended=None, coming=STUB) == []
        charges = charges_at([duty], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert charges == [Charge(duty, FEBRUARY, FEBRUARY)]

    def test_a_yearly_fee_in_a_monthly_plan_is_owed_once_a_year(self) -> None:
        """Started on 16 January, anchored on the 1st: 350 of the year's 365 days."""
        yearly = replace(FEE, cadence=YEAR)
        whole_year = Period(day(1, 1), day(1, 1, 2027))
        start = charges_at([yearly], SCHEDULE, ended=None, coming=STUB)
        assert start == [Charge(yearly, Period(day(1, 16), whole_year.end), whole_year)]
        assert charges_at([yearly], SCHEDULE, ended=STUB, coming=FEBRUARY) == []
        december = Period(day(12, 1), day(1, 1, 2027))
        january = Period(day(1, 1, 2027), day(2, 1, 2027))
        second = charges_at([yearly], SCHEDULE, ended=december, coming=january)
        next_year = Period(day(1, 1, 2027), day(1, 1, 2028))
        assert second == [Charge(yearly, next_year, next_year)]

    def test_a_weekly_fee_owes_each_week_that_starts_in_the_window(self) -> None:
        """From 1 January by weeks; in February they start on the 5th, 12th, 19th and 26th."""
        weekly = replace(FEE, cadence=Duration(days=7))
        charges = charges_at([weekly], SCHEDULE, ended=STUB, coming=FEBRUARY)
        starts = [charge.window.start.day for charge in charges]
        assert starts == [5, 12, 19, 26]
        assert all(charge.window == charge.cycle for charge in charges)
        assert charges[-1].window.end == day(3, 5)

    def test_a_weekly_fee_at_the_start(self) -> None:
        """16 January is the second day of the week from the 15th: six days, then whole weeks."""
        weekly = replace(FEE, cadence=Duration(days=7))
        charges = charges_at([weekly], SCHEDULE, ended=None, coming=STUB)
        assert windows(charges)[:2] == [
            ("price_fee", span((1, 16), (1, 22)), span((1, 15), (1, 22))),
            ("price_fee", span((1, 22), (1, 29)), span((1, 22), (1, 29))),
        ]
        assert len(charges) == 3

    def test_termination_owes_no_coming_cycle(self) -> None:
        assert charges_at([FEE], SCHEDULE, ended=STUB, coming=None, terminating=True) == []

    def test_the_thirty_first(self) -> None:
        """31 January, 28 February, 31 March: the anchor's day comes back."""
        schedule = Schedule(day(1, 31), MONTH, day(1, 31))
        first, second = span((1, 31), (2, 28)), span((2, 28), (3, 31))
        assert charges_at([FEE], schedule, ended=None, coming=first) == [Charge(FEE, first, first)]
        assert charges_at([FEE], schedule, ended=first, coming=second) == [
            Charge(FEE, second, second)
        ]


class TestFeesInArrears:
    def test_a_boundary_owes_the_cycle_that_ended_clipped_to_the_start(self) -> None:
        assert charges_at([ARREARS_FEE], SCHEDULE, ended=None, coming=STUB) == []
        first = charges_at([ARREARS_FEE], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert first == [Charge(ARREARS_FEE, STUB, JANUARY)]
        second = charges_at([ARREARS_FEE], SCHEDULE, ended=FEBRUARY, coming=MARCH)
        assert second == [Charge(ARREARS_FEE, FEBRUARY, FEBRUARY)]

    def test_an_obligation_skips_its_stub(self) -> None:
        duty = replace(ARREARS_FEE, is_obligation=True)
        assert charges_at([duty], SCHEDULE, ended=STUB, coming=FEBRUARY) == []
        second = charges_at([duty], SCHEDULE, ended=FEBRUARY, coming=MARCH)
        assert second == [Charge(duty, FEBRUARY, FEBRUARY)]

    def test_termination_owes_the_running_cycle_up_to_now(self) -> None:
        part = span((2, 1), (2, 15))
        charges = charges_at([ARREARS_FEE], SCHEDULE, ended=part, coming=None, terminating=True)
        assert charges == [Charge(ARREARS_FEE, part, FEBRUARY)]

    def test_termination_in_the_stub_owes_from_the_start(self) -> None:
        part = span((1, 16), (1, 20))
        charges = charges_at([ARREARS_FEE], SCHEDULE, ended=part, coming=None, terminating=True)
        assert charges == [Charge(ARREARS_FEE, part, JANUARY)]

    def test_termination_on_a_boundary_owes_each_cycle_once(self) -> None:
        charges = charges_at([ARREARS_FEE], SCHEDULE, ended=FEBRUARY, coming=None, terminating=True)
        assert charges == [Charge(ARREARS_FEE, FEBRUARY, FEBRUARY)]

    def test_termination_at_the_very_start_owes_nothing(self) -> None:
        nothing = Period(day(1, 16), day(1, 16))
        charges = charges_at([ARREARS_FEE], SCHEDULE, ended=nothing, coming=None, terminating=True)
        assert charges == []

    def test_an_obligation_is_owed_whole_when_termination_cuts_it_short(self) -> None:
        duty = replace(ARREARS_FEE, is_obligation=True)
        part = span((2, 1), (2, 15))
        charges = charges_at([duty], SCHEDULE, ended=part, coming=None, terminating=True)
        assert charges == [Charge(duty, part, part)]

    def test_a_yearly_fee_is_owed_when_its_year_ends_or_the_subscription_does(self) -> None:
        yearly = replace(ARREARS_FEE, cadence=YEAR)
        year = Period(day(1, 1), day(1, 1, 2027))
        assert charges_at([yearly], SCHEDULE, ended=FEBRUARY, coming=MARCH) == []
        december = Period(day(12, 1), year.end)
        january = Period(year.end, day(2, 1, 2027))
        at_year_end = charges_at([yearly], SCHEDULE, ended=december, coming=january)
        assert at_year_end == [Charge(yearly, Period(day(1, 16), year.end), year)]
        cut = charges_at([yearly], SCHEDULE, ended=FEBRUARY, coming=None, terminating=True)
        assert cut == [Charge(yearly, span((1, 16), (3, 1)), year)]

    def test_a_weekly_fee_owes_each_week_that_ends_in_the_window(self) -> None:
        weekly = replace(ARREARS_FEE, cadence=Duration(days=7))
        charges = charges_at([weekly], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert windows(charges) == [
            ("price_arrears", span((1, 16), (1, 22)), span((1, 15), (1, 22))),
            ("price_arrears", span((1, 22), (1, 29)), span((1, 22), (1, 29))),
        ]


class TestOnce:
    ONCE = replace(FEE, cadence=Duration())
    ONCE_ARREARS = replace(ARREARS_FEE, cadence=Duration())

    def test_in_advance_at_the_start_only(self) -> None:
        start = charges_at([self.ONCE], SCHEDULE, ended=None, coming=STUB)
        assert start == [Charge(self.ONCE, STUB, STUB)]
        assert charges_at([self.ONCE], SCHEDULE, ended=STUB, coming=FEBRUARY) == []

    def test_in_arrears_at_the_first_boundary_only(self) -> None:
        assert charges_at([self.ONCE_ARREARS], SCHEDULE, ended=None, coming=STUB) == []
        first = charges_at([self.ONCE_ARREARS], SCHEDULE, ended=STUB, coming=FEBRUARY)
        assert first == [Charge(self.ONCE_ARREARS, STUB, STUB)]
        assert charges_at([self.ONCE_ARREARS], SCHEDULE, ended=FEBRUARY, coming=MARCH) == []

    def test_in_arrears_is_owed_when_terminated_before(self) -> None:
        part = span((1, 16), (1, 20))
        charges = charges_at(
            [self.ONCE_ARREARS], SCHEDULE, ended=part, coming=None, terminating=True
        )
        assert charges == [Charge(self.ONCE_ARREARS, part, part)]


def test_charges_come_in_the_order_of_the_prices() -> None:
    charges = charges_at([FEE, USAGE, ARREARS_FEE], SCHEDULE, ended=STUB, coming=FEBRUARY)
    assert windows(charges) == [
        ("price_fee", FEBRUARY, FEBRUARY),
        ("price_usage", STUB, STUB),
        ("price_arrears", STUB, JANUARY),
    ]


def test_a_cadence_far_too_short_is_refused_instead_of_making_a_million_lines() -> None:
    for fee in (FEE, ARREARS_FEE):
        by_the_minute = replace(fee, cadence=Duration(seconds=60))
        with pytest.raises(InvalidValue) as refusal:
            charges_at([by_the_minute], SCHEDULE, ended=FEBRUARY, coming=MARCH)
        assert refusal.value.field == "billingCadence"


class TestRateCharge:
    def test_a_metered_line(self) -> None:
        """1 234 tokens at 0.002 are 2.468, and 10 % tax on it 0.2468."""
        line = rate_charge(Charge(USAGE, FEBRUARY, FEBRUARY), Decimal(1234), "exclusive")
        assert line.quantity == 1234
        assert line.unit_price == Decimal("0.002")
        assert line.total_price == Decimal("2.468")
        assert line.total_tax == Decimal("0.2468")
        assert line.total_amount == Decimal("2.7148")
        assert line.fraction == 1
        assert line.window == FEBRUARY

    def test_net_usage_below_zero_is_rated_as_none(self) -> None:
        line = rate_charge(Charge(USAGE, FEBRUARY, FEBRUARY), Decimal(-5), "exclusive")
        assert line.quantity == 0
        assert line.total_amount == 0

    def test_a_prorated_fee(self) -> None:
        """3 seats at 49.00 for 16 of 31 days: 147 x 16 / 31 = 75.870967...; 10 % tax."""
        seats = replace(FEE, quantity=Decimal(3))
        line = rate_charge(Charge(seats, STUB, JANUARY), Decimal(999), "exclusive")
        assert line.quantity == 3
        assert line.unit_price == 49
        assert line.fraction == Fraction(16, 31)
        assert line.total_price == Decimal("75.87096774193548387096774193548387096774")
        assert round(line.total_amount, 6) == Decimal("83.458065")

    def test_tax_inside_the_price(self) -> None:
        line = rate_charge(Charge(FEE, FEBRUARY, FEBRUARY), Decimal(0), "inclusive")
        assert line.total_amount == 49
        assert line.total_price == Decimal("44.54545454545454545454545454545455")
        assert line.total_price + line.total_tax == 49

    def test_out_of_scope(self) -> None:
        cashback = replace(USAGE, properties={"unitPrice": "-0.01"}, in_scope=False)
        line = rate_charge(Charge(cashback, FEBRUARY, FEBRUARY), Decimal(100), "exclusive")
        assert line.total_price == line.total_amount == -1
        assert line.total_tax == 0


def test_a_year_of_a_monthly_plan_charges_each_instant_once() -> None:
    """From 31 January 2024 on: twelve fees whose windows join without gap or overlap."""
    schedule = Schedule(day(1, 31, 2024), MONTH, day(1, 31, 2024))
    edges = [MONTH.after(schedule.anchor, index) for index in range(14)]
    periods = [Period(a, b) for a, b in pairwise(edges)]
    paid = charges_at([FEE], schedule, ended=None, coming=periods[0])
    for ended, coming in pairwise(periods):
        paid += charges_at([FEE], schedule, ended=ended, coming=coming)
    assert [charge.window for charge in paid] == periods
    assert sum((charge.window.end - charge.window.start for charge in paid), timedelta()) == (
        edges[-1] - edges[0]
    )


class TestAfterAPause:
    """Paused in January and resumed on 16 March, or on 20 January."""

    LATER = replace(SCHEDULE, resumed_at=day(3, 16), paid_until=day(2, 1))
    REST = span((3, 16), (4, 1))

    def test_the_rest_of_a_running_cycle_is_owed_in_advance(self) -> None:
        charges = charges_at([FEE], self.LATER, ended=None, coming=self.REST)
        assert charges == [Charge(FEE, self.REST, MARCH)]

    def test_a_cycle_that_began_before_it_is_paid(self) -> None:
        yearly = replace(FEE, cadence=YEAR)
        assert charges_at([yearly], self.LATER, ended=None, coming=self.REST) == []

    def test_what_is_paid_once_is_not_paid_again(self) -> None:
        once = replace(FEE, cadence=Duration())
        after = replace(once, payment_term="in_arrears")
        assert charges_at([once, after], self.LATER, ended=None, coming=self.REST) == []
        assert charges_at([once, after], self.LATER, ended=self.REST, coming=None) == []

    def test_an_obligation_waits_for_its_next_whole_cycle(self) -> None:
        duty = replace(FEE, is_obligation=True)
        assert charges_at([duty], self.LATER, ended=None, coming=self.REST) == []

    def test_arrears_are_owed_from_the_end_of_the_pause(self) -> None:
        yearly = replace(ARREARS_FEE, cadence=YEAR)
        april = span((4, 1), (5, 1))
        charges = charges_at([ARREARS_FEE, yearly], self.LATER, ended=self.REST, coming=april)
        assert charges == [Charge(ARREARS_FEE, self.REST, MARCH)]
        ending = charges_at([yearly], self.LATER, ended=april, coming=None, terminating=True)
        assert ending == [Charge(yearly, span((3, 16), (5, 1)), Period(day(1, 1), day(1, 1, 2027)))]

    def test_a_cut_owes_nothing_for_what_comes(self) -> None:
        cut, nothing = span((1, 16), (1, 20)), span((1, 20), (1, 20))
        charges = charges_at(
            [FEE, ARREARS_FEE], SCHEDULE, ended=cut, coming=nothing, terminating=True
        )
        assert charges == [Charge(ARREARS_FEE, cut, JANUARY)]


LICENCE = replace(FEE, price_id="price_year", source_id="fee_year", key="licence", cadence=YEAR)


class TestEntering:
    """A yearly fee that a version brings into a running year of its anchor."""

    YEAR_2026 = Period(day(1, 1), day(1, 1, 2027))
    REST = Period(day(3, 1), day(1, 1, 2027))

    def test_owes_the_rest_of_its_cycle_once(self) -> None:
        enters = replace(SCHEDULE, entering=entering_keys([FEE], [FEE, LICENCE], MONTH))
        first = charges_at([LICENCE], enters, ended=FEBRUARY, coming=MARCH)
        assert first == [Charge(LICENCE, self.REST, self.YEAR_2026)]
        assert charges_at([LICENCE], SCHEDULE, ended=FEBRUARY, coming=MARCH) == []

    def test_after_a_pause_it_was_not_paid_before(self) -> None:
        resumed = replace(SCHEDULE, resumed_at=day(3, 18), paid_until=day(2, 1))
        rest = span((3, 18), (4, 1))
        assert charges_at([LICENCE], resumed, ended=None, coming=rest) == []
        enters = replace(resumed, entering=frozenset({"licence"}))
        (charge,) = charges_at([LICENCE], enters, ended=None, coming=rest)
        assert charge.window == Period(day(3, 18), day(1, 1, 2027))

    def test_nothing_enters_where_no_time_comes(self) -> None:
        enters = replace(SCHEDULE, entering=frozenset({"licence"}))
        cut = Period(day(2, 10), day(2, 10))
        assert charges_at([LICENCE], enters, ended=FEBRUARY, coming=cut) == []

    def test_an_obligation_waits_for_its_next_cycle(self) -> None:
        enters = replace(SCHEDULE, entering=frozenset({"licence"}))
        owed_whole = replace(LICENCE, is_obligation=True)
        assert charges_at([owed_whole], enters, ended=FEBRUARY, coming=MARCH) == []

    def test_what_was_asked_before_does_not_enter(self) -> None:
        dearer = replace(LICENCE, price_id="price_2", properties={"unitPrice": "500"})
        renamed = replace(dearer, key="seat")
        monthly = replace(LICENCE, cadence=MONTH)
        arrears = replace(LICENCE, payment_term="in_arrears")
        assert entering_keys([LICENCE], [dearer], MONTH) == frozenset()
        assert entering_keys([LICENCE], [renamed], MONTH) == frozenset()
        assert entering_keys([replace(LICENCE, cadence=None)], [LICENCE], YEAR) == frozenset()
        assert entering_keys([monthly], [LICENCE], MONTH) == {"licence"}
        assert entering_keys([arrears], [LICENCE], MONTH) == {"licence"}
        assert entering_keys([], [arrears, USAGE], MONTH) == frozenset()
