"""An invoice's states, sums, dates and number; it rates no line and stores nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_DOWN, Decimal
from fractions import Fraction
from typing import Final, Literal, Protocol

from billing.currencies import minor_unit
from billing.errors import Conflict, InvalidValue
from billing.money import check_bookable, exact, round_half_up
from billing.periods import Period
from billing.proration import share
from billing.rating import RatedLine
from billing.taxes import TaxBehavior

Status = Literal[
    "ACTIVE",
    "CLOSING",
    "CLOSED",
    "CALCULATING",
    "DRAFT",
    "ISSUED",
    "PAYMENT_FAILED",
    "PAID",
    "CANCELLED",
    "WRITTEN_OFF",
    "FAILED",
    "PROJECTED",
]

# PROJECTED is in no row: a projection is derived at each read and never becomes an invoice.
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    "ACTIVE": frozenset({"CLOSING", "CLOSED", "CANCELLED"}),
    "CLOSING": frozenset({"CLOSED", "CANCELLED"}),
    "CLOSED": frozenset({"CALCULATING"}),
    "CALCULATING": frozenset({"DRAFT", "ISSUED", "PAID", "FAILED"}),
    "DRAFT": frozenset({"CALCULATING", "ISSUED", "PAID", "CANCELLED"}),
    "ISSUED": frozenset({"PAID", "PAYMENT_FAILED", "CANCELLED", "WRITTEN_OFF"}),
    "PAYMENT_FAILED": frozenset({"PAID", "WRITTEN_OFF"}),
    "FAILED": frozenset({"CALCULATING", "CANCELLED"}),
    "PAID": frozenset(),
    "CANCELLED": frozenset(),
    "WRITTEN_OFF": frozenset(),
    "PROJECTED": frozenset(),
}
# Lines carry 34 digits and more, where a third taken three times falls short of one. Sums are
# brought to this many decimals first, so that such dust never moves a cent; no price is as fine.
DUST_DECIMALS: Final = 24


class Amounts(Protocol):
    """What a line adds to its invoice, unrounded."""

    @property
    def total_price(self) -> Decimal:
        """Without tax."""

    @property
    def total_tax(self) -> Decimal:
        """The tax on it."""


class Windowed(Protocol):
    """What a line is owed for."""

    @property
    def window(self) -> Period:
        """The time that it covers."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What is due, in whole minor units; the first two sum to the third."""

    subtotal: Decimal
    tax: Decimal
    grand_total: Decimal


@dataclass(frozen=True, slots=True)
class Summed:
    """How lines came to what is due: their sums unrounded, and how these were rounded."""

    price: Decimal
    tax: Decimal
    digits: int
    is_double_tie: bool
    """Both sums lie exactly between two units, and the tax lies inside the price."""
    totals: Totals


def check_transition(old: Status, new: Status) -> None:
    """Refuses a step that the life of an invoice does not have."""
    if new not in TRANSITIONS[old]:
        message = f"An invoice that is {old} does not become {new}"
        raise Conflict(message, details={"from": old, "to": new})


def totals(lines: Iterable[Amounts], currency: str, behavior: TaxBehavior) -> Totals:
    """Subtotal and tax, each summed unrounded and rounded half up once, then added.

    One exception, for tax inside the price: where both sums lie exactly between two units
    (9.99 as 9.085 and 0.905), rounding both away from zero would charge a unit more than the
    catalogue says. The tax is rounded up and the subtotal down: who was promised 9.99 pays 9.99.
    """
    return summed(lines, currency, behavior).totals


def summed(lines: Iterable[Amounts], currency: str, behavior: TaxBehavior) -> Summed:
    """The totals, with the steps to them; raises InvalidValue for more than can be booked."""
    digits = minor_unit(currency)
    price, tax = _sums(lines)
    rounded_tax = round_half_up(tax, digits)
    subtotal = round_half_up(price, digits)
    is_double_tie = (
        behavior == "inclusive"
        and (price < 0) == (tax < 0)
        and _is_tie(price, digits)
        and _is_tie(tax, digits)
    )
    with exact():
        if is_double_tie:
            # Plus zero: a negative zero loses its sign.
            subtotal = price.quantize(subtotal, rounding=ROUND_HALF_DOWN) + 0
        due = Totals(subtotal, rounded_tax, subtotal + rounded_tax)
    for amount in (due.subtotal, due.tax, due.grand_total):
        check_bookable(amount)
    return Summed(price, tax, digits, is_double_tie, due)


def floor_rebates(lines: Sequence[RatedLine]) -> list[RatedLine]:
    """The lines with usage rebates cut, last first, so that they never take a total below zero.

    Only as much as is needed is cut; a rebate keeps its quantity and unit price, which are facts.
    What else is negative (a manual credit) is no rebate and stays.
    """
    kept = list(lines)
    with exact():
        missing = -sum((line.total_amount for line in lines), Decimal(0))
        for at in reversed(range(len(kept))):
            line = kept[at]
            if missing <= 0:
                break
            if line.price.kind in ("metric", "fee") and line.total_amount < 0:
                cut = min(missing, -line.total_amount)
                kept[at] = _with_total(line, line.total_amount + cut)
                missing -= cut
    return kept


def period_of(lines: Iterable[Windowed], fallback: Period) -> Period:
    """The union of the lines' windows; the fallback where there is no line."""
    windows = [line.window for line in lines] or [fallback]
    return Period(min(each.start for each in windows), max(each.end for each in windows))


def due_at(issued_at: datetime, payment_term_days: int) -> datetime:
    """The day of issue plus the term, at midnight UTC."""
    day = issued_at.astimezone(UTC).date() + timedelta(days=payment_term_days)
    return datetime.combine(day, time.min, tzinfo=UTC)


def invoice_number(year: int, month: int, sequence: int) -> str:
    """The number that a customer reads: INV-2026-01-001; wider from the thousandth on."""
    if sequence < 1:
        raise InvalidValue("Invoices are counted from one", field="sequence")
    return f"INV-{year:04d}-{month:02d}-{sequence:03d}"


def _sums(lines: Iterable[Amounts]) -> tuple[Decimal, Decimal]:
    price, tax = Decimal(0), Decimal(0)
    with exact():
        for line in lines:
            price += line.total_price
            tax += line.total_tax
    return round_half_up(price, DUST_DECIMALS), round_half_up(tax, DUST_DECIMALS)


def _is_tie(amount: Decimal, digits: int) -> bool:
    with exact():
        return abs(amount.scaleb(digits)) % 1 == Decimal("0.5")


def _with_total(line: RatedLine, total: Decimal) -> RatedLine:
    with exact():
        tax = share(line.total_tax, Fraction(total) / Fraction(line.total_amount))
        kept = replace(line, total_price=total - tax, total_tax=tax, total_amount=total)
        return replace(kept, origin=line.origin_of_cut)
