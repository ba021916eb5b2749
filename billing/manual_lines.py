"""Lines that a merchant writes himself: charges, and credits that never take an invoice below zero.

What an invoice cannot bear of a credit is carried to the next one, never lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.errors import InvalidValue
from billing.late_usage import basis
from billing.money import exact
from billing.periods import Period
from billing.plan_change import ChangedFee
from billing.proration import share
from billing.rating import Origin, PriceTerms, RatedLine
from billing.taxes import TaxBehavior, TaxSource, apply_tax

# As many as a single quantity or price may have; a million such lines can still be booked.
INTEGER_DIGITS_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualLine:
    """What the merchant wrote; a negative unit price is a credit."""

    line_id: str
    display_name: str
    quantity: Decimal
    unit_price: Decimal
    window: Period
    tax_rate: Decimal
    """A fraction."""
    tax_source: TaxSource | None = None
    change: ChangedFee | None = None
    """What it was worked out from, where a plan change wrote it."""
    carried_from: str | None = None
    """The credit whose rest it is."""


def check_amount(quantity: Decimal, unit_price: Decimal) -> None:
    """Refuses a line that would keep its invoice from being calculated."""
    with exact():
        amount = quantity * unit_price
    if amount and amount.adjusted() >= INTEGER_DIGITS_MAX:
        message = f"With the quantity, at most {INTEGER_DIGITS_MAX} digits before the point"
        raise InvalidValue(message, field="unitPrice")


def rate_manual(line: ManualLine, behavior: TaxBehavior) -> RatedLine:
    """Its amounts, unrounded; it is taxed as its subscription's plan is."""
    with exact():
        amount = line.quantity * line.unit_price
    taxed = apply_tax(amount, line.tax_rate, behavior)
    change = line.change
    discounts = () if change is None else change.discounts
    return RatedLine(
        price=PriceTerms(
            price_id=line.line_id,
            kind="manual",
            source_id=line.line_id,
            display_name=line.display_name,
            model="standard",
            properties={},
            payment_term="in_arrears",
            cadence=None,
            quantity=line.quantity,
            is_obligation=False,
            in_scope=True,
            tax_rate=line.tax_rate,
            tax_source=line.tax_source,
            plan_version_id=None if change is None else change.plan_version_id,
        ),
        window=line.window,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total_price=taxed.price,
        total_tax=taxed.tax,
        total_amount=taxed.total,
        fraction=Fraction(1),
        origin=Origin(
            line.window if change is None else change.cycle,
            change=change,
            carried_from=line.carried_from,
        ),
        adjustment_ids=tuple(adjustment_id for adjustment_id, _ in discounts),
    )


def fit_credits(
    charged: Sequence[RatedLine], given: Sequence[RatedLine], behavior: TaxBehavior
) -> list[RatedLine]:
    """The credits, each cut to what the invoice still bears, with the rest as `carried`."""
    fitted: list[RatedLine] = []
    with exact():
        left = max(sum((line.total_amount for line in charged), Decimal(0)), Decimal(0))
        for line in given:
            used = min(-line.total_amount, left)
            left -= used
            fitted.append(_cut(line, used, behavior))
    return fitted


def _cut(line: RatedLine, used: Decimal, behavior: TaxBehavior) -> RatedLine:
    with exact():
        if used == -line.total_amount:
            return line
        tax = share(line.total_tax, Fraction(used) / Fraction(-line.total_amount))
        kept = replace(
            line,
            total_price=-used - tax,
            total_tax=tax,
            total_amount=used.copy_negate(),
            origin=line.origin_of_cut,
        )
        return replace(kept, carried=basis(line, behavior) - basis(kept, behavior))
