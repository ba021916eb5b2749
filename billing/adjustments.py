"""What a deal with one customer changes of his charges; it reads no usage and stores nothing.

Quantities are adjusted before they are priced: units are waived first, then the bounds hold, so
that a contracted minimum is billed whatever was waived. Amounts are discounted after they are
priced, one negative line a charge and discount.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from billing.bounds import NO_RULE, OtherSides, QuantityRule, Together
from billing.errors import InvalidValue
from billing.money import exact
from billing.periods import Period
from billing.proration import share
from billing.rating import Charge, Measure, Origin, PriceTerms, RatedLine, measured, rate_measure
from billing.taxes import TaxBehavior, apply_tax

Kind = Literal["percentageDiscount", "usageDiscount", "minimumQuantity", "maximumQuantity"]
DISPLAY_NAME: Final = "Discount"
# A price's key, or its id, and the period that its quantity is counted for.
Bounded = tuple[str, Period]
ALONE: Final[Mapping[Bounded, OtherSides]] = {}
# A quantity of these is an amount of money, or carries a price of its own: no units to adjust.
UNITLESS_MODELS: Final = frozenset({"dynamic", "percentage"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """One term of a deal; `value` is a rate (a fraction of one) or a number of units.

    A percentage discount holds in [start, end) and has no target; the others name a price, and
    hold for each period that ends in (start, end].
    """

    adjustment_id: str
    kind: Kind
    value: Decimal
    start: datetime
    end: datetime | None
    target_id: str = ""
    target_key: str = ""
    description: str | None = None

    def names(self, price: PriceTerms) -> bool:
        """Whether the price is its target, as itself or under its key in another version."""
        if self.kind == "percentageDiscount":
            return False
        by_key = self.target_key != "" and self.target_key == price.key
        return by_key or price.price_id == self.target_id

    def reaches(self, period: Period) -> bool:
        """Whether a quantity that is counted for this period falls under it."""
        return self.start < period.end and (self.end is None or period.end <= self.end)


def rule_of(adjustments: Iterable[Adjustment]) -> QuantityRule:
    """All of them together: waivers add up, the greatest minimum and least maximum hold."""
    by_kind: dict[Kind, list[Decimal]] = {}
    ids: list[str] = []
    for each in adjustments:
        if each.kind != "percentageDiscount":
            by_kind.setdefault(each.kind, []).append(each.value)
            ids.append(each.adjustment_id)
    with exact():
        waived = sum(by_kind.get("usageDiscount", ()), Decimal(0))
    return QuantityRule(
        waived=waived,
        minimum=max(by_kind.get("minimumQuantity", ()), default=None),
        maximum=min(by_kind.get("maximumQuantity", ()), default=None),
        adjustment_ids=tuple(ids),
    )


def rate_adjusted(
    charges: Sequence[Charge],
    measures: Sequence[Measure],
    adjustments: Sequence[Adjustment],
    behavior: TaxBehavior,
    others: Mapping[Bounded, OtherSides] = ALONE,
) -> list[RatedLine]:
    """The lines of these charges under a deal, in their order, discounts behind what they cut.

    `others` are the other sides of periods that are cut.
    """
    if not adjustments:
        pairs = zip(charges, measures, strict=True)
        return [rate_measure(charge, measure, behavior) for charge, measure in pairs]
    found = rules(charges, adjustments)
    before = [measured(charge, each) for charge, each in zip(charges, measures, strict=True)]
    after, together = adjusted_quantities(charges, before, found, others)
    lines = []
    for at, charge in enumerate(charges):
        measure = measures[at]
        if found[at] != NO_RULE:
            measure = replace(measure, adjusted=after[at])
        line = rate_measure(charge, measure, behavior)
        origin = line.origin and replace(line.origin, together=together.get(at))
        lines.append(replace(line, origin=origin, adjustment_ids=found[at].adjustment_ids))
    return discounts(lines, adjustments, behavior)


def rules(charges: Sequence[Charge], adjustments: Sequence[Adjustment]) -> list[QuantityRule]:
    """The rule for each charge."""
    return [
        rule_of(
            each
            for each in adjustments
            if each.names(charge.price) and each.reaches(charge.counted_for)
        )
        for charge in charges
    ]


def bounded_as(charge: Charge) -> Bounded:
    """What is bounded together: the lines of one price, by its key, that one period is split in."""
    return charge.price.key or charge.price.price_id, charge.counted_for


def adjusted_quantities(
    charges: Sequence[Charge],
    quantities: Sequence[Decimal],
    found: Sequence[QuantityRule],
    others: Mapping[Bounded, OtherSides] = ALONE,
) -> tuple[list[Decimal], dict[int, Together]]:
    """What each charge bills of its quantity, and what usage was bounded with beside itself.

    Units are waived of each line; bounds hold for the period, over all lines that it is split
    into: those of one price and cycle are scaled by one factor.
    """
    waived = [rule.waive(each) for rule, each in zip(found, quantities, strict=True)]
    shared: dict[int, Together] = {}
    groups: dict[Bounded, list[int]] = {}
    for at, charge in enumerate(charges):
        groups.setdefault(bounded_as(charge), []).append(at)
    for group, members in groups.items():
        rule = found[members[0]]
        if not rule.has_bounds:
            continue
        if charges[members[0]].price.kind == "fee":
            _scale_fees([charges[at] for at in members], waived, members, rule)
            continue
        with exact():
            used = sum((waived[at] for at in members), Decimal(0))
        together = Together(used, len(members), others.get(group, OtherSides()))
        for at in members:
            waived[at] = rule.scaled(waived[at], together)
        if not together.is_one_line:
            shared |= dict.fromkeys(members, together)
    return waived, shared


def discounts(
    lines: Sequence[RatedLine], adjustments: Sequence[Adjustment], behavior: TaxBehavior
) -> list[RatedLine]:
    """The lines, each followed by what is discounted from it."""
    rated = [each for each in adjustments if each.kind == "percentageDiscount"]
    found: list[RatedLine] = []
    for line in lines:
        if not rated or not is_discountable(line):
            found.append(line)
            continue
        parts = shares(line.window, rated)
        reaching = [(each, part) for each, part in zip(rated, parts, strict=True) if part]
        # Also where there is nothing to discount yet: late usage of the period will be.
        ids = (*line.adjustment_ids, *(each.adjustment_id for each, _ in reaching))
        found.append(replace(line, adjustment_ids=ids))
        if line.total_amount > 0:
            found += [_discount_line(line, each, part, behavior) for each, part in reaching]
    return found


def is_discountable(line: RatedLine) -> bool:
    """A charge of the catalogue within the scope of tax, and no rebate.

    A correction of late usage is discounted as its period was, within its own line.
    """
    is_charge = line.price.kind in ("fee", "metric") and not line.is_late
    return is_charge and line.price.in_scope and not _is_rebate(line.price)


def shares(window: Period, discounting: Sequence[Adjustment]) -> list[Fraction]:
    """Which part of the window's amount each discount takes.

    Where several hold at the same time, each takes its rate of what the earlier ones have left;
    time under none, or under one alone, is counted as that.
    """
    taken = [Fraction(0)] * len(discounting)
    for segment, part in _segments(window, discounting):
        left = part
        for at, each in enumerate(discounting):
            if each.start <= segment and (each.end is None or segment < each.end):
                cut = left * Fraction(each.value)
                taken[at] += cut
                left -= cut
    return taken


def kept_share(window: Period, discounting: Sequence[Adjustment]) -> Fraction:
    """Which part of the window's amount is left after the discounts."""
    rated = [each for each in discounting if each.kind == "percentageDiscount"]
    return 1 - sum(shares(window, rated), Fraction(0))


def check_window(start: datetime, end: datetime | None) -> None:
    """Refuses a window that holds no instant."""
    if end is not None and end <= start:
        raise InvalidValue("Must lie after effectiveFrom", field="effectiveTo")


def check_target(kind: Kind, price: PriceTerms | None) -> None:
    """Refuses a price that has no quantity which the adjustment could change."""
    if kind == "percentageDiscount":
        return
    for broken, message in (
        (price is None, "Not a price of this subscription"),
        (price is not None and price.is_instant, "Its uses are paid one by one"),
        (price is not None and price.model in UNITLESS_MODELS, "Its quantity is not in units"),
        (price is not None and price.is_once, "It is billed once, not for each period"),
        (price is not None and kind == "usageDiscount" and price.kind != "metric", "Not metered"),
        (
            price is not None and kind == "usageDiscount" and _is_rebate(price),
            "Fewer units of a rebate would raise the invoice",
        ),
        (
            price is not None and kind == "usageDiscount" and not price.in_scope,
            "Outside the scope of tax",
        ),
    ):
        if broken:
            raise InvalidValue(message, field="targetPriceIds")


def _is_rebate(price: PriceTerms) -> bool:
    return price.model == "standard" and Decimal(price.properties["unitPrice"]) < 0


def _scale_fees(
    charges: Sequence[Charge], quantities: list[Decimal], members: Sequence[int], rule: QuantityRule
) -> None:
    """Seats count for their time: a bound holds for their mean over the windows that are billed."""
    weights = _weights(charges)
    weighed = [
        Fraction(quantities[at]) * weight for at, weight in zip(members, weights, strict=True)
    ]
    whole = sum(weighed, Fraction(0))
    aimed = rule.bound(whole)
    if aimed == whole:
        return
    for at in members:
        if whole:
            quantities[at] = share(quantities[at], aimed / whole)
        else:
            quantities[at] = share(Decimal(1), aimed)


def _weights(charges: Sequence[Charge]) -> list[Fraction]:
    whole = sum(charge.window.microseconds for charge in charges)
    if not whole:
        return [Fraction(1, len(charges))] * len(charges)
    return [Fraction(charge.window.microseconds, whole) for charge in charges]


def _segments(
    window: Period, discounting: Sequence[Adjustment]
) -> Iterable[tuple[datetime, Fraction]]:
    """The stretches of the window in which the same discounts hold: start, and part of it."""
    if window.is_empty:
        return [(window.start, Fraction(1))]
    edges = {each.start for each in discounting} | {each.end for each in discounting if each.end}
    cuts = sorted({window.start, *(edge for edge in edges if window.contains(edge))})
    ends = [*cuts[1:], window.end]
    return [
        (start, Fraction(Period(start, end).microseconds, window.microseconds))
        for start, end in zip(cuts, ends, strict=True)
    ]


def _discount_line(
    line: RatedLine, adjustment: Adjustment, part: Fraction, behavior: TaxBehavior
) -> RatedLine:
    basis = line.total_amount if behavior == "inclusive" else line.total_price
    amount = share(basis, part).copy_negate()
    taxed = apply_tax(amount, line.price.tax_rate, behavior, in_scope=line.price.in_scope)
    return RatedLine(
        price=replace(
            line.price, kind="adjustment", display_name=adjustment.description or DISPLAY_NAME
        ),
        window=line.window,
        quantity=Decimal(1),
        unit_price=amount,
        total_price=taxed.price,
        total_tax=taxed.tax,
        total_amount=taxed.total,
        fraction=Fraction(1),
        origin=Origin(line.window, discounted=basis, part=part),
        adjustment_ids=(adjustment.adjustment_id,),
    )
