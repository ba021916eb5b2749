"""The outcome of pricing a quantity; it holds no tax, no currency and no rounding."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from billing.errors import InvalidValue
from billing.money import context_of

# Averages do not end; this is what the contract asks to carry.
AVERAGE_CONTEXT: Final = context_of(34)


@dataclass(frozen=True, slots=True)
class Rated:
    """The unrounded amount of a quantity, and the unit price that its line shows."""

    amount: Decimal
    unit_price: Decimal


def averaged(amount: Decimal, quantity: Decimal) -> Rated:
    """The amount with its average per unit: exact where it ends, else 34 digits; 0 for nothing."""
    average = AVERAGE_CONTEXT.divide(amount, quantity) if quantity else Decimal(0)
    return Rated(amount, average)


def require_usage(quantity: Decimal) -> None:
    """Refuses a quantity that is negative or not a number: a price model starts at zero."""
    if not quantity.is_finite() or quantity < 0:
        raise InvalidValue("A quantity is at least zero", field="quantity")
