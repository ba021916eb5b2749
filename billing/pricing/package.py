"""Package: units are sold in whole packages, each at `unitPrice`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.errors import InvalidValue
from billing.money import exact
from billing.pricing.properties import check_keys, number
from billing.pricing.rated import Rated, averaged, require_usage


def validate(properties: Mapping[str, Any]) -> None:
    """Refuses a package without content or with a negative price."""
    _read(properties)


def rate(properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """A started package is owed whole."""
    require_usage(quantity)
    size, price = _read(properties)
    with exact():
        full, rest = divmod(quantity, size)
        return averaged((full + (1 if rest else 0)) * price, quantity)


def _read(properties: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    check_keys(properties, {"packageSize", "unitPrice"})
    size = number(properties.get("packageSize"), "properties.packageSize")
    if not size:
        raise InvalidValue("Must be above zero", field="properties.packageSize")
    return size, number(properties.get("unitPrice"), "properties.unitPrice")
