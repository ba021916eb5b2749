"""What is given back of fees that were paid ahead."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.periods import Period
from billing.plan_change import (
    Amount,
    ChangedFee,
    PlanNotChangeable,
    PlanTerms,
    check_plans,
    merged,
    unused,
)


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


JANUARY, FEBRUARY = Period(day(1, 1), day(2, 1)), Period(day(2, 1), day(3, 1))
PLAN = PlanTerms("USD", "exclusive", Decimal("0.1"), 1)


def test_the_rest_of_a_window_is_given_back() -> None:
    paid = [Amount("Rent", JANUARY, Decimal(31)), Amount("Rent", FEBRUARY, Decimal(28))]
    assert unused(paid, day(1, 11)) == [
        Amount("Rent (unused)", Period(day(1, 11), day(2, 1)), Decimal(-21)),
        Amount("Rent (unused)", FEBRUARY, Decimal(-28)),
    ]
    assert unused(paid, day(3, 1)) == []
    assert unused([Amount("Free", JANUARY, Decimal(0))], day(1, 11)) == []


def test_what_was_given_back_is_not_given_back_again() -> None:
    fee = ChangedFee(price_id="price_1", plan_version_id=None, cycle=JANUARY, invoice_id="inv_1")
    paid = [Amount("Rent", JANUARY, Decimal(31), fee)]
    (first,) = unused(paid, day(1, 11))
    assert first.fee is not None
    assert unused(paid, day(1, 21), [first.fee]) == []
    (other,) = unused(paid, day(1, 21), [replace(first.fee, invoice_id="inv_2")])
    assert other.amount == Decimal(-11)


def test_a_fee_goes_with_its_discounts() -> None:
    parts = [
        (("inv_1", "price_1"), Amount("Rent", JANUARY, Decimal(31))),
        (("inv_1", "price_1"), Amount("Deal", JANUARY, Decimal(-10))),
        (("inv_1", "price_2"), Amount("Seats", JANUARY, Decimal(5))),
    ]
    assert merged(parts) == [
        Amount("Rent", JANUARY, Decimal(21)), Amount("Seats", JANUARY, Decimal(5)),
    ]  # fmt: skip


def test_plans_of_one_invoice_agree() -> None:
    check_plans(PLAN, PLAN)
    for other in (
        replace(PLAN, currency="EUR"),
        replace(PLAN, tax_behavior="inclusive"),
        replace(PLAN, tax_rate=Decimal(0)),
        replace(PLAN, billing_version=0),
    ):
        with pytest.raises(PlanNotChangeable):
            check_plans(PLAN, other)
