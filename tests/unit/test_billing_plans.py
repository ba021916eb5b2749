"""Examples of what a plan may hold together, and of addresses that say enough for tax."""

from dataclasses import replace
from typing import Any

import pytest

from billing.addresses import tax_address_problem
from billing.errors import InvalidValue
from billing.plans import LINES_MAX, PlanLineDraft, check_lines

FEE = PlanLineDraft("base", "price_1", None, "in_advance", "P1Y")
USAGE = PlanLineDraft("tokens", "price_2", "bm_1", "in_arrears", None)


def check(*lines: PlanLineDraft, version: int = 1) -> None:
    check_lines(lines, billing_cadence="P1M", billing_version=version)


def test_accepts() -> None:
    check()
    check(FEE, USAGE, replace(USAGE, key="calls-2_b", metric_id="bm_2", billing_cadence="P1M"))
    check(replace(USAGE, payment_term="instant"), version=0)
    check(replace(USAGE, billing_cadence="P1Y"))
    check(replace(USAGE, billing_cadence="P7D"))
    check(replace(USAGE, billing_cadence="P1M"), version=0)
    check(*(replace(FEE, key=f"k{at}", price_id=f"price_{at}") for at in range(LINES_MAX)))


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([replace(FEE, key=key)], "prices[0].key")
        for key in ("", "Base", "-base", "a b", "base\n", "a" * 65)
    ]
    + [
        ([FEE, replace(USAGE, key="base")], "prices[1].key"),
        ([USAGE, replace(USAGE, key="again", price_id="price_3")], "prices[1]"),
        ([FEE, replace(FEE, key="again")], "prices[1]"),
        ([replace(USAGE, payment_term="instant")], "prices[0]"),
        ([FEE] * (LINES_MAX + 1), "prices"),
    ],
)
def test_refuses_and_names_the_line(lines: list[PlanLineDraft], field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check(*lines)
    assert refusal.value.field == field


def test_single_uses_keep_to_the_plan() -> None:
    with pytest.raises(InvalidValue) as refusal:
        check(FEE, replace(USAGE, billing_cadence="P3M"), version=0)
    assert refusal.value.field == "prices[1]"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ({"country": "DE", "zipCode": "10115"}, None),
        ({"country": "us", "zipCode": "94105", "state": "CA"}, None),
        ({"country": "US", "zipCode": "94105"}, "A state is needed in US"),
        ({"country": "CA", "zipCode": "K1A", "state": ""}, "A state is needed in CA"),
        ({"country": "DE"}, "A zip code is needed"),
        ({"country": "DEU", "zipCode": "10115"}, "A country is needed (two letters)"),
        ({"country": None, "zipCode": "10115"}, "A country is needed (two letters)"),
        ({}, "A country is needed (two letters)"),
    ],
)
def test_addresses(address: dict[str, Any], problem: str | None) -> None:
    assert tax_address_problem(address) == problem
