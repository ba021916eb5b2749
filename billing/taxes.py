"""Which tax rate applies and what it makes of an amount; it rounds nothing and files nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, Protocol

from billing.errors import InvalidValue
from billing.money import MONEY_CONTEXT, context_of, exact

TaxBehavior = Literal["exclusive", "inclusive"]
TaxSource = Literal[
    "exempt_subscription", "customer_metric", "customer_plan", "customer", "plan", "corrected_line"
]
PERCENT_MAX: Final = Decimal(100)
INCLUSIVE_DIGITS: Final = 34
_CONTEXT: Final = context_of(INCLUSIVE_DIGITS)


@dataclass(frozen=True, slots=True)
class TaxedAmount:
    """An unrounded amount as price and tax, which sum to the total exactly."""

    price: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class FoundRate:
    """A rate as a fraction, and where it was found."""

    rate: Decimal
    source: TaxSource


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxCase:
    """What a rate is asked for: whose charge, of what, and the rates that they set (percent)."""

    tax_exempt: bool
    metric_id: str | None
    plan_id: str | None
    customer_rates: Mapping[str, Decimal]
    plan_default: Decimal


class TaxCalculator(Protocol):
    """Says which rate applies; it answers at once, so a provider's rates are fetched before."""

    def rate_of(self, case: TaxCase) -> FoundRate:
        """The rate of a case, and where it was found."""


class RateTable:
    """The built-in calculator: the rates that the merchant has set, and no others."""

    def rate_of(self, case: TaxCase) -> FoundRate:
        """The customer's rates come first, by metric, by plan, then "default"; then the plan's own.

        A tax-exempt subscription beats them all.
        """
        if case.tax_exempt:
            return FoundRate(Decimal(0), "exempt_subscription")
        names: tuple[tuple[str | None, TaxSource], ...] = (
            (case.metric_id, "customer_metric"),
            (case.plan_id, "customer_plan"),
            ("default", "customer"),
        )
        percent, source = next(
            (
                (case.customer_rates[name], source)
                for name, source in names
                if name is not None and name in case.customer_rates
            ),
            (case.plan_default, "plan"),
        )
        if not 0 <= percent <= PERCENT_MAX:
            raise InvalidValue("A tax rate lies between 0 and 100 percent", field="taxRates")
        with exact():
            return FoundRate(percent.scaleb(-2), source)


BUILT_IN_RATES: Final[TaxCalculator] = RateTable()


def apply_tax(
    amount: Decimal, rate: Decimal, behavior: TaxBehavior, *, in_scope: bool = True
) -> TaxedAmount:
    """Adds the tax (exclusive) or finds it inside the amount (inclusive); none out of scope.

    Inclusive keeps the catalogue's amount as the total; the price is that divided by 1 + rate to
    34 digits, and the tax is what remains, so that the two always sum to what was promised.
    """
    applied = rate if in_scope else Decimal(0)
    if behavior == "exclusive":
        tax = MONEY_CONTEXT.multiply(amount, applied)
        return TaxedAmount(price=amount, tax=tax, total=MONEY_CONTEXT.add(amount, tax))
    with exact():
        price = _CONTEXT.divide(amount, 1 + applied) if applied else amount
        return TaxedAmount(price=price, tax=amount - price, total=amount)
