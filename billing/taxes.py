"""Which tax rate applies and what it makes of an amount; it rounds nothing and files nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from billing.errors import InvalidValue
from billing.money import context_of, exact

TaxBehavior = Literal["exclusive", "inclusive"]
PERCENT_MAX: Final = Decimal(100)
_CONTEXT: Final = context_of(34)


@dataclass(frozen=True, slots=True)
class TaxedAmount:
    """An unrounded amount as price and tax, which sum to the total exactly."""

    price: Decimal
    tax: Decimal
    total: Decimal


def tax_rate(
    *,
    tax_exempt: bool,
    metric_id: str | None,
    plan_id: str | None,
    customer_rates: Mapping[str, Decimal],
    plan_default: Decimal,
) -> Decimal:
    """The rate as a fraction: 0.1 for 10 %.

    The customer's rates come first, by metric, by plan, then "default"; then the plan's own. A
    tax-exempt subscription beats them all.
    """
    if tax_exempt:
        return Decimal(0)
    names = (metric_id, plan_id, "default")
    rates = (customer_rates[name] for name in names if name is not None and name in customer_rates)
    percent = next(rates, plan_default)
    if not 0 <= percent <= PERCENT_MAX:
        raise InvalidValue("A tax rate lies between 0 and 100 percent", field="taxRates")
    with exact():
        return percent.scaleb(-2)


def apply_tax(
    amount: Decimal, rate: Decimal, behavior: TaxBehavior, *, in_scope: bool = True
) -> TaxedAmount:
    """Adds the tax (exclusive) or finds it inside the amount (inclusive); none out of scope.

    Inclusive keeps the catalogue's amount as the total; the price is that divided by 1 + rate to
    34 digits, and the tax is what remains, so that the two always sum to what was promised.
    """
    applied = rate if in_scope else Decimal(0)
    with exact():
        if behavior == "exclusive":
            tax = amount * applied
            return TaxedAmount(price=amount, tax=tax, total=amount + tax)
        price = _CONTEXT.divide(amount, 1 + applied) if applied else amount
        return TaxedAmount(price=price, tax=amount - price, total=amount)
