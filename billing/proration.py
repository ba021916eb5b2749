"""The share of a price that part of its cycle owes, by elapsed time; it picks no cycles itself."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.errors import InvalidValue
from billing.money import MONEY_CONTEXT, context_of
from billing.periods import Period

# Six digits more than the 34 that must agree, so that a thousand parts still sum to their price.
SHARE_DIGITS: Final = 40
_CONTEXT: Final = context_of(SHARE_DIGITS)
_WHOLE: Final = Fraction(1)


def fraction(window: Period, cycle: Period) -> Fraction:
    """Which part of the cycle the window is, exactly; 1 for all of it, also of an empty one."""
    if not cycle.covers(window):
        raise InvalidValue("A window lies inside the cycle that it is a part of")
    if window == cycle:
        return _WHOLE
    return Fraction(window.microseconds, cycle.microseconds)


def prorate(amount: Decimal, window: Period, cycle: Period) -> Decimal:
    """The window's part of the amount: itself for a whole cycle, else to 40 digits."""
    return share(amount, fraction(window, cycle))


def share(amount: Decimal, part: Fraction) -> Decimal:
    """A fraction of the amount: multiplied first and divided once."""
    if part is _WHOLE or part == 1:
        return amount
    scaled = MONEY_CONTEXT.multiply(amount, Decimal(part.numerator))
    return _CONTEXT.divide(scaled, Decimal(part.denominator))
