"""Percentage (legacy): a share of an amount of money, within a least and a greatest charge."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from billing.errors import InvalidValue
from billing.money import exact
from billing.pricing.properties import check_keys, number
from billing.pricing.rated import Rated, averaged, require_usage

PERCENTAGE_MAX: Final = Decimal(10)


def validate(properties: Mapping[str, Any]) -> None:
    """Refuses a share outside 0 to 10 (0.03 is 3 %) and charges that are negative or cross."""
    read_bounds(properties)


def rate(properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """The share of the quantity, which is money here; the least charge is owed for nothing too."""
    require_usage(quantity)
    percentage, least, greatest = read_bounds(properties)
    with exact():
        return averaged(min(max(percentage * quantity, least), greatest), quantity)


def read_bounds(properties: Mapping[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    """The share, the least and the greatest charge."""
    check_keys(properties, {"percentage", "minCharge", "maxCharge"})
    percentage = number(properties.get("percentage"), "properties.percentage")
    if percentage > PERCENTAGE_MAX:
        raise InvalidValue("Must be at most 10", field="properties.percentage")
    least = number(properties.get("minCharge"), "properties.minCharge")
    greatest = number(properties.get("maxCharge"), "properties.maxCharge")
    if greatest < least:
        raise InvalidValue("Must not be below minCharge", field="properties.maxCharge")
    return percentage, least, greatest
