"""Laws of adjustments: nothing is lost, nothing is credited, order does not matter."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.adjustments import (
    Adjustment,
    Kind,
    kept_share,
    rate_adjusted,
    rule_of,
    shares,
)
from billing.bounds import Part, QuantityRule, settled
from billing.money import exact, round_half_up
from billing.periods import Period
from billing.rating import Charge, Measure, rate_charge
from tests.property.strategies import charges, periods, usages

fractions = st.decimals(Decimal("0.000001"), 1, allow_nan=False, places=6)


@st.composite
def discounts(draw: st.DrawFn, window: Period) -> list[Adjustment]:
    """Percentage discounts that begin and end round the window."""

    def instant() -> datetime:
        shift = draw(st.integers(-window.microseconds, 2 * window.microseconds))
        return window.start + timedelta(microseconds=shift)

    found = []
    for number in range(draw(st.integers(0, 4))):
        start = instant()
        end = draw(st.one_of(st.none(), st.just(max(instant(), start + timedelta(seconds=1)))))
        found.append(
            Adjustment(
                adjustment_id=f"adj_{number}",
                kind="percentageDiscount",
                value=draw(fractions),
                start=start,
                end=end,
            )
        )
    return found


@given(st.data(), periods())
def test_discounts_take_no_more_than_there_is_in_any_order(
    data: st.DataObject, window: Period
) -> None:
    deal = data.draw(discounts(window))
    taken = shares(window, deal)
    assert all(0 <= part <= 1 for part in taken)
    assert sum(taken, Fraction(0)) == 1 - kept_share(window, deal)
    assert 0 <= kept_share(window, deal) == kept_share(window, deal[::-1])


@given(st.data(), periods())
def test_a_window_keeps_what_its_parts_keep(data: st.DataObject, window: Period) -> None:
    deal = data.draw(discounts(window))
    cut = window.start + timedelta(microseconds=data.draw(st.integers(0, window.microseconds)))
    parts = [Period(window.start, cut), Period(cut, window.end)]
    kept = sum(
        (
            kept_share(part, deal) * Fraction(part.microseconds, window.microseconds)
            for part in parts
        ),
        Fraction(0),
    )
    assert kept == kept_share(window, deal)


@given(st.data(), charges(), usages)
def test_the_lines_of_a_charge_come_to_what_is_kept(
    data: st.DataObject, charge: Charge, usage: Decimal
) -> None:
    deal = data.draw(discounts(charge.window))
    lines = rate_adjusted([charge], [Measure(usage)], deal, "exclusive")
    full = rate_charge(charge, usage, "exclusive")
    with exact():
        total = sum((line.total_price for line in lines), Decimal(0))
    if full.total_price <= 0 or not charge.price.in_scope:
        assert total == full.total_price
        return
    kept = Fraction(full.total_price) * kept_share(charge.window, deal)
    assert abs(Fraction(total) - kept) <= Fraction(full.total_price) / 10**38 + Fraction(1, 10**20)
    assert round_half_up(total, 12) >= 0


@given(usages, usages, usages, usages)
def test_a_bounded_quantity_lies_within_its_bounds(
    quantity: Decimal, waived: Decimal, one: Decimal, other: Decimal
) -> None:
    at = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    bounds: dict[Kind, Decimal] = {
        "usageDiscount": waived,
        "minimumQuantity": min(one, other),
        "maximumQuantity": max(one, other),
    }
    deal = [
        Adjustment(adjustment_id=kind, kind=kind, value=value, start=at, end=None, target_id="p")
        for kind, value in bounds.items()
    ]
    applied = rule_of(deal).applied(quantity)
    assert min(one, other) <= applied <= max(one, other)
    assert rule_of(deal).applied(applied + waived) == applied


@given(
    st.lists(usages, min_size=1, max_size=5),
    st.none() | usages,
    st.none() | usages,
)
def test_sides_of_a_period_come_to_its_bounded_quantity(
    used: list[Decimal], minimum: Decimal | None, maximum: Decimal | None
) -> None:
    """However often a period is cut, together its sides bill what the whole would."""
    rule = QuantityRule(minimum=minimum, maximum=maximum)
    parts = [Part(_day(number), quantity, rule) for number, quantity in enumerate(used)]
    together = settled(parts)
    billed = [
        rule.applied(quantity, beside) for quantity, beside in zip(used, together, strict=True)
    ]
    with exact():
        whole = rule.applied(sum(used, Decimal(0)))
        assert abs(sum(billed, Decimal(0)) - whole) <= whole.scaleb(-35)
    assert all(each >= 0 for each in billed)


@given(st.lists(usages, min_size=1, max_size=4), usages)
def test_parts_of_one_side_share_its_bound(used: list[Decimal], minimum: Decimal) -> None:
    rule = QuantityRule(minimum=minimum)
    parts = [Part(_day(0), quantity, rule) for quantity in used]
    billed = [
        rule.applied(each.quantity, beside)
        for each, beside in zip(parts, settled(parts), strict=True)
    ]
    with exact():
        whole = max(sum(used, Decimal(0)), minimum)
        assert abs(sum(billed, Decimal(0)) - whole) <= whole.scaleb(-35)


def _billed(parts: list[Part]) -> list[Decimal]:
    pairs = zip(parts, settled(parts), strict=True)
    return [part.rule.applied(part.quantity, together) for part, together in pairs]


def _day(number: int) -> Period:
    start = datetime.fromisoformat("2026-01-01T00:00:00+00:00") + timedelta(days=number)
    return Period(start, start + timedelta(days=1))
