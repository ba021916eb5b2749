"""What a line was billed by, on the wire: price, interval, plan change; it tells no steps."""

from fractions import Fraction
from typing import Any, Literal, Self

from api.schema import Absent, Instant, Wire
from billing import explanation, interval_terms
from billing.money import text
from billing.periods import Period
from billing.proration import SHARE_DIGITS
from models import subscription_intervals as tables
from models.queries import explanations


class Window(Wire):
    """Start included, end excluded, and its exact length."""

    start: Instant
    end: Instant
    seconds: str

    @classmethod
    def of(cls, period: Period) -> Self:
        """The answer for a period."""
        return cls(start=period.start, end=period.end, seconds=text(period.seconds))


class Share(Wire):
    """An exact part of an amount; the product has so many significant digits, half up."""

    numerator: str
    denominator: str
    significant_digits: int = SHARE_DIGITS

    @classmethod
    def of(cls, part: Fraction) -> Self:
        """The answer for a fraction."""
        return cls(numerator=str(part.numerator), denominator=str(part.denominator))


class IntervalStep(Wire):
    """From when on a quantity holds."""

    effective_date: Instant
    quantity: str


class ExplainedInterval(Wire):
    """A subscription's own terms as they were when the line was rated.

    A fee's quantity is that of the last step at or before the line's start, else the base one;
    without a unit price the catalogue's holds.
    """

    id: str
    kind: str
    price_key: str
    plan_version_id: str
    unit_price: str | None
    base_quantity: str
    quantity_transitions: list[IntervalStep]
    billing_cadence: str
    billing_mode: str
    bill_date: Instant | None
    start_date: Instant
    end_date: Instant | None

    @classmethod
    def of(cls, interval: interval_terms.Interval) -> Self:
        """The answer for an interval."""
        rate = interval.unit_price
        return cls(
            id=interval.interval_id,
            kind=interval.kind,
            price_key=interval.key,
            plan_version_id=interval.version_id,
            unit_price=None if rate is None else text(rate),
            base_quantity=text(interval.base_quantity),
            quantity_transitions=[
                IntervalStep(effective_date=at, quantity=text(quantity))
                for at, quantity in interval.transitions
            ],
            billing_cadence=interval.cadence,
            billing_mode=interval.mode,
            bill_date=interval.bill_date,
            start_date=interval.start,
            end_date=interval.end,
        )


class Agreement(Wire):
    """The record of a change of intervals, as the merchant explained it."""

    interval_change_id: str
    change_reason: str
    description: str | None
    metadata: dict[str, Any]
    created_at: Instant

    @classmethod
    def of(cls, row: tables.IntervalChange) -> Self:
        """The answer for a record."""
        return cls.from_row(row, interval_change_id=row.id, metadata=row.custom)


class ExplainedPrice(Wire):
    """The price as it was when the line was rated."""

    price_id: str | None
    price_key: Absent[str] = None
    """What the plan calls the line."""
    plan_version_id: str | None
    plan_version_number: int | None
    model: str
    properties: dict[str, Any]
    payment_term: str
    is_obligation: bool
    is_instant: bool
    in_tax_scope: bool
    interval: Absent[ExplainedInterval] = None
    """The subscription's own terms, where the line is billed by them."""
    agreement: Absent[Agreement] = None
    """Which recorded change made these terms, and why."""

    @classmethod
    def of(cls, line: explanations.ExplainedLine, steps: explanation.Explanation) -> Self:
        """The answer for a line's price."""
        price = steps.price
        return cls(
            price_id=line.row.price_id if steps.origin.change is None else price.price_id,
            price_key=price.key or None,
            plan_version_id=price.plan_version_id,
            plan_version_number=line.plan_version_number,
            model=price.model,
            properties=dict(price.properties),
            payment_term=line.row.payment_term,
            is_obligation=price.is_obligation,
            is_instant=price.is_instant,
            in_tax_scope=price.in_scope,
            interval=None if price.interval is None else ExplainedInterval.of(price.interval),
            agreement=None if line.agreement is None else Agreement.of(line.agreement),
        )


class ChangedFee(Wire):
    """What a line of a plan change is of: a fee that was billed, or one that is asked for.

    The price and its plan version stand in the line's price.
    """

    kind: Literal["given_back", "asked_for"]
    invoice_id: str | None
    """The one that billed what is given back."""
    billed_amount: str | None
    """What it billed of the fee for the proration's cycle, discounts off."""

    @classmethod
    def of(cls, steps: explanation.Explanation) -> Self | None:
        """The answer for a line of a plan change; None for any other."""
        fee = steps.origin.change
        if fee is None:
            return None
        return cls(
            kind="asked_for" if fee.billed is None else "given_back",
            invoice_id=fee.invoice_id,
            billed_amount=None if fee.billed is None else text(fee.billed),
        )


class TakenDiscount(Wire):
    """What a discount takes off a fee that a plan change asks for."""

    adjustment_id: str
    share: Share
    amount: str

    @classmethod
    def of(cls, taken: explanation.Taken) -> Self:
        """The answer for a discount."""
        return cls(
            adjustment_id=taken.adjustment_id,
            share=Share.of(taken.part),
            amount=text(taken.amount),
        )
