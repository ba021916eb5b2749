"""What a subscription still owes its customer when nothing of it will be billed; it books nothing.

A credit is cut to what an invoice can bear and its rest waits for the next one. Behind the last
invoice none comes, so the rest becomes a credit of the customer: paid out, moved to another of his
subscriptions, or waived by people.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from billing.errors import Conflict
from billing.invoicing import Totals, totals
from billing.taxes import TaxBehavior, apply_tax

Status = Literal["standing", "paid_out", "moved", "waived"]


class CreditSettled(Conflict):
    """The credit was paid out, moved or waived already, in another way."""

    code = "CREDIT_SETTLED"


class CreditNotMovable(Conflict):
    """The subscription could not give exactly this credit back."""

    code = "CREDIT_NOT_MOVABLE"


@dataclass(frozen=True, slots=True)
class _Rest:
    total_price: Decimal
    total_tax: Decimal

    @property
    def total_amount(self) -> Decimal:
        return self.total_price + self.total_tax


def owed_back(rest: Decimal, tax_rate: Decimal, behavior: TaxBehavior, currency: str) -> Totals:
    """What is owed for a rest above zero, as an invoice would have rounded it.

    The rest is a price as the plan states it: with its tax inside where that is inclusive.
    """
    taxed = apply_tax(rest, tax_rate, behavior)
    return totals([_Rest(taxed.price, taxed.tax)], currency, behavior)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By which terms a credit was given, or a subscription would give it back."""

    customer_id: str
    currency: str
    tax_behavior: str
    tax_rate: Decimal


def check_movable(credit: Terms, target: Terms) -> None:
    """A credit keeps its worth: the same customer, currency and tax."""
    if credit != target:
        raise CreditNotMovable("Customer, currency, tax behavior and tax rate must be the same")
