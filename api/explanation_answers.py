"""The steps to an invoice's amounts on the wire; every number is a decimal string, unrounded."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

from api.explained_allowance import Allowance
from api.explanation_terms import ChangedFee, ExplainedPrice, Share, TakenDiscount, Window
from api.schema import Absent, Instant, Wire
from billing import adjustments, explanation, invoicing
from billing.bounds import Together
from billing.money import amount_text, text
from billing.periods import Period
from billing.pricing import breakdown
from billing.proration import SHARE_DIGITS
from billing.rating import Uses
from billing.taxes import INCLUSIVE_DIGITS, TaxedAmount
from models.queries import explanations


def _maybe(amount: Decimal | None) -> str | None:
    return None if amount is None else text(amount)


class AddedUses(Wire):
    """Single uses that accrued on the invoice; `amount` is at the prices that they brought."""

    quantity: str
    amount: str

    @classmethod
    def of(cls, uses: Uses) -> Self:
        """The answer for uses."""
        return cls(quantity=text(uses.quantity), amount=text(uses.amount))


class UsageReading(Wire):
    """What the meter read in the window, under the invoice's usage watermark."""

    billable_metric_id: str
    aggregation: str | None
    reading: str
    event_count: int | None
    uses: AddedUses
    allowance: Absent[Allowance] = None


class Part(Wire):
    """Units at a unit price; a band holds the units above its one bound up to the other."""

    kind: str
    units: Absent[str] = None
    unit_price: Absent[str] = None
    above: Absent[str] = None
    up_to: Absent[str] = None
    amount: str

    @classmethod
    def of(cls, part: breakdown.Part) -> Self:
        """The answer for a part."""
        return cls(
            kind=part.kind,
            units=_maybe(part.units),
            unit_price=_maybe(part.unit_price),
            above=_maybe(part.above),
            up_to=_maybe(part.up_to),
            amount=text(part.amount),
        )


def _parts(parts: Sequence[breakdown.Part]) -> list[Part]:
    return [Part.of(each) for each in parts]


class Correction(Wire):
    """What was billed for the window before, at the price of the correction; it is taken off.

    `carried` is what earlier corrections could not give back.
    """

    invoice_id: str | None
    billed_quantity: str
    billed_amount: str
    parts: list[Part]
    amount: str
    carried: str
    kept: Absent[Share] = None
    """What discounts have left of the difference."""

    @classmethod
    def of(cls, correction: explanation.Correction, part: Fraction | None) -> Self:
        """The answer for a correction."""
        billed = correction.billed
        return cls(
            invoice_id=billed.invoice_id,
            billed_quantity=text(billed.quantity),
            billed_amount=text(billed.amount),
            parts=_parts(correction.parts),
            amount=text(correction.amount),
            carried=text(billed.carried),
            kept=None if part is None else Share.of(part),
        )


class Proration(Wire):
    """The owed amount times numerator, divided by denominator, to so many significant digits."""

    cycle: Window
    numerator: str
    denominator: str
    amount: str
    significant_digits: int = SHARE_DIGITS
    rounding: Literal["half_up"] = "half_up"


class Tax(Wire):
    """The tax on, or inside, the prorated amount.

    Inside: the price is the amount divided by 1 + rate, to so many significant digits.
    """

    rate: str
    source: str | None
    behavior: str
    price: str
    tax: str
    total: str
    significant_digits: int = INCLUSIVE_DIGITS


class Discount(Wire):
    """A discount's line is the opposite of a share of what it is taken off."""

    discounted_amount: str
    share: Share


class DealTerm(Wire):
    """An adjustment that reached the line: a rate as a fraction, or a number of units."""

    adjustment_id: str
    kind: str
    value: str
    effective_from: Instant
    effective_to: Instant | None

    @classmethod
    def of(cls, term: adjustments.Adjustment) -> Self:
        """The answer for an adjustment."""
        return cls(
            adjustment_id=term.adjustment_id,
            kind=term.kind,
            value=text(term.value),
            effective_from=term.start,
            effective_to=term.end,
        )


class Cut(Wire):
    """A total that was cut to what the invoice can bear; the tax is cut in proportion.

    `carried` is what the next invoice gives back.
    """

    before: str
    after: str
    carried: str
    significant_digits: int = SHARE_DIGITS


class WalletTopUp(Wire):
    """What the wallet must hold, and what it held."""

    minimum: str
    balance: str


class BoundedWith(Wire):
    """What bounds hold for beside a line; units are counted after those that are waived."""

    quantity: str
    """Of all lines of this side of the period."""
    lines: int
    other_sides_quantity: str
    other_sides_billed: str
    """What invoices of other sides have billed: it counts against the bounds."""

    @classmethod
    def of(cls, together: Together | None) -> Self | None:
        """The answer; None where the bounds hold for the line alone."""
        if together is None:
            return None
        return cls(
            quantity=text(together.quantity),
            lines=together.lines,
            other_sides_quantity=text(together.others.quantity),
            other_sides_billed=text(together.others.billed),
        )


class Steps(Wire):
    """From the reading to the amounts."""

    price: ExplainedPrice
    usage: Absent[UsageReading] = None
    counted_for: Absent[Window] = None
    """Where terms changed inside a period: a deal's bounds hold for all lines of it together."""
    measured_quantity: Absent[str] = None
    """Before adjustments, where they reached the quantity."""
    bounded_with: Absent[BoundedWith] = None
    """Where a deal's bounds hold for more than this line."""
    priced_quantity: str
    plan_change: Absent[ChangedFee] = None
    carried_from: Absent[str] = None
    """The line of an earlier invoice whose rest this gives back."""
    discount: Absent[Discount] = None
    parts: list[Part]
    rated_amount: str
    correction: Absent[Correction] = None
    owed_amount: str
    proration: Proration
    discounts_taken: Absent[list[TakenDiscount]] = None
    """Off the prorated amount, before tax; elsewhere a discount is a line of its own."""
    tax: Tax
    cut: Absent[Cut] = None
    deal: list[DealTerm]

    @classmethod
    def of(cls, line: explanations.ExplainedLine, steps: explanation.Explanation) -> Self:
        """The answer for a line's steps."""
        return cls(
            price=ExplainedPrice.of(line, steps),
            usage=_usage(line, steps),
            counted_for=None if steps.origin.period is None else Window.of(steps.origin.period),
            measured_quantity=_maybe(steps.origin.measured),
            bounded_with=BoundedWith.of(steps.origin.together),
            priced_quantity=text(steps.quantity),
            plan_change=ChangedFee.of(steps),
            carried_from=steps.origin.carried_from,
            discount=_discount(steps),
            parts=_parts(steps.parts),
            rated_amount=text(steps.rated),
            correction=_correction(steps),
            owed_amount=text(steps.owed),
            proration=Proration(
                cycle=Window.of(steps.origin.cycle),
                numerator=str(steps.fraction.numerator),
                denominator=str(steps.fraction.denominator),
                amount=text(steps.prorated),
            ),
            discounts_taken=[TakenDiscount.of(each) for each in steps.taken] or None,
            tax=_tax(steps, steps.taxed),
            cut=_cut(line, steps),
            deal=[DealTerm.of(each) for each in line.deal],
        )


def _usage(line: explanations.ExplainedLine, steps: explanation.Explanation) -> UsageReading | None:
    origin = steps.origin
    if origin.usage is None:
        return None
    return UsageReading(
        billable_metric_id=line.row.source_id,
        aggregation=line.aggregation,
        reading=text(origin.usage),
        event_count=origin.event_count,
        uses=AddedUses.of(origin.uses),
        allowance=Allowance.of(steps),
    )


def _tax(steps: explanation.Explanation, taxed: TaxedAmount) -> Tax:
    return Tax(
        rate=text(steps.price.tax_rate),
        source=steps.price.tax_source if steps.price.in_scope else "outside_scope",
        behavior=steps.behavior,
        price=text(taxed.price),
        tax=text(taxed.tax),
        total=text(taxed.total),
    )


def _correction(steps: explanation.Explanation) -> Correction | None:
    if steps.correction is None:
        return None
    return Correction.of(steps.correction, steps.origin.part)


def _discount(steps: explanation.Explanation) -> Discount | None:
    discounted, part = steps.origin.discounted, steps.origin.part
    if discounted is None or part is None:
        return None
    return Discount(discounted_amount=text(discounted), share=Share.of(part))


def _cut(line: explanations.ExplainedLine, steps: explanation.Explanation) -> Cut | None:
    if steps.origin.uncut is None:
        return None
    return Cut(
        before=text(steps.origin.uncut),
        after=text(line.row.total_amount),
        carried=text(line.row.carried),
    )


class ExplainedLine(Wire):
    """A line as it is stored, and the steps to it."""

    id: str
    position: int
    kind: str
    display_name: str
    source_id: str
    source_name: str
    source_unit: str
    window: Window
    quantity: str
    unit_price: str
    total_price: str
    total_tax: str
    total_amount: str
    steps: Absent[Steps] = None
    """None of a wallet's top-up, and of a line from before they were kept."""
    wallet: Absent[WalletTopUp] = None
    agrees: bool
    """Whether the steps come to these amounts, to the last digit."""

    @classmethod
    def of(cls, line: explanations.ExplainedLine) -> Self:
        """The answer for a line."""
        row, steps = line.row, line.steps
        top_up = (row.origin or {}).get("wallet")
        return cls.from_row(
            row,
            window=Window.of(Period(row.period_start, row.period_end)),
            quantity=text(row.quantity),
            unit_price=text(row.unit_price),
            total_price=text(row.total_price),
            total_tax=text(row.total_tax),
            total_amount=text(row.total_amount),
            steps=None if steps is None else Steps.of(line, steps),
            wallet=None if top_up is None else WalletTopUp(**top_up),
            agrees=steps.agrees if steps is not None else top_up is not None,
        )


class Rounding(Wire):
    """A sum over the lines, and what it was rounded to: the only rounding of money there is."""

    unrounded: str
    decimals: int
    rounding: Literal["half_up", "half_down"]
    amount: str

    @classmethod
    def of_price(cls, summed: invoicing.Summed, currency: str) -> Self:
        """The subtotal, without a wallet's top-up; half down where price and tax both tie."""
        return cls(
            unrounded=text(summed.price),
            decimals=summed.digits,
            rounding="half_down" if summed.is_double_tie else "half_up",
            amount=amount_text(summed.totals.subtotal, currency),
        )

    @classmethod
    def of_tax(cls, summed: invoicing.Summed, currency: str) -> Self:
        """The tax."""
        return cls(
            unrounded=text(summed.tax),
            decimals=summed.digits,
            rounding="half_up",
            amount=amount_text(summed.totals.tax, currency),
        )
