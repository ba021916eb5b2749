"""Invoices in the terms of EN 16931, and the ones that it cannot say."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from billing.einvoicing import Expressed, NotExpressible, VatGroup, express
from billing.money import exact, round_half_up

D = Decimal


@dataclass(frozen=True)
class Line:
    kind: str
    quantity: Decimal
    unit_price: Decimal
    tax_rate: Decimal
    total_price: Decimal
    is_out_of_scope: bool = False


def a_line(quantity: str, price: str, rate: str = "0.19", **members: Any) -> Line:
    total = D(members.pop("total", D(quantity) * D(price)))
    return Line(members.pop("kind", "fee"), D(quantity), D(price), D(rate), total, **members)


def expressed(*lines: Line, digits: int = 2, is_reverse_charge: bool = False) -> Expressed:
    with exact():
        price = sum((line.total_price for line in lines), D(0))
        tax = sum((line.total_price * line.tax_rate for line in lines), D(0))
    return express(
        lines,
        minor_digits=digits,
        subtotal=round_half_up(price, digits),
        tax=round_half_up(tax, digits),
        is_reverse_charge=is_reverse_charge,
    )


def test_lines_and_groups_sum_to_the_invoice() -> None:
    """49 + 103 at 19 %: 152 and 28.88. 54.838709 (17/31 of 100) at 7 %: 54.84 and 3.84."""
    told = expressed(
        a_line("1", "49"),
        a_line("51500", "0.002"),
        a_line("1", "100", "0.07", total="54.838709677419354838"),
    )
    assert told.groups == [
        VatGroup(category="S", percent=D(7), base=D("54.84"), tax=D("3.84")),
        VatGroup(category="S", percent=D(19), base=D("152.00"), tax=D("28.88")),
    ]
    whole = told.lines[2]
    assert (whole.quantity, whole.price, whole.net) == (D(1), D("54.84"), D("54.84"))
    assert [line.is_whole for line in told.lines] == [False, False, True]


def test_no_price_is_negative() -> None:
    told = expressed(a_line("10", "5"), a_line("3", "-2"), a_line("1", "1", total="-4"))
    rebate, odd = told.lines[1:]
    assert (rebate.quantity, rebate.price, rebate.net) == (D(-3), D(2), D(-6))
    assert (odd.quantity, odd.price, odd.net) == (D(-1), D(4), D(-4))


def test_tax_that_the_standard_computes_otherwise_is_refused() -> None:
    """10.0255 at 19 % is 1.904845, due as 1.90; the standard takes 19 % of 10.03, 1.9057: 1.91."""
    with pytest.raises(NotExpressible, match="not the tax that is due"):
        expressed(a_line("1", "10.0255"))


@pytest.mark.parametrize(
    ("line", "members", "reason"),
    [
        (a_line("1", "1", kind="wallet"), {}, "wallet"),
        (a_line("1", "-1", "0", is_out_of_scope=True), {}, "outside the scope"),
        (a_line("1", "1", "0"), {}, "needs a reason"),
        (a_line("1", "1"), {"is_reverse_charge": True}, "accounts for it"),
        (a_line("1", "1"), {"digits": 3}, "two decimals"),
    ],
)
def test_what_the_standard_cannot_say_is_refused(
    line: Line, members: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotExpressible, match=reason):
        expressed(line, **members)
    with pytest.raises(NotExpressible, match="at least one line"):
        expressed()


def test_reverse_charge_has_a_group_of_its_own() -> None:
    told = expressed(a_line("1", "49", "0"), is_reverse_charge=True)
    assert told.groups == [VatGroup(category="AE", percent=D(0), base=D(49), tax=D(0))]


LINES = st.lists(
    st.builds(
        a_line,
        st.integers(-50, 50).map(str),
        st.decimals(0, 100, places=3).map(str),
        st.sampled_from(["0.19", "0.07", "0.055"]),
    ),
    min_size=1,
    max_size=12,
)


@given(LINES)
def test_what_is_said_adds_up_by_the_rules(lines: list[Line]) -> None:
    """BR-CO-10, 14 and 17, and the line rule of the validators."""
    with exact():
        price = sum((line.total_price for line in lines), D(0))
        tax = sum((line.total_price * line.tax_rate for line in lines), D(0))
    try:
        told = expressed(*lines)
    except NotExpressible:
        reject()
    assert sum(line.net for line in told.lines) == round_half_up(price, 2)
    assert sum(group.tax for group in told.groups) == round_half_up(tax, 2)
    for group in told.groups:
        members = [line.net for line in told.lines if line.percent == group.percent]
        assert group.base == sum(members)
        assert group.tax == round_half_up(group.base * group.percent / 100, 2)
    for line in told.lines:
        assert line.price >= 0
        assert abs(line.quantity * line.price - line.net) <= D("0.02")
