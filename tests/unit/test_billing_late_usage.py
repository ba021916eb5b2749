"""Corrections of billed periods, worked by hand, and the law that lateness costs nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.invoicing import floor_rebates
from billing.late_usage import Reading, late_line, with_carried
from billing.periods import Period
from billing.rating import Billed, PriceTerms, Uses, rate_usage

JANUARY = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
TOKENS = PriceTerms(
    price_id="price_1",
    kind="metric",
    source_id="bm_1",
    display_name="Tokens",
    model="standard",
    properties={"unitPrice": "0.5"},
    payment_term="in_arrears",
    cadence=None,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal("0.1"),
)
BANDS = {"tiers": [{"upTo": "100", "unitPrice": "5"}, {"upTo": None, "unitPrice": "3"}]}
SHARE = {"percentage": "0.03", "minCharge": "0.5", "maxCharge": "4"}
OPEN_PRICE = {"minPrice": "1", "maxPrice": "3"}


def figures(*values: Decimal) -> tuple[object, ...]:
    """Several at once, to be compared with plain numbers."""
    return values


def priced(model: str, properties: dict[str, Any]) -> PriceTerms:
    return replace(TOKENS, model=model, properties=properties)


def billed(quantity: str, amount: str = "0", carried: str = "0") -> Billed:
    return Billed(Decimal(quantity), Decimal(amount), Decimal(carried))


def test_late_units_are_owed_beside_what_was_billed() -> None:
    line = late_line(TOKENS, JANUARY, billed("10", "5"), Reading(Decimal(14)), "exclusive")
    assert line is not None
    assert line.price.display_name == "Tokens (late usage)"
    assert figures(line.quantity, line.unit_price) == (4, Decimal("0.5"))
    assert figures(line.total_price, line.total_tax) == (2, Decimal("0.2"))
    assert line.is_late


def test_inclusive_tax_lies_inside_the_correction() -> None:
    line = late_line(TOKENS, JANUARY, billed("10", "5"), Reading(Decimal(12)), "inclusive")
    assert line is not None
    assert line.total_amount == 1
    assert line.total_price + line.total_tax == 1


@pytest.mark.parametrize(
    ("model", "properties", "before", "after", "owed"),
    [
        ("volume", BANDS, "100", "101", "-197"),
        ("volume", BANDS, "50", "60", "50"),
        ("percentage", SHARE, "10", "12", "0"),
        ("percentage", SHARE, "100", "1000", "1"),
        ("standard", {"unitPrice": "0.5"}, "10", "4", "-3"),
        ("standard", {"unitPrice": "0.5"}, "10", "-4", "-5"),
    ],
)
def test_the_whole_reading_is_priced_again(
    model: str, properties: dict[str, Any], before: str, after: str, owed: str
) -> None:
    price = priced(model, properties)
    line = late_line(price, JANUARY, billed(before), Reading(Decimal(after)), "exclusive")
    assert line is not None
    assert line.total_price == Decimal(owed)


def test_what_has_not_changed_is_no_line() -> None:
    same = late_line(TOKENS, JANUARY, billed("10", "5"), Reading(Decimal(10)), "exclusive")
    assert same is None


def test_uses_of_a_dynamic_price_keep_what_they_brought() -> None:
    """Two uses were billed 2 x 1.50 and 1 x 3.00; the second is refunded."""
    price = priced("dynamic", OPEN_PRICE)
    kept = Reading(Decimal(0), Uses(Decimal(2), Decimal(3)))
    line = late_line(price, JANUARY, billed("3", "6"), kept, "exclusive")
    assert line is not None
    assert figures(line.quantity, line.total_price) == (-1, -3)


def test_a_meter_brings_no_price_to_a_dynamic_one() -> None:
    quantity, rated = rate_usage(priced("dynamic", OPEN_PRICE), Decimal(7))
    assert figures(quantity, rated.amount) == (0, 0)
    fixed = priced("dynamic", {"minPrice": "2", "maxPrice": "2"})
    quantity, rated = rate_usage(fixed, Decimal(7), Uses(Decimal(1), Decimal(2)))
    assert figures(quantity, rated.amount, rated.unit_price) == (8, 16, 2)


def test_an_instant_price_owes_no_least_charge_at_the_period_s_end() -> None:
    instant = replace(priced("percentage", SHARE), is_instant=True)
    assert rate_usage(instant, Decimal(0))[1].amount == 0
    line = late_line(instant, JANUARY, billed("0"), Reading(Decimal(10)), "exclusive")
    assert line is not None
    assert line.total_price == Decimal("0.5")


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
def test_what_an_invoice_cannot_give_back_is_carried(behavior: Any) -> None:
    """5.00 come back, the invoice owes 3.00: 2.00 are carried to the next, which owes 10.00."""
    owed = late_line(TOKENS, JANUARY, billed("0"), Reading(Decimal(6)), behavior)
    credit = late_line(TOKENS, JANUARY, billed("10", "5"), Reading(Decimal(0)), behavior)
    assert owed is not None
    assert credit is not None
    full = [replace(owed, is_late=False), credit]
    first = with_carried(full, floor_rebates(full), behavior)
    assert sum(line.total_amount for line in first) == 0
    assert first[0].carried == 0
    assert first[1].carried == -2
    left = late_line(
        TOKENS, JANUARY, Billed(Decimal(0), Decimal(2), first[1].carried), Reading(Decimal(0)),
        behavior,
    )  # fmt: skip
    assert left is not None
    basis = left.total_price if behavior == "exclusive" else left.total_amount
    assert figures(left.quantity, basis) == (0, -2)
