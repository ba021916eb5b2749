"""An invoice's amounts as EN 16931 wants them, or the refusal to bend them; it writes no XML.

The standard sums rounded lines and multiplies rounded sums; an invoice here sums unrounded lines
and rounds twice. Where both come to the same amounts the invoice can be expressed; where they do
not, or where the standard has no word for what was charged, it is refused: an electronic invoice
that says something else than the books is worse than none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, Protocol

from billing.documents import fitted
from billing.errors import BillingError
from billing.money import exact, round_half_up

Category = Literal["S", "AE"]
"""Standard rate, and reverse charge: UNTDID 5305, as far as it is used here."""
DIGITS: Final = 2
"""No amount of the standard has more decimals."""
# A line's quantity times its price may be this far from its amount (it was rounded to fit).
LINE_SLACK: Final = Decimal("0.01")


class NotExpressible(BillingError):
    """The standard has no way to say what this invoice says."""

    code = "E_INVOICE_NOT_POSSIBLE"


class Charged(Protocol):
    """A line of an invoice, unrounded."""

    @property
    def kind(self) -> str: ...

    @property
    def quantity(self) -> Decimal: ...

    @property
    def unit_price(self) -> Decimal: ...

    @property
    def tax_rate(self) -> Decimal: ...

    @property
    def total_price(self) -> Decimal: ...

    @property
    def is_out_of_scope(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressedLine:
    """BG-25: quantity times price is its net amount, and no price is negative."""

    quantity: Decimal
    price: Decimal
    net: Decimal
    category: Category
    percent: Decimal
    is_whole: bool
    """Stated as one piece at its amount: its own quantity and price do not multiply to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VatGroup:
    """BG-23: what is taxed at one rate, and the tax."""

    category: Category
    percent: Decimal
    base: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressed:
    """Lines and breakdown; both sum to what the invoice says."""

    lines: Sequence[ExpressedLine]
    groups: Sequence[VatGroup]


def express(
    lines: Sequence[Charged],
    *,
    minor_digits: int,
    subtotal: Decimal,
    tax: Decimal,
    is_reverse_charge: bool,
) -> Expressed:
    """The invoice in the standard's terms; `NotExpressible` where it has none for it."""
    _refuse_the_unspeakable(lines, minor_digits, is_reverse_charge=is_reverse_charge)
    nets = fitted([line.total_price for line in lines], subtotal, minor_digits)
    expressed = [_line(line, net) for line, net in zip(lines, nets, strict=True)]
    groups = _groups(expressed)
    if sum((group.tax for group in groups), Decimal(0)) != tax:
        raise NotExpressible(
            "The tax of the rounded lines is not the tax that is due",
            details={"tax": str(tax), "groups": [str(group.tax) for group in groups]},
        )
    return Expressed(lines=expressed, groups=groups)


def _refuse_the_unspeakable(
    lines: Sequence[Charged], minor_digits: int, *, is_reverse_charge: bool
) -> None:
    if minor_digits > DIGITS:
        raise NotExpressible("Amounts have at most two decimals in an electronic invoice")
    if not lines:
        raise NotExpressible("An electronic invoice has at least one line")
    if any(line.kind == "wallet" for line in lines):
        raise NotExpressible("A wallet top-up is no supply that an electronic invoice could tell")
    if any(line.is_out_of_scope for line in lines):
        raise NotExpressible("Lines outside the scope of tax cannot stand beside taxed ones")
    if any(not line.tax_rate for line in lines) and not is_reverse_charge:
        # The standard wants the legal reason, and the only one that is known is this.
        raise NotExpressible("A line without tax needs a reason other than its rate")
    if any(line.tax_rate for line in lines) and is_reverse_charge:
        raise NotExpressible("Tax is charged although the customer accounts for it")


def _line(line: Charged, net: Decimal) -> ExpressedLine:
    sign = -1 if line.unit_price < 0 else 1
    quantity, price = line.quantity * sign, line.unit_price * sign
    with exact():
        is_whole = abs(round_half_up(quantity * price, DIGITS) - net) > LINE_SLACK
        if is_whole:
            quantity, price = Decimal(-1 if net < 0 else 1), abs(net)
        percent = line.tax_rate.scaleb(2)
    return ExpressedLine(
        quantity=quantity,
        price=price,
        net=net,
        category="S" if line.tax_rate else "AE",
        percent=percent,
        is_whole=is_whole,
    )


def _groups(lines: Sequence[ExpressedLine]) -> list[VatGroup]:
    """BR-CO-17: the tax of a rate is its rounded base times the rate, rounded."""
    bases: dict[tuple[Category, Decimal], Decimal] = {}
    with exact():
        for line in lines:
            key = (line.category, line.percent)
            bases[key] = bases.get(key, Decimal(0)) + line.net
        return [
            VatGroup(
                category=category,
                percent=percent,
                base=base,
                tax=round_half_up(base * percent.scaleb(-2), DIGITS),
            )
            for (category, percent), base in sorted(bases.items())
        ]
