"""A deal's bounds, over all that they hold for together; it knows no prices and no amounts.

A bound holds for a whole billing period and is never prorated. Where terms change inside the
period, the lines of one invoice share it. Where a pause or another plan cuts the period, each side
is on an invoice of its own: it owes what the period has come to within the bounds, less what was
billed of it. So a minimum is owed once, by the side that is billed first, and a maximum is used up
once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.money import exact
from billing.periods import Period
from billing.proration import share


@dataclass(frozen=True, slots=True)
class OtherSides:
    """What usage on other invoices of a period came to, waived units taken off, and was billed."""

    quantity: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Together:
    """What a bound holds for beside one line of usage; waived units are taken off."""

    quantity: Decimal
    """Of all lines of its side, which one invoice bills."""
    lines: int = 1
    others: OtherSides = OtherSides()

    @property
    def is_one_line(self) -> bool:
        """Whether the bound holds for one line and nothing else."""
        return self.lines == 1 and self.others == OtherSides()


@dataclass(frozen=True, slots=True)
class QuantityRule:
    """What is done to the quantity of a price in a period."""

    waived: Decimal = Decimal(0)
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    adjustment_ids: tuple[str, ...] = ()

    @property
    def has_bounds(self) -> bool:
        """Whether there is a minimum or a maximum."""
        return self.minimum is not None or self.maximum is not None

    def bound(self, quantity: Fraction) -> Fraction:
        """The nearest quantity within the bounds; where they contradict, the maximum holds."""
        if self.minimum is not None:
            quantity = max(quantity, Fraction(self.minimum))
        return quantity if self.maximum is None else min(quantity, Fraction(self.maximum))

    def applied(self, quantity: Decimal, together: Together | None = None) -> Decimal:
        """What is billed of the whole quantity of a line."""
        left = self.waive(quantity)
        return self.scaled(left, together or Together(left))

    def waive(self, quantity: Decimal) -> Decimal:
        """What is left of it, at least nothing."""
        with exact():
            return max(quantity - self.waived, Decimal(0)) if self.waived else quantity

    def scaled(self, left: Decimal, together: Together) -> Decimal:
        """A line's part of what its side owes; where nothing was used, the lines share evenly."""
        side = Fraction(together.quantity)
        owed = self._owed(side, together.others)
        if owed == side:
            return left
        return share(left, owed / side) if side else share(Decimal(1), owed / together.lines)

    def _owed(self, side: Fraction, others: OtherSides) -> Fraction:
        if not self.has_bounds:
            return side
        whole = self.bound(Fraction(others.quantity) + side)
        # What was billed of other sides under other terms is not given back.
        return max(whole - Fraction(others.billed), Fraction(0))


NO_RULE: Final = QuantityRule()


@dataclass(frozen=True, slots=True)
class Part:
    """A line of usage in a period that is cut: what was measured, and the rule that reached it."""

    side: Period
    quantity: Decimal
    rule: QuantityRule


def settled(parts: Sequence[Part]) -> list[Together]:
    """What each part of one price and period is bounded with, the sides in their order of time."""
    found: dict[Period, Together] = {}
    others = OtherSides()
    with exact():
        for side in sorted({part.side for part in parts}, key=lambda side: side.start):
            members = [part for part in parts if part.side == side]
            left = [part.rule.waive(part.quantity) for part in members]
            together = Together(sum(left, Decimal(0)), len(members), others)
            rule = members[0].rule
            billed = sum((rule.scaled(each, together) for each in left), others.billed)
            found[side] = together
            others = replace(others, quantity=others.quantity + together.quantity, billed=billed)
    return [found[part.side] for part in parts]
