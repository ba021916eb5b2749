"""Exact amounts with a currency; it neither rates nor taxes, and it never divides.

Everything is Decimal in one context of 60 digits: the default context keeps 28 and rounds the
rest away in silence. Rounding is half up, which means away from zero also for negative amounts.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction
from functools import lru_cache
from typing import Final

from billing.currencies import minor_unit
from billing.errors import CurrencyMismatch, InvalidValue

MONEY_CONTEXT: Final = Context(
    prec=60, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow]
)
# What a ledger column of 38 digits with 12 decimals holds; more is a wrong number, not a price.
INTEGER_DIGITS_MAX: Final = 26
NANO_DIGITS: Final = 9


def exact() -> AbstractContextManager[Context]:
    """The money context for a `with` block: every Decimal operation inside is exact."""
    return localcontext(MONEY_CONTEXT)


def context_of(digits: int) -> Context:
    """The money context with fewer digits, for quotients: they seldom end."""
    context = MONEY_CONTEXT.copy()
    context.prec = digits
    return context


@lru_cache
def _unit(digits: int) -> Decimal:
    """The smallest amount with so many decimals."""
    return Decimal(1).scaleb(-digits)


def round_half_up(amount: Decimal, digits: int) -> Decimal:
    """The amount with so many decimals, ties away from zero; zero has no sign."""
    too_large = amount and amount.adjusted() + digits >= MONEY_CONTEXT.prec - 1
    if too_large or not amount.is_finite():
        raise InvalidValue("The amount is too large to be rounded", field="amount")
    rounded = amount.quantize(_unit(digits), rounding=ROUND_HALF_UP, context=MONEY_CONTEXT)
    return rounded or rounded.copy_abs()


def check_bookable(amount: Decimal) -> None:
    """Refuses an amount that no ledger column holds."""
    if amount and amount.adjusted() >= INTEGER_DIGITS_MAX:
        raise InvalidValue("The amount is too large", field="amount")


def to_minor_unit(amount: Decimal, currency: str) -> Decimal:
    """The amount as it can be due in this currency."""
    return round_half_up(amount, minor_unit(currency))


def text(amount: Decimal) -> str:
    """A plain decimal string, no exponent and no trailing zeros: "49", "0.002", "-1.5"."""
    plain = format(amount, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def amount_text(amount: Decimal, currency: str) -> str:
    """The amount with at least its currency's decimals: "49.00" in USD, "490" in JPY."""
    plain, digits = text(amount), minor_unit(currency)
    whole, _, decimals = plain.partition(".")
    padded = decimals.ljust(digits, "0")
    return f"{whole}.{padded}" if padded else whole


def nano(amount: Decimal) -> int:
    """The amount in billionths, as the legacy wire counts: 1 is 1 000 000 000."""
    with exact():
        return int(round_half_up(amount, NANO_DIGITS).scaleb(NANO_DIGITS))


def from_nano(count: int) -> Decimal:
    """The amount that so many billionths are."""
    with exact():
        return Decimal(count).scaleb(-NANO_DIGITS)


@dataclass(frozen=True, slots=True)
class Money:
    """A finite decimal amount of one ISO 4217 currency, not necessarily rounded."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"Money takes a Decimal, not {self.amount!r}: floats lose cents")
        minor_unit(self.currency)
        if not self.amount.is_finite():
            raise InvalidValue("An amount is a finite number", field="amount")
        check_bookable(self.amount)

    def __add__(self, other: "Money") -> "Money":
        with exact():
            return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        with exact():
            return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(self.amount.copy_negate() if self.amount else self.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> "Money":
        if isinstance(factor, bool) or not isinstance(factor, Decimal | int):
            return NotImplemented
        with exact():
            return Money(self.amount * factor, self.currency)

    __rmul__ = __mul__

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.amount >= self._same(other)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __str__(self) -> str:
        return f"{amount_text(self.amount, self.currency)} {self.currency}"

    def rounded(self) -> "Money":
        """The amount as it can be due: half up, to the currency's minor unit."""
        return Money(to_minor_unit(self.amount, self.currency), self.currency)

    def allocate(self, weights: Sequence[int | Decimal]) -> list["Money"]:
        """Parts in proportion to the weights, each in whole minor units, summing to the whole.

        Largest remainder: every part is cut down to the unit, and the units left over go to the
        largest remainders, ties to the earlier position. A negative amount is split like its
        opposite, so that a refund mirrors the charge part by part.
        """
        digits = minor_unit(self.currency)
        if self.amount != round_half_up(self.amount, digits):
            raise InvalidValue("Only a rounded amount can be allocated", field="amount")
        shares = [Fraction(weight) for weight in weights]
        if any(share < 0 for share in shares) or not sum(shares):
            raise InvalidValue("Weights are at least zero, and one is above", field="weights")
        with exact():
            units = abs(int(self.amount.scaleb(digits)))
            sign = -1 if self.amount < 0 else 1
            return [
                Money(Decimal(sign * part).scaleb(-digits), self.currency)
                for part in _largest_remainder(units, shares)
            ]

    def _same(self, other: "Money") -> Decimal:
        if not isinstance(other, Money):
            raise TypeError(f"Money meets {type(other).__name__}: a bare number has no currency")
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} meets {other.currency}")
        return other.amount


def _largest_remainder(units: int, shares: Sequence[Fraction]) -> list[int]:
    whole = sum(shares)
    ideal = [units * share / whole for share in shares]
    parts = [int(share) for share in ideal]
    by_remainder = sorted(range(len(ideal)), key=lambda at: parts[at] - ideal[at])
    for at in by_remainder[: units - sum(parts)]:
        parts[at] += 1
    return parts
