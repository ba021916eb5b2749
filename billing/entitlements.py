"""Holds on a wallet: what one costs and how it ends; it moves no money (the ledger does)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from billing import pricing
from billing.errors import Conflict, InvalidValue
from billing.money import NANO_DIGITS, exact, round_half_up
from billing.pricing import dynamic
from billing.taxes import TaxBehavior, TaxedAmount, apply_tax

HoldState = Literal["reserved", "consumed", "released", "expired"]
RESOLUTIONS: Final[frozenset[HoldState]] = frozenset({"consumed", "released", "expired"})


@dataclass(frozen=True, slots=True)
class PricedQuantity:
    """One metric's part of a reservation; `price` is what a dynamic price brings along."""

    model: str
    properties: Mapping[str, Any]
    quantity: Decimal
    tax_rate: Decimal
    price: Decimal | None = None
    in_scope: bool = True


def reservation_cost(items: Iterable[PricedQuantity], behavior: TaxBehavior) -> TaxedAmount:
    """What the hold takes, tax included: price and tax each rounded to a billionth, then added.

    A billionth, not a cent: a wallet of the legacy generation counts in nano-units.
    """
    price, tax = Decimal(0), Decimal(0)
    with exact():
        for item in items:
            taxed = apply_tax(_amount(item), item.tax_rate, behavior, in_scope=item.in_scope)
            price += taxed.price
            tax += taxed.tax
        price, tax = round_half_up(price, NANO_DIGITS), round_half_up(tax, NANO_DIGITS)
        return TaxedAmount(price=price, tax=tax, total=price + tax)


def remaining(held: Decimal, consumed: Decimal) -> Decimal:
    """What of the hold is still there to be consumed or released."""
    with exact():
        left = held - consumed
    if left < 0:
        raise InvalidValue("More was consumed than was held", field="quantity")
    return left


def is_usable(state: HoldState, expires_at: datetime, now: datetime) -> bool:
    """Whether the hold still counts: past its expiry it does not, whoever has noticed yet."""
    return state == "reserved" and now < expires_at


def check_resolution(old: HoldState, new: HoldState) -> None:
    """Refuses to end a hold twice, and to end it in no end."""
    if old != "reserved":
        raise Conflict(f"The reservation is {old} already", details={"from": old, "to": new})
    if new not in RESOLUTIONS:
        raise Conflict("A reservation ends consumed, released or expired", details={"to": new})


def _amount(item: PricedQuantity) -> Decimal:
    if item.model == "dynamic" and item.price is not None:
        return dynamic.rate_at(item.properties, item.price, item.quantity).amount
    if item.price is not None:
        raise InvalidValue("Only a dynamic price takes a price per usage", field="price")
    return pricing.rate(item.model, item.properties, item.quantity).amount
