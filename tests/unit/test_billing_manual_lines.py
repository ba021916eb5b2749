"""Manual lines: taxed like their plan; credits are cut to what an invoice bears, never lost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.manual_lines import ManualLine, fit_credits, rate_manual
from billing.periods import Period
from billing.rating import RatedLine
from billing.taxes import TaxBehavior

AT = datetime(2026, 2, 10, tzinfo=UTC)


def line(unit_price: str, quantity: str = "1", rate: str = "0.1") -> ManualLine:
    return ManualLine(
        line_id="li_1",
        display_name="Set-up",
        quantity=Decimal(quantity),
        unit_price=Decimal(unit_price),
        window=Period(AT, AT),
        tax_rate=Decimal(rate),
    )


def rated(unit_price: str, behavior: TaxBehavior = "exclusive") -> RatedLine:
    return rate_manual(line(unit_price), behavior)


def amounts(each: RatedLine) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return each.total_price, each.total_tax, each.total_amount, each.carried


def test_tax_is_added_or_found_inside() -> None:
    """3 x 12.50 = 37.50 and 3.75 on top; 11 with 10 % inside is 10 + 1."""
    added = rate_manual(line("12.50", "3"), "exclusive")
    assert amounts(added) == (Decimal("37.50"), Decimal("3.75"), Decimal("41.25"), Decimal(0))
    inside = rated("11", "inclusive")
    assert amounts(inside) == (Decimal(10), Decimal(1), Decimal(11), Decimal(0))


def test_a_credit_that_fits_stays_whole() -> None:
    credit = rated("-20")
    assert fit_credits([rated("49")], [credit], "exclusive") == [credit]


def test_a_credit_is_cut_to_nothing_owed_and_the_rest_is_carried() -> None:
    """53.90 are owed; of 100 + 10 % = 110 the invoice bears 53.90, that is 49 + 4.90: 51 remain."""
    cut = fit_credits([rated("49")], [rated("-100")], "exclusive")
    assert [amounts(each) for each in cut] == [
        (Decimal(-49), Decimal("-4.9"), Decimal("-53.9"), Decimal(-51))
    ]


def test_inside_the_price_the_rest_is_carried_with_its_tax() -> None:
    """Of -110 gross the invoice bears 55: 50 + 5; 55 gross remain."""
    cut = fit_credits([rated("55", "inclusive")], [rated("-110", "inclusive")], "inclusive")
    assert [amounts(each) for each in cut] == [
        (Decimal(-50), Decimal(-5), Decimal(-55), Decimal(-55))
    ]


@pytest.mark.parametrize("owed", ["0", "-5"])
def test_where_nothing_is_owed_everything_is_carried(owed: str) -> None:
    cut = fit_credits([rated(owed)], [rated("-30"), rated("-7")], "exclusive")
    assert [amounts(each) for each in cut] == [
        (Decimal(0), Decimal(0), Decimal(0), Decimal(-30)),
        (Decimal(0), Decimal(0), Decimal(0), Decimal(-7)),
    ]


def test_an_earlier_credit_comes_first() -> None:
    """44 gross are owed: the first takes 33, the second 11 of its 22, so 10 net remain of it."""
    cut = fit_credits([rated("40")], [rated("-30"), rated("-20")], "exclusive")
    assert [each.total_amount for each in cut] == [Decimal(-33), Decimal(-11)]
    assert [each.carried for each in cut] == [Decimal(0), Decimal(-10)]
