"""What is owed for usage that arrived, or was voided, after its period had been billed.

The window's reading is priced again, as a whole, and the difference to what was billed is one line
of the next invoice: so tiers, least charges, bounds of a deal and every aggregation come out as if
the usage had come in time. It reads no events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing import pricing
from billing.allowances import Burned
from billing.bounds import NO_RULE, QuantityRule, Together
from billing.money import exact
from billing.periods import Period
from billing.pricing.rated import averaged
from billing.proration import share
from billing.rating import NO_USES, Billed, Origin, PriceTerms, RatedLine, Uses, rate_usage
from billing.taxes import TaxBehavior, apply_tax

DISPLAY_SUFFIX: Final = " (late usage)"
LOOKED_BACK_DAYS: Final = 92
LOOKED_BACK_PERIODS: Final = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What a window's usage comes to now, and the deal under which it was billed."""

    usage: Decimal
    uses: Uses = NO_USES
    event_count: int | None = None
    rule: QuantityRule = NO_RULE
    kept: Fraction = Fraction(1)
    """The part of its amount that percentage discounts have left."""
    together: Together | None = None
    """What a bound of the deal holds for; None: for the window alone."""
    burned: Burned | None = None
    """What an allowance leaves of the usage; None where there is none."""

    @property
    def billable(self) -> Decimal:
        """The usage that is billed."""
        return self.usage if self.burned is None else self.burned.billed


def late_line(
    price: PriceTerms, window: Period, billed: Billed, now: Reading, behavior: TaxBehavior
) -> RatedLine | None:
    """The correction of a window that was billed; None where there is nothing to correct.

    It is negative where the reading, or its price in a cheaper band, has fallen.
    """
    quantity, rated = rate_usage(price, now.billable, now.uses)
    origin = Origin(window, now.usage, now.event_count, now.uses, billed=billed, burned=now.burned)
    if now.rule != NO_RULE:
        is_shared = now.together is not None and not now.together.is_one_line
        shared = now.together if is_shared else None
        origin = replace(origin, measured=quantity, together=shared)
        quantity = now.rule.applied(quantity, now.together)
        rated = pricing.rate(price.model, price.properties, quantity)
    if now.kept != 1:
        origin = replace(origin, part=now.kept)
    with exact():
        amount = owed_difference(price, billed, rated.amount, now.kept)
        more = quantity - billed.quantity
    if not amount and not more:
        return None
    taxed = apply_tax(amount, price.tax_rate, behavior, in_scope=price.in_scope)
    return RatedLine(
        price=replace(price, display_name=f"{price.display_name}{DISPLAY_SUFFIX}"),
        window=window,
        quantity=more,
        unit_price=averaged(amount, more).unit_price,
        total_price=taxed.price,
        total_tax=taxed.tax,
        total_amount=taxed.total,
        fraction=Fraction(1),
        is_late=True,
        origin=origin,
    )


def with_carried(
    before: Sequence[RatedLine], after: Sequence[RatedLine], behavior: TaxBehavior
) -> list[RatedLine]:
    """The lines after an invoice's floor, corrections with what it has cut from them.

    A rebate that is cut is gone; a correction that is cut is owed to the customer still.
    """
    with exact():
        return [
            replace(kept, carried=basis(full, behavior) - basis(kept, behavior))
            if kept.is_late
            else kept
            for full, kept in zip(before, after, strict=True)
        ]


def basis(line: RatedLine, behavior: TaxBehavior) -> Decimal:
    """What a line's price came to, in the catalogue's terms (of its own period, if it is late)."""
    kept = None if line.origin is None else line.origin.behavior
    return line.total_amount if (kept or behavior) == "inclusive" else line.total_price


def amount_before(price: PriceTerms, billed: Billed) -> Decimal:
    """What the billed quantity costs; uses of a dynamic price cost what they were billed for."""
    if price.model == "dynamic":
        return billed.amount + billed.carried
    if price.is_instant and not billed.quantity:
        return Decimal(0)
    return pricing.rate(price.model, price.properties, billed.quantity).amount


def owed_difference(price: PriceTerms, billed: Billed, amount: Decimal, kept: Fraction) -> Decimal:
    """What is owed more than was billed, of an amount of which discounts have kept a part."""
    before = amount_before(price, billed)
    with exact():
        if price.model == "dynamic":
            return share(amount, kept) - before + billed.carried
        return share(amount - before, kept) + billed.carried
