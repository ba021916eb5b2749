"""Lines that show what grants cover: all that was used, and a discount that takes it off again.

The two come to what the overage alone would, tax too; it decides nothing about the overage.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from billing.money import exact
from billing.rating import Origin, RatedLine
from billing.taxes import TaxBehavior, apply_tax

DISPLAY_SUFFIX: Final = " (covered by grants)"


def with_grant_discounts(lines: Iterable[RatedLine], behavior: TaxBehavior) -> list[RatedLine]:
    """The lines, those of prices that discount by grants each followed by what is covered.

    A price of another model has no unit price to take off; the contract allows none, and it bills
    its overage.
    """
    found: list[RatedLine] = []
    for line in lines:
        covered = _covered(line)
        found += [line] if not covered else _shown(line, covered, behavior)
    return found


def _covered(line: RatedLine) -> Decimal:
    burned = None if line.origin is None else line.origin.burned
    is_shown = line.price.discounts_by_grants and line.price.model == "standard"
    return burned.covered if burned is not None and is_shown and not line.is_late else Decimal(0)


def _shown(line: RatedLine, covered: Decimal, behavior: TaxBehavior) -> list[RatedLine]:
    with exact():
        used, returned = line.quantity + covered, -covered
    origin = line.origin and replace(line.origin, shows_covered=True)
    if origin is not None and origin.measured is not None:
        with exact():
            origin = replace(origin, measured=origin.measured + covered)
    price = replace(
        line.price, kind="grant", display_name=f"{line.price.display_name}{DISPLAY_SUFFIX}"
    )
    discount = replace(line, price=price, origin=Origin(line.window), adjustment_ids=())
    return [
        _of(replace(line, origin=origin), used, behavior),
        _of(discount, returned, behavior),
    ]


def _of(line: RatedLine, quantity: Decimal, behavior: TaxBehavior) -> RatedLine:
    price = line.price
    with exact():
        amount = quantity * line.unit_price
    taxed = apply_tax(amount, price.tax_rate, behavior, in_scope=price.in_scope)
    return replace(
        line,
        quantity=quantity,
        total_price=taxed.price,
        total_tax=taxed.tax,
        total_amount=taxed.total,
    )
