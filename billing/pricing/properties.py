"""Reads a price's properties from their wire form (decimal strings); it prices nothing."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from billing.errors import InvalidValue
from billing.money import text

# Bounded, so that quantity x price stays inside the 60 digits of the money context.
_NUMBER: Final = re.compile(r"-?\d{1,20}(\.\d{1,18})?", re.ASCII)
ROOT: Final = "properties"


def check_keys(properties: Any, allowed: Collection[str], field: str = ROOT) -> None:
    """Refuses what is no object or has a name that the model does not know.

    A misspelt bound would otherwise be a bound that silently does not hold.
    """
    if not isinstance(properties, Mapping):
        raise InvalidValue("Must be an object", field=field)
    for key in properties:
        if key not in allowed:
            raise InvalidValue("Unknown property", field=f"{field}.{key}")


def number(value: Any, field: str, *, least: Decimal | None = Decimal(0)) -> Decimal:
    """A plain decimal string of at most 20 digits before and 18 behind the point."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        message = "Must be a decimal string with at most 20 integer digits and 18 decimals"
        raise InvalidValue(message, field=field)
    amount = Decimal(value)
    if least is not None and amount < least:
        raise InvalidValue(f"Must be at least {text(least)}", field=field)
    return amount
