"""Dynamic (legacy): each usage brings its own price within the bounds of the catalogue."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.errors import InvalidValue
from billing.money import exact, text
from billing.pricing.properties import check_keys, number
from billing.pricing.rated import Rated, averaged, require_usage


def validate(properties: Mapping[str, Any]) -> None:
    """Refuses bounds that are negative or cross."""
    _bounds(properties)


def rate(properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """Prices a quantity that brought no price: only possible where the bounds leave one."""
    lowest, highest = _bounds(properties)
    if lowest != highest:
        raise InvalidValue("A dynamic price needs the price of each usage", field="price")
    return rate_at(properties, lowest, quantity)


def rate_at(properties: Mapping[str, Any], price: Decimal, quantity: Decimal) -> Rated:
    """Quantity times the price that this usage brought, which lies within the bounds."""
    require_usage(quantity)
    lowest, highest = _bounds(properties)
    if not price.is_finite() or not lowest <= price <= highest:
        message = f"Must lie between {text(lowest)} and {text(highest)}"
        raise InvalidValue(message, field="price")
    with exact():
        return Rated(quantity * price, price)


def rate_period(
    properties: Mapping[str, Any], metered: Decimal, used: Decimal, used_amount: Decimal
) -> Rated:
    """A period's uses, which brought `used_amount`, and what a meter read beside them.

    A reading brings no price: it is owed only where the bounds leave one, and not counted else.
    """
    require_usage(metered)
    lowest, highest = _bounds(properties)
    counted = metered if lowest == highest else Decimal(0)
    with exact():
        return averaged(used_amount + counted * lowest, used + counted)


def countable(properties: Mapping[str, Any], metered: Decimal) -> Decimal:
    """How much of a meter's reading has a price."""
    lowest, highest = _bounds(properties)
    return metered if lowest == highest else Decimal(0)


def _bounds(properties: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    check_keys(properties, {"minPrice", "maxPrice"})
    lowest = number(properties.get("minPrice"), "properties.minPrice")
    highest = number(properties.get("maxPrice"), "properties.maxPrice")
    if highest < lowest:
        raise InvalidValue("Must not be below minPrice", field="properties.maxPrice")
    return lowest, highest
