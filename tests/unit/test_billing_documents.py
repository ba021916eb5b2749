"""Amounts that a reader can add up, by example and by law."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.documents import TaxGroup, fitted, tax_groups
from billing.errors import InvalidValue
from billing.money import round_half_up

D = Decimal


@dataclass(frozen=True)
class Line:
    total_price: Decimal
    total_tax: Decimal
    tax_rate: Decimal


@pytest.mark.parametrize(
    ("amounts", "total", "digits", "shown"),
    [
        # 1.004 + 1.004 + 1.004 = 3.012 is due as 3.01; each alone would be 1.00.
        (("1.004", "1.004", "1.004"), "3.01", 2, ("1.01", "1.00", "1.00")),
        # 0.006 twice is 0.012, due as 0.01; each alone would be 0.01.
        (("0.006", "0.006"), "0.01", 2, ("0.00", "0.01")),
        # The one nearest to the other side moves.
        (("1.001", "1.004"), "2.01", 2, ("1.00", "1.01")),
        # What needs no rounding is never touched.
        (("5.00", "0.333", "0.333", "0.334"), "6.00", 2, ("5.00", "0.33", "0.33", "0.34")),
        (("-1.004", "-1.004", "-1.004"), "-3.01", 2, ("-1.01", "-1.00", "-1.00")),
        (("100.4", "100.4", "100.4"), "301", 0, ("101", "100", "100")),
        (("0.0004", "0.0004"), "0.001", 3, ("0.001", "0.000")),
        ((), "0", 2, ()),
    ],
)
def test_rounded_amounts_sum_to_what_is_due(
    amounts: tuple[str, ...], total: str, digits: int, shown: tuple[str, ...]
) -> None:
    found = fitted([D(each) for each in amounts], D(total), digits)
    assert found == [D(each) for each in shown]


def test_amounts_of_another_total_are_refused() -> None:
    with pytest.raises(InvalidValue, match="do not round"):
        fitted([D("1.00"), D("2.004")], D("3.02"), 2)


AMOUNTS = st.lists(st.decimals(-1000, 1000, places=4), min_size=1, max_size=40)


@given(AMOUNTS, st.integers(0, 3))
def test_no_amount_moves_by_a_whole_unit(amounts: list[Decimal], digits: int) -> None:
    total = round_half_up(sum(amounts, D(0)), digits)
    found = fitted(amounts, total, digits)
    assert sum(found) == total
    unit = D(1).scaleb(-digits)
    for amount, each in zip(amounts, found, strict=True):
        assert abs(amount - each) < unit
        assert each == each.quantize(unit)


def test_taxes_by_rate_sum_to_the_tax() -> None:
    """100.005 at 19 % is 19.00095; 50.003 at 7 % is 3.50021; 10 at none.

    Due: 160.008 as 160.01, tax 22.50116 as 22.50. Alone the bases would be 100.01, 50.00 and
    10.00, which sum to 160.01; the taxes 19.00 and 3.50.
    """
    lines = [
        Line(D("50.003"), D("3.50021"), D("0.07")),
        Line(D("60.000"), D("11.4"), D("0.19")),
        Line(D("40.005"), D("7.60095"), D("0.19")),
        Line(D(10), D(0), D(0)),
    ]
    assert tax_groups(lines, subtotal=D("160.01"), tax=D("22.50"), digits=2) == [
        TaxGroup(D("0.19"), D("100.01"), D("19.00")),
        TaxGroup(D("0.07"), D("50.00"), D("3.50")),
        TaxGroup(D(0), D("10.00"), D("0.00")),
    ]
