"""What is owed for the rest of a credit, by hand, and whether it keeps its worth elsewhere."""

from dataclasses import replace
from decimal import Decimal

import pytest

from billing.customer_credits import CreditNotMovable, Terms, check_movable, owed_back
from billing.invoicing import Totals
from billing.taxes import TaxBehavior


@pytest.mark.parametrize(
    ("rest", "rate", "behavior", "currency", "due"),
    [
        ("71", "0.1", "exclusive", "USD", ("71.00", "7.10", "78.10")),
        ("119", "0.19", "inclusive", "EUR", ("100.00", "19.00", "119.00")),
        ("0.333", "0", "exclusive", "USD", ("0.33", "0.00", "0.33")),
        ("100.5", "0.1", "exclusive", "JPY", ("101", "10", "111")),
        ("0.004", "0.1", "exclusive", "USD", ("0.00", "0.00", "0.00")),
    ],
)
def test_a_rest_is_rounded_as_an_invoice_would(
    rest: str, rate: str, behavior: TaxBehavior, currency: str, due: tuple[str, str, str]
) -> None:
    owed = owed_back(Decimal(rest), Decimal(rate), behavior, currency)
    assert owed == Totals(*(Decimal(each) for each in due))


TERMS = Terms(
    customer_id="cus_1", currency="USD", tax_behavior="exclusive", tax_rate=Decimal("0.1")
)


def test_a_credit_moves_between_the_same_terms() -> None:
    check_movable(TERMS, replace(TERMS, tax_rate=Decimal("0.10")))


@pytest.mark.parametrize(
    "other",
    [
        replace(TERMS, customer_id="cus_2"),
        replace(TERMS, currency="EUR"),
        replace(TERMS, tax_behavior="inclusive"),
        replace(TERMS, tax_rate=Decimal(0)),
    ],
)
def test_a_credit_does_not_move_where_it_would_be_worth_something_else(other: Terms) -> None:
    with pytest.raises(CreditNotMovable):
        check_movable(TERMS, other)
