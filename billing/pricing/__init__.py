"""Price models, one file each: from a quantity to an unrounded amount, without tax or currency."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from billing.errors import InvalidValue
from billing.pricing import dynamic, graduated, package, percentage, standard, volume
from billing.pricing.rated import Rated

__all__ = ["MODELS", "Rated", "rate", "validate"]

_RATE: Final[Mapping[str, Callable[[Mapping[str, Any], Decimal], Rated]]] = {
    "standard": standard.rate,
    "volume": volume.rate,
    "graduated": graduated.rate,
    "package": package.rate,
    "dynamic": dynamic.rate,
    "percentage": percentage.rate,
}
_VALIDATE_METERED: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {
    "standard": standard.validate,
    "volume": volume.validate,
    "graduated": graduated.validate,
    "package": package.validate,
    "dynamic": dynamic.validate,
    "percentage": percentage.validate,
}
MODELS: Final = tuple(_RATE)


def validate(model: str, properties: Mapping[str, Any], *, metered: bool) -> None:
    """Refuses properties that the model cannot price; a fee has the standard model only."""
    if model not in _VALIDATE_METERED:
        raise InvalidValue(f"Must be one of {', '.join(MODELS)}", field="model")
    if metered:
        _VALIDATE_METERED[model](properties)
    elif model == "standard":
        standard.validate(properties, metered=False)
    else:
        raise InvalidValue("A fee has the standard model", field="model")


def rate(model: str, properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """The unrounded amount of the quantity (at least zero) under the model."""
    if model not in _RATE:
        raise InvalidValue(f"Must be one of {', '.join(MODELS)}", field="model")
    return _RATE[model](properties, quantity)
