"""What changing the plan inside a period gives back and asks for; it moves no subscription."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.errors import Conflict
from billing.money import exact, text
from billing.periods import Period
from billing.proration import prorate

UNUSED_SUFFIX = " (unused)"


class PlanNotChangeable(Conflict):
    """The plans differ in what one invoice cannot hold, or something stands between them."""

    code = "PLAN_NOT_CHANGEABLE"


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What two plans must share for one invoice to bill them both."""

    currency: str
    tax_behavior: str
    tax_rate: Decimal
    billing_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFee:
    """Which fee of which plan version an amount is of, and what it was worked out from.

    What is given back is a part of what an invoice has billed; what is asked for is a price and a
    quantity for a part of the fee's cycle, less discounts.
    """

    price_id: str
    plan_version_id: str | None
    cycle: Period
    """What the amount's window is a part of."""
    billed: Decimal | None = None
    invoice_id: str | None = None
    """The one that billed it."""
    model: str = "standard"
    properties: Mapping[str, Any] = field(default_factory=dict)
    quantity: Decimal = Decimal(1)
    discounts: tuple[tuple[str, Fraction], ...] = ()
    """Which adjustment takes which part."""
    is_owed_whole: bool = False
    """An obligation, or a fee that is billed once: none of it is given back."""

    @property
    def billed_as(self) -> tuple[str | None, str, Period]:
        """Which amount of which invoice it is a part of, where it is given back."""
        return (self.invoice_id, self.price_id, self.cycle)


@dataclass(frozen=True, slots=True)
class Amount:
    """A fee in advance for a window, discounts off, in the catalogue's terms."""

    name: str
    window: Period
    amount: Decimal
    fee: ChangedFee | None = None


def check_plans(old: PlanTerms, new: PlanTerms) -> None:
    """Refuses plans that one invoice cannot bill."""
    for name in ("currency", "tax_behavior", "tax_rate", "billing_version"):
        if getattr(old, name) != getattr(new, name):
            raise PlanNotChangeable("The plans differ", details={"differs": name})


def unused(
    paid: Iterable[Amount], now: datetime, returned: Iterable[ChangedFee] = ()
) -> list[Amount]:
    """What is given back: each paid fee for the part of its window that is still to come.

    What an earlier change has returned is not given back again.
    """
    before = {fee.billed_as for fee in returned}
    found = []
    for each in paid:
        start = max(each.window.start, now)
        if start >= each.window.end or not each.amount:
            continue
        fee = each.fee and replace(each.fee, cycle=each.window, billed=each.amount, discounts=())
        if fee is not None and fee.billed_as in before:
            continue
        rest = Period(start, each.window.end)
        back = prorate(each.amount, rest, each.window).copy_negate()
        found.append(Amount(each.name + UNUSED_SUFFIX, rest, back, fee))
    return found


def merged(parts: Sequence[tuple[tuple[str, ...], Amount]]) -> list[Amount]:
    """One amount a fee and window: the fee, less the discounts that go by the same key."""
    found: dict[tuple[tuple[str, ...], Period], Amount] = {}
    for key, part in parts:
        known = found.get((key, part.window))
        if known is None:
            found[key, part.window] = part
            continue
        with exact():
            amount = known.amount + part.amount
        found[key, part.window] = replace(known, amount=amount, fee=_less(known.fee, part.fee))
    return list(found.values())


def _less(fee: ChangedFee | None, discount: ChangedFee | None) -> ChangedFee | None:
    if fee is None or discount is None:
        return fee
    return replace(fee, discounts=fee.discounts + discount.discounts)


def change_document(fee: ChangedFee) -> dict[str, Any]:
    """What a line keeps of the fee."""
    kept: dict[str, Any] = {
        "price_id": fee.price_id,
        "plan_version_id": fee.plan_version_id,
        "cycle": [fee.cycle.start.isoformat(), fee.cycle.end.isoformat()],
    }
    if fee.billed is not None:
        return kept | {"billed": text(fee.billed), "invoice_id": fee.invoice_id}
    if fee.is_owed_whole:
        kept["is_owed_whole"] = True
    return kept | {
        "model": fee.model,
        "properties": dict(fee.properties),
        "quantity": text(fee.quantity),
        "discounts": [[name, str(part)] for name, part in fee.discounts],
    }


def kept_change(document: Mapping[str, Any]) -> ChangedFee:
    """The fee that a line kept."""
    start, end = (datetime.fromisoformat(each) for each in document["cycle"])
    fee = ChangedFee(
        price_id=document["price_id"],
        plan_version_id=document["plan_version_id"],
        cycle=Period(start, end),
    )
    if "billed" in document:
        billed = Decimal(document["billed"])
        return replace(fee, billed=billed, invoice_id=document["invoice_id"])
    return replace(
        fee,
        model=document["model"],
        properties=document["properties"],
        quantity=Decimal(document["quantity"]),
        discounts=tuple((name, Fraction(part)) for name, part in document["discounts"]),
        is_owed_whole=document.get("is_owed_whole", False),
    )
