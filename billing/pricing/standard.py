"""Standard: quantity times one unit price."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.errors import InvalidValue
from billing.money import exact
from billing.pricing.properties import check_keys, number
from billing.pricing.rated import Rated, require_usage


def validate(properties: Mapping[str, Any], *, metered: bool = True) -> None:
    """Refuses anything but a unit price; a negative one is a usage-scaled rebate: metered only."""
    if _unit_price(properties) < 0 and not metered:
        message = "Only a metered price may be negative"
        raise InvalidValue(message, field="properties.unitPrice")


def rate(properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """Quantity times the unit price, exactly."""
    require_usage(quantity)
    unit_price = _unit_price(properties)
    with exact():
        return Rated(quantity * unit_price, unit_price)


def _unit_price(properties: Mapping[str, Any]) -> Decimal:
    check_keys(properties, {"unitPrice"})
    return number(properties.get("unitPrice"), "properties.unitPrice", least=None)
