"""Examples of each price model, and of properties that none of them takes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from billing import pricing
from billing.errors import InvalidValue
from billing.pricing import Rated, dynamic, graduated

STANDARD = {"unitPrice": "0.002"}
VOLUME = {"tiers": [{"upTo": "100", "unitPrice": "5"}, {"upTo": None, "unitPrice": "3"}]}
GRADUATED = {
    "tiers": [
        {"upTo": "100", "unitPrice": "5", "flatAmount": "10"},
        {"upTo": "200", "unitPrice": "4"},
        {"upTo": None, "unitPrice": "3", "flatAmount": "7"},
    ]
}
PACKAGE = {"packageSize": "1000", "unitPrice": "2.50"}
DYNAMIC = {"minPrice": "0.10", "maxPrice": "0.50"}
PERCENTAGE = {"percentage": "0.03", "minCharge": "1", "maxCharge": "50"}


@pytest.mark.parametrize(
    ("model", "properties", "quantity", "amount", "unit_price"),
    [
        ("standard", STANDARD, "1000", "2", "0.002"),
        ("standard", STANDARD, "0", "0", "0.002"),
        ("standard", {"unitPrice": "-0.5"}, "3", "-1.5", "-0.5"),
        ("standard", STANDARD, "0.000000000000000001", "0.000000000000000000002", "0.002"),
        # The contract's own example: the total falls as usage rises.
        ("volume", VOLUME, "100", "500", "5"),
        ("volume", VOLUME, "100.000001", "300.000003", "3"),
        ("volume", VOLUME, "101", "303", "3"),
        ("volume", VOLUME, "0", "0", "5"),
        # The one band that prices the units owes its flat amount, and no band below it does.
        ("volume", GRADUATED, "0", "10", "0"),
        ("volume", GRADUATED, "100", "510", "5.1"),
        ("volume", GRADUATED, "150", "600", "4"),
        ("volume", GRADUATED, "250", "757", "3.028"),
        # Zero usage still owes the first band's flat amount.
        ("graduated", GRADUATED, "0", "10", "0"),
        # 10 + 100 x 5
        ("graduated", GRADUATED, "100", "510", "5.1"),
        # 10 + 100 x 5 + 50 x 4
        ("graduated", GRADUATED, "150", "710", "4.733333333333333333333333333333333"),
        # 10 + 100 x 5 + 100 x 4 + 7 + 50 x 3
        ("graduated", GRADUATED, "250", "1067", "4.268"),
        ("package", PACKAGE, "0", "0", "0"),
        ("package", PACKAGE, "1", "2.50", "2.5"),
        ("package", PACKAGE, "1000", "2.50", "0.0025"),
        ("package", PACKAGE, "1000.5", "5.00", "0.004997501249375312343828085957021489"),
        ("percentage", PERCENTAGE, "0", "1", "0"),
        ("percentage", PERCENTAGE, "10", "1", "0.1"),
        ("percentage", PERCENTAGE, "100", "3", "0.03"),
        ("percentage", PERCENTAGE, "100000", "50", "0.0005"),
        ("dynamic", {"minPrice": "2", "maxPrice": "2.0"}, "3", "6", "2"),
    ],
)
def test_rates(
    model: str, properties: dict[str, Any], quantity: str, amount: str, unit_price: str
) -> None:
    rated = pricing.rate(model, properties, Decimal(quantity))
    assert rated == Rated(Decimal(amount), Decimal(unit_price))


def test_a_dynamic_price_lies_within_its_bounds() -> None:
    rated = dynamic.rate_at(DYNAMIC, Decimal("0.50"), Decimal(4))
    assert rated == Rated(Decimal("2.00"), Decimal("0.50"))
    for price in ("0.09", "0.51", "NaN"):
        with pytest.raises(InvalidValue) as refusal:
            dynamic.rate_at(DYNAMIC, Decimal(price), Decimal(4))
        assert refusal.value.field == "price"


def test_a_dynamic_price_is_not_guessed() -> None:
    with pytest.raises(InvalidValue, match="price of each usage"):
        pricing.rate("dynamic", DYNAMIC, Decimal(1))


def test_graduated_usage_on_top_of_usage_already_rated() -> None:
    """From 150 to 250: 50 x 4, then the third band's 7 and 50 x 3."""
    assert graduated.additional(GRADUATED, Decimal(150), Decimal(100)) == Decimal(357)


@pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity"])
@pytest.mark.parametrize(
    ("model", "properties"),
    [
        ("standard", STANDARD),
        ("volume", VOLUME),
        ("graduated", GRADUATED),
        ("package", PACKAGE),
        ("percentage", PERCENTAGE),
        ("dynamic", {"minPrice": "2", "maxPrice": "2"}),
    ],
)
def test_a_quantity_is_at_least_zero(model: str, properties: dict[str, Any], quantity: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        pricing.rate(model, properties, Decimal(quantity))
    assert refusal.value.field == "quantity"


@pytest.mark.parametrize(
    ("model", "properties"),
    [
        ("standard", STANDARD),
        ("standard", {"unitPrice": "-1"}),
        ("standard", {"unitPrice": "9" * 20 + "." + "9" * 18}),
        ("volume", VOLUME),
        ("volume", {"tiers": [{"upTo": None, "unitPrice": "0"}]}),
        ("graduated", GRADUATED),
        ("package", PACKAGE),
        ("dynamic", DYNAMIC),
        ("percentage", {"percentage": "10", "minCharge": "0", "maxCharge": "0"}),
    ],
)
def test_accepts(model: str, properties: dict[str, Any]) -> None:
    pricing.validate(model, properties, metered=True)


def tiers(*bounds: Any) -> Mapping[str, Any]:
    return {"tiers": [{"upTo": bound, "unitPrice": "1"} for bound in bounds]}


@pytest.mark.parametrize(
    ("model", "properties", "field"),
    [
        ("standard", [], "properties"),
        ("standard", {}, "properties.unitPrice"),
        ("standard", {"unitPrice": "1", "unitprice": "2"}, "properties.unitprice"),
        ("standard", {"unitPrice": 1}, "properties.unitPrice"),
        ("standard", {"unitPrice": 0.1}, "properties.unitPrice"),
        ("standard", {"unitPrice": ""}, "properties.unitPrice"),
        ("standard", {"unitPrice": "1e3"}, "properties.unitPrice"),
        ("standard", {"unitPrice": "+1"}, "properties.unitPrice"),
        ("standard", {"unitPrice": "1."}, "properties.unitPrice"),
        ("standard", {"unitPrice": " 1"}, "properties.unitPrice"),
        ("standard", {"unitPrice": "NaN"}, "properties.unitPrice"),
        ("standard", {"unitPrice": "1\n"}, "properties.unitPrice"),
        ("standard", {"unitPrice": "1" * 21}, "properties.unitPrice"),
        ("standard", {"unitPrice": "0." + "1" * 19}, "properties.unitPrice"),
        ("volume", {}, "properties.tiers"),
        ("volume", {"tiers": []}, "properties.tiers"),
        ("volume", {"tiers": "100"}, "properties.tiers"),
        ("volume", {"tiers": None}, "properties.tiers"),
        ("volume", {"tiers": ["100"]}, "properties.tiers[0]"),
        ("volume", tiers(*map(str, range(1, 1_001)), None), "properties.tiers"),
        ("volume", tiers("100"), "properties.tiers[0].upTo"),
        ("volume", tiers("0", None), "properties.tiers[0].upTo"),
        ("volume", tiers("-5", None), "properties.tiers[0].upTo"),
        ("volume", tiers(100, None), "properties.tiers[0].upTo"),
        ("volume", tiers("100", "100", None), "properties.tiers[1].upTo"),
        ("volume", tiers("100", "99", None), "properties.tiers[1].upTo"),
        ("volume", tiers("100", None, None), "properties.tiers[1].upTo"),
        ("volume", tiers("0.0000001", None), "properties.tiers[0].upTo"),
        ("volume", tiers("9" * 20 + ".000000001", None), "properties.tiers[0].upTo"),
        ("volume", {"tiers": [{"upTo": None}]}, "properties.tiers[0].unitPrice"),
        ("volume", {"tiers": [{"unitPrice": "1"}]}, "properties.tiers[0].upTo"),
        ("graduated", {"tiers": [{"unitPrice": "1"}]}, "properties.tiers[0].upTo"),
        (
            "volume",
            {"tiers": [{"upTo": None, "unitPrice": "-1"}]},
            "properties.tiers[0].unitPrice",
        ),
        (
            "volume",
            {"tiers": [{"upTo": None, "unitPrice": "1", "flatAmount": "-1"}]},
            "properties.tiers[0].flatAmount",
        ),
        (
            "graduated",
            {"tiers": [{"upTo": None, "unitPrice": "1", "flatAmount": "-1"}]},
            "properties.tiers[0].flatAmount",
        ),
        ("package", {"packageSize": "0", "unitPrice": "1"}, "properties.packageSize"),
        ("package", {"packageSize": "1", "unitPrice": "-1"}, "properties.unitPrice"),
        ("dynamic", {"minPrice": "2", "maxPrice": "1"}, "properties.maxPrice"),
        ("dynamic", {"minPrice": "-1", "maxPrice": "1"}, "properties.minPrice"),
        ("percentage", {**PERCENTAGE, "percentage": "10.1"}, "properties.percentage"),
        ("percentage", {**PERCENTAGE, "percentage": "-0.1"}, "properties.percentage"),
        ("percentage", {**PERCENTAGE, "maxCharge": "0.5"}, "properties.maxCharge"),
        ("percentage", {**PERCENTAGE, "minCharge": None}, "properties.minCharge"),
        ("linear", {}, "model"),
    ],
)
def test_refuses_and_names_the_field(model: str, properties: Any, field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        pricing.validate(model, properties, metered=True)
    assert refusal.value.field == field


def test_bounds_with_trailing_zeros_have_six_decimals_at_most() -> None:
    pricing.validate("volume", tiers("0.1234560", None), metered=True)


def test_a_fee_is_standard_and_not_negative() -> None:
    pricing.validate("standard", {"unitPrice": "49.00"}, metered=False)
    with pytest.raises(InvalidValue) as refusal:
        pricing.validate("standard", {"unitPrice": "-49.00"}, metered=False)
    assert refusal.value.field == "properties.unitPrice"
    with pytest.raises(InvalidValue) as refusal:
        pricing.validate("volume", VOLUME, metered=False)
    assert refusal.value.field == "model"


def test_an_unknown_model_rates_nothing() -> None:
    with pytest.raises(InvalidValue, match="Must be one of standard, volume"):
        pricing.rate("linear", {}, Decimal(1))


def test_bands_that_were_changed_in_place_are_read_again() -> None:
    """Ten units at 3 are 30, at 2 they are 20, and what does not ascend is refused after that."""
    tiers: list[dict[str, Any]] = [
        {"upTo": "10", "unitPrice": "3"},
        {"upTo": None, "unitPrice": "1"},
    ]
    properties = {"tiers": tiers}
    assert pricing.rate("volume", properties, Decimal(10)).amount == Decimal(30)
    tiers[0]["unitPrice"] = "2"
    assert pricing.rate("volume", properties, Decimal(10)).amount == Decimal(20)
    assert pricing.rate("graduated", properties, Decimal(11)).amount == Decimal(21)
    tiers[0]["upTo"] = "0"
    with pytest.raises(InvalidValue):
        pricing.rate("volume", properties, Decimal(10))
