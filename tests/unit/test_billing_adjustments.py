"""Examples of what a deal changes, worked by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.adjustments import (
    Adjustment,
    Kind,
    check_target,
    check_window,
    kept_share,
    rate_adjusted,
    rule_of,
    shares,
)
from billing.durations import Duration
from billing.errors import InvalidValue
from billing.invoicing import totals
from billing.late_usage import Reading, late_line
from billing.periods import Period
from billing.rating import Billed, Charge, Measure, PriceTerms, RatedLine

FEE = PriceTerms(
    price_id="price_fee",
    kind="fee",
    source_id="fee_1",
    display_name="Seats",
    model="standard",
    properties={"unitPrice": "10"},
    payment_term="in_advance",
    cadence=None,
    quantity=Decimal(2),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal("0.1"),
    key="seats",
)
TOKENS = replace(
    FEE, price_id="price_tokens", kind="metric", source_id="bm_1", key="tokens",
    payment_term="in_arrears",
    properties={"tiers": [{"upTo": "999", "unitPrice": "2"}, {"upTo": None, "unitPrice": "1"}]},
    model="volume",
)  # fmt: skip


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def span(start: tuple[int, int], end: tuple[int, int]) -> Period:
    return Period(day(*start), day(*end))


FEBRUARY = span((2, 1), (3, 1))


def adjustment(
    kind: Kind, value: str, start: datetime, end: datetime | None = None, *, of: str = "tokens"
) -> Adjustment:
    return Adjustment(
        adjustment_id=f"adj_{kind}_{value}",
        kind=kind,
        value=Decimal(value),
        start=start,
        end=end,
        target_key="" if kind == "percentageDiscount" else of,
    )


def billed(charges: Sequence[Charge], deal: Sequence[Adjustment], *usages: int) -> list[RatedLine]:
    measures = [Measure(Decimal(usage)) for usage in usages] or [Measure(Decimal(0))] * len(charges)
    return rate_adjusted(charges, measures, deal, "exclusive")


def measured_of(line: RatedLine) -> Decimal | None:
    return None if line.origin is None else line.origin.measured


def amounts(lines: Sequence[RatedLine]) -> list[Decimal]:
    return [line.total_price for line in lines]


def test_waived_units_select_the_band_again() -> None:
    """1000 tokens are 1 each: 1000. With 300 waived, 700 are 2 each: 1400, and more."""
    charge = Charge(TOKENS, FEBRUARY, FEBRUARY)
    assert amounts(billed([charge], [], 1000)) == [1000]
    (line,) = billed([charge], [adjustment("usageDiscount", "300", day(2, 1))], 1000)
    assert [line.quantity, measured_of(line), line.total_price] == [700, 1000, 1400]
    assert line.adjustment_ids == ("adj_usageDiscount_300",)


def test_several_waivers_add_up_and_never_credit() -> None:
    charge = Charge(TOKENS, FEBRUARY, FEBRUARY)
    deal = [
        adjustment("usageDiscount", "300", day(2, 1)),
        adjustment("usageDiscount", "1", day(2, 1)),
    ]
    assert [line.quantity for line in billed([charge], deal, 400)] == [99]
    assert [line.quantity for line in billed([charge], deal, 200)] == [0]


@pytest.mark.parametrize(
    ("start", "end", "is_reached"),
    [
        ((2, 1), None, True),
        ((3, 1), None, False),  # opens exactly when the period ends: the next one's
        ((2, 28), None, True),  # never prorated
        ((1, 1), (3, 1), True),  # closes exactly when the period ends: still this one's
        ((1, 1), (2, 28), False),
    ],
)
def test_units_are_adjusted_where_the_period_ends_in_the_window(
    start: tuple[int, int], end: tuple[int, int] | None, is_reached: bool
) -> None:
    until = None if end is None else day(*end)
    deal = [adjustment("maximumQuantity", "5", day(*start), until)]
    (line,) = billed([Charge(TOKENS, FEBRUARY, FEBRUARY)], deal, 7)
    assert line.quantity == (5 if is_reached else 7)


def test_the_greatest_minimum_and_the_least_maximum_hold() -> None:
    deal = [
        adjustment("minimumQuantity", "10", day(2, 1)),
        adjustment("minimumQuantity", "20", day(2, 1)),
        adjustment("maximumQuantity", "50", day(2, 1)),
        adjustment("maximumQuantity", "40", day(2, 1)),
    ]
    rule = rule_of(deal)
    assert [rule.applied(Decimal(each)) for each in (0, 30, 90)] == [20, 30, 40]
    contradicting = rule_of([*deal, adjustment("maximumQuantity", "15", day(2, 1))])
    assert contradicting.applied(Decimal(18)) == 15


def test_a_minimum_is_billed_whatever_was_waived() -> None:
    deal = [
        adjustment("usageDiscount", "50", day(2, 1)),
        adjustment("minimumQuantity", "30", day(2, 1)),
    ]
    (line,) = billed([Charge(TOKENS, FEBRUARY, FEBRUARY)], deal, 60)
    assert [measured_of(line), line.quantity] == [60, 30]


def test_a_split_period_is_bounded_as_a_whole() -> None:
    """Two seats for half of February, four for the rest, are three; six are twice that."""
    halves = [span((2, 1), (2, 15)), span((2, 15), (3, 1))]
    charges = [
        Charge(replace(FEE, quantity=Decimal(quantity)), half, FEBRUARY)
        for quantity, half in zip((2, 4), halves, strict=True)
    ]
    lines = billed(charges, [adjustment("minimumQuantity", "6", day(2, 1), of="seats")])
    assert [line.quantity for line in lines] == [4, 8]
    assert sum(amounts(lines)) == 60
    nothing = [replace(each, price=replace(each.price, quantity=Decimal(0))) for each in charges]
    lines = billed(nothing, [adjustment("minimumQuantity", "6", day(2, 1), of="seats")])
    assert [line.quantity for line in lines] == [6, 6]
    assert sum(amounts(lines)) == 60


def test_usage_in_two_windows_is_bounded_together() -> None:
    halves = [span((2, 1), (2, 15)), span((2, 15), (3, 1))]
    price = replace(TOKENS, model="standard", properties={"unitPrice": "1"})
    charges = [Charge(price, half, FEBRUARY) for half in halves]
    lines = billed(charges, [adjustment("maximumQuantity", "10", day(2, 1))], 5, 15)
    assert [line.quantity for line in lines] == [Decimal("2.5"), Decimal("7.5")]


def test_each_charge_has_its_discount_line_with_its_tax() -> None:
    """35 % off a fee of 20 and off 100 tokens at 2: 7 and 70; tax 10 % on what is left."""
    charges = [Charge(FEE, FEBRUARY, FEBRUARY), Charge(TOKENS, FEBRUARY, FEBRUARY)]
    deal = [replace(adjustment("percentageDiscount", "0.35", day(1, 1)), description="Launch")]
    lines = billed(charges, deal, 0, 100)
    assert [line.price.kind for line in lines] == ["fee", "adjustment", "metric", "adjustment"]
    assert amounts(lines) == [20, -7, 200, -70]
    assert [line.total_tax for line in lines] == [2, Decimal("-0.7"), 20, -7]
    assert {line.price.display_name for line in lines} == {"Seats", "Launch"}
    due = totals(lines, "USD", "exclusive")
    assert (due.subtotal, due.tax) == (Decimal("143.00"), Decimal("14.30"))


def test_two_discounts_compound() -> None:
    """Twice 35 % are 57.75 % off, not 70 %."""
    first = adjustment("percentageDiscount", "0.35", day(1, 1))
    lines = billed(
        [Charge(FEE, FEBRUARY, FEBRUARY)], [first, replace(first, adjustment_id="adj_2")]
    )
    assert amounts(lines) == [20, Decimal(-7), Decimal("-4.55")]


def test_a_discount_counts_for_its_days() -> None:
    """Half of February at 50 % is a quarter; two that follow each other do not compound."""
    half = adjustment("percentageDiscount", "0.5", day(1, 1), day(2, 15))
    assert shares(FEBRUARY, [half]) == [Fraction(1, 4)]
    free = [
        adjustment("percentageDiscount", "1", day(2, 1), day(2, 15)),
        adjustment("percentageDiscount", "1", day(2, 15), day(3, 1)),
    ]
    assert shares(FEBRUARY, free) == [Fraction(1, 2), Fraction(1, 2)]
    assert kept_share(FEBRUARY, free) == 0
    over = adjustment("percentageDiscount", "0.5", day(3, 1))
    assert amounts(billed([Charge(FEE, FEBRUARY, FEBRUARY)], [over])) == [20]


def test_a_window_without_length_is_discounted_as_its_instant() -> None:
    empty = Period(day(2, 1), day(2, 1))
    deal = [adjustment("percentageDiscount", "0.5", day(2, 1), day(3, 1))]
    assert shares(empty, deal) == [Fraction(1, 2)]


def test_inclusive_tax_is_found_inside_what_is_left() -> None:
    """22.00 with 10 % inside; half off leaves 11.00, of which 1.00 is tax."""
    price = replace(FEE, properties={"unitPrice": "22"}, quantity=Decimal(1))
    deal = [adjustment("percentageDiscount", "0.5", day(1, 1))]
    charge = Charge(price, FEBRUARY, FEBRUARY)
    lines = rate_adjusted([charge], [Measure(Decimal(0))], deal, "inclusive")
    due = totals(lines, "USD", "inclusive")
    assert [due.subtotal, due.tax, due.grand_total] == [10, 1, 11]


def test_rebates_and_what_is_outside_of_tax_are_not_discounted() -> None:
    rebate = replace(TOKENS, model="standard", properties={"unitPrice": "-1"})
    outside = replace(FEE, in_scope=False)
    charges = [Charge(rebate, FEBRUARY, FEBRUARY), Charge(outside, FEBRUARY, FEBRUARY)]
    deal = [adjustment("percentageDiscount", "0.5", day(1, 1))]
    assert amounts(billed(charges, deal, 5, 0)) == [-5, 20]


def test_late_usage_is_billed_under_the_deal_of_its_period() -> None:
    """100 of 400 tokens were waived: 300 at 2, half off. 50 more are 100, of which 50 are owed."""
    deal = [
        adjustment("usageDiscount", "100", day(2, 1)),
        adjustment("percentageDiscount", "0.5", day(2, 1)),
    ]
    line = late_line(
        TOKENS,
        FEBRUARY,
        Billed(Decimal(300), Decimal(300)),
        Reading(Decimal(450), rule=rule_of(deal), kept=kept_share(FEBRUARY, deal)),
        "exclusive",
    )
    assert line is not None
    assert [line.quantity, line.total_price] == [50, 50]


@pytest.mark.parametrize(
    ("kind", "price"),
    [
        ("usageDiscount", None),
        ("minimumQuantity", None),
        ("usageDiscount", FEE),
        ("usageDiscount", replace(TOKENS, model="dynamic")),
        ("maximumQuantity", replace(TOKENS, model="percentage")),
        ("minimumQuantity", replace(FEE, cadence=Duration())),
        ("minimumQuantity", replace(TOKENS, is_instant=True)),
        ("usageDiscount", replace(TOKENS, in_scope=False)),
        ("usageDiscount", replace(TOKENS, model="standard", properties={"unitPrice": "-1"})),
    ],
)
def test_a_target_needs_units_that_recur(kind: Kind, price: PriceTerms | None) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_target(kind, price)
    assert refusal.value.field == "targetPriceIds"


def test_what_may_be_adjusted() -> None:
    check_target("percentageDiscount", None)
    check_target("usageDiscount", TOKENS)
    check_target("minimumQuantity", FEE)
    check_target("maximumQuantity", replace(TOKENS, in_scope=False))
    check_window(day(1, 1), None)
    with pytest.raises(InvalidValue):
        check_window(day(1, 1), day(1, 1))
