"""Examples of tax rates, of tax on and inside a price, and of prorated prices."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing.errors import InvalidValue
from billing.periods import Period
from billing.proration import fraction, prorate
from billing.taxes import BUILT_IN_RATES, TaxBehavior, TaxCase, TaxedAmount, apply_tax


def tax_rate(**case: Any) -> Decimal:
    return BUILT_IN_RATES.rate_of(TaxCase(**case)).rate


RATES = {"bm_1": Decimal(7), "plan_1": Decimal(8), "default": Decimal(9)}


@pytest.mark.parametrize(
    ("metric_id", "plan_id", "known", "rate"),
    [
        ("bm_1", "plan_1", ("bm_1", "plan_1", "default"), "0.07"),
        ("bm_2", "plan_1", ("bm_1", "plan_1", "default"), "0.08"),
        (None, "plan_1", ("bm_1", "plan_1", "default"), "0.08"),
        ("bm_2", "plan_2", ("bm_1", "plan_1", "default"), "0.09"),
        (None, None, ("default",), "0.09"),
        ("bm_2", "plan_2", ("bm_1", "plan_1"), "0.1"),
        ("bm_1", "plan_1", (), "0.1"),
    ],
)
def test_the_most_particular_rate_wins(
    metric_id: str | None, plan_id: str | None, known: tuple[str, ...], rate: str
) -> None:
    found = tax_rate(
        tax_exempt=False,
        metric_id=metric_id,
        plan_id=plan_id,
        customer_rates={name: RATES[name] for name in known},
        plan_default=Decimal(10),
    )
    assert found == Decimal(rate)


def test_an_exempt_subscription_pays_none() -> None:
    exempt = tax_rate(
        tax_exempt=True,
        metric_id="bm_1",
        plan_id="plan_1",
        customer_rates=RATES,
        plan_default=Decimal(10),
    )
    assert exempt == 0


@pytest.mark.parametrize("percent", ["-0.1", "100.1"])
def test_a_rate_lies_between_0_and_100_percent(percent: str) -> None:
    with pytest.raises(InvalidValue, match="between 0 and 100"):
        tax_rate(
            tax_exempt=False,
            metric_id=None,
            plan_id=None,
            customer_rates={},
            plan_default=Decimal(percent),
        )


@pytest.mark.parametrize(
    ("amount", "rate", "behavior", "price", "tax", "total"),
    [
        ("49", "0.1", "exclusive", "49", "4.9", "53.9"),
        ("2.468", "0.1", "exclusive", "2.468", "0.2468", "2.7148"),
        ("-5", "0.2", "exclusive", "-5", "-1", "-6"),
        ("110", "0.1", "inclusive", "100", "10", "110"),
        (
            "10",
            "0.1",
            "inclusive",
            "9.090909090909090909090909090909091",
            "0.909090909090909090909090909090909",
            "10",
        ),
        ("10", "0", "inclusive", "10", "0", "10"),
    ],
)
def test_tax_is_added_or_found_inside(  # noqa: PLR0917 - a table of cases
    amount: str, rate: str, behavior: TaxBehavior, price: str, tax: str, total: str
) -> None:
    taxed = apply_tax(Decimal(amount), Decimal(rate), behavior)
    assert taxed == TaxedAmount(Decimal(price), Decimal(tax), Decimal(total))


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
def test_outside_the_scope_there_is_no_tax(behavior: TaxBehavior) -> None:
    taxed = apply_tax(Decimal(-3), Decimal("0.1"), behavior, in_scope=False)
    assert taxed == TaxedAmount(Decimal(-3), Decimal(0), Decimal(-3))


def march(first: int, last: int) -> Period:
    return Period(datetime(2026, 3, first, tzinfo=UTC), datetime(2026, 3, last, tzinfo=UTC))


class TestProration:
    def test_by_elapsed_time(self) -> None:
        """12 of 30 days of 49.00 are 19.60."""
        assert fraction(march(1, 13), march(1, 31)) == Fraction(2, 5)
        assert prorate(Decimal(49), march(1, 13), march(1, 31)) == Decimal("19.6")

    def test_a_whole_cycle_owes_the_price_itself(self) -> None:
        price = Decimal("49.00")
        assert prorate(price, march(1, 31), march(1, 31)) is price

    def test_an_instant_that_is_its_own_cycle_owes_it_whole(self) -> None:
        assert fraction(march(1, 1), march(1, 1)) == 1

    def test_an_empty_part_owes_nothing(self) -> None:
        assert prorate(Decimal(49), march(5, 5), march(1, 31)) == 0

    def test_what_does_not_end_has_40_digits(self) -> None:
        third = prorate(Decimal(10), march(1, 11), march(1, 31))
        assert third == Decimal("3." + "3" * 39)

    def test_a_window_outside_its_cycle_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="inside the cycle"):
            fraction(march(1, 31), march(2, 31))
