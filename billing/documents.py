"""The amounts that a document shows: rounded, and adding up to what is due; it writes no text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from billing.errors import InvalidValue
from billing.money import exact, round_half_up


class Taxed(Protocol):
    """A line's amounts, unrounded, and its tax rate as a fraction."""

    @property
    def total_price(self) -> Decimal:
        """Without tax."""

    @property
    def total_tax(self) -> Decimal:
        """The tax on it."""

    @property
    def tax_rate(self) -> Decimal:
        """0.19 for 19 %."""


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """All lines of one rate: what is taxed and the tax, both rounded."""

    rate: Decimal
    base: Decimal
    tax: Decimal


def fitted(amounts: Sequence[Decimal], total: Decimal, digits: int) -> list[Decimal]:
    """The amounts rounded so that they sum to the total, each less than a unit away from itself.

    Rounded half up as usual; where the sum then misses the total, those that are nearest to the
    other side are rounded the other way, ties by position. A reader can add up the column.
    """
    unit = Decimal(1).scaleb(-digits)
    with exact():
        shown = [round_half_up(amount, digits) for amount in amounts]
        missing = int((total - sum(shown, Decimal(0))) / unit)
        step = 1 if missing > 0 else -1
        room = [(amount - each) * step for amount, each in zip(amounts, shown, strict=True)]
        movable = sorted((at for at, left in enumerate(room) if left > 0), key=lambda at: -room[at])
        if abs(missing) > len(movable):
            raise InvalidValue("The amounts do not round to this total", field="total")
        for at in movable[: abs(missing)]:
            shown[at] += step * unit
        return shown


def tax_groups(
    lines: Sequence[Taxed], *, subtotal: Decimal, tax: Decimal, digits: int
) -> list[TaxGroup]:
    """What is taxed at which rate, highest rate first; bases and taxes sum to those of the invoice.

    A rate of zero is a group too: its base belongs to the sum.
    """
    with exact():
        bases: dict[Decimal, Decimal] = {}
        taxes: dict[Decimal, Decimal] = {}
        for line in lines:
            bases[line.tax_rate] = bases.get(line.tax_rate, Decimal(0)) + line.total_price
            taxes[line.tax_rate] = taxes.get(line.tax_rate, Decimal(0)) + line.total_tax
    rates = sorted(bases, reverse=True)
    return [
        TaxGroup(rate, base, due)
        for rate, base, due in zip(
            rates,
            _all_fitted(bases, rates, subtotal, digits),
            _all_fitted(taxes, rates, tax, digits),
            strict=True,
        )
    ]


def _all_fitted(
    sums: Mapping[Decimal, Decimal], rates: Sequence[Decimal], total: Decimal, digits: int
) -> list[Decimal]:
    return fitted([sums[rate] for rate in rates], total, digits)
