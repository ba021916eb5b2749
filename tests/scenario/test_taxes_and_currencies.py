"""Tales of tax and currency: rates and who sets them, tax inside a price, yen and dinars.

Most of it shows on a first invoice, which stands as soon as its subscription does.
"""

from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-01-15")
GRACE = "PT0S"
BOUNDARY = at("2025-02-15")


def _first_bill(shop: Shop, *amounts: str, **terms: Any) -> str:
    """The first invoice of fees in advance."""
    fees = [shop.fee(f"Fee {number}", amount) for number, amount in enumerate(amounts)]
    return shop.bills(shop.subscribe(shop.plan(*fees, **terms), pays=False))[0]


def _rates(shop: Shop, contract: Contract, number: int) -> dict[str, Decimal]:
    lines = shop.lines(contract, number)
    return {each.invoice_display_name: Decimal(str(each.tax_rate)) for each in lines}


def tax_on_top_is_rounded_once(shop: Shop) -> Telling:
    """0.333 + 0.333 + 0.333 = 0.999, owed as 1.00; 10 % of 0.999 is 0.0999, owed as 0.10.

    Line by line it would be 0.33 x 3 + 0.03 x 3 = 1.08, and not 1.10.
    """
    bill = _first_bill(shop, "0.333", "0.333", "0.333", default_tax_rate=10)
    assert bill == "ISSUED 1.00 + 0.10 = 1.10"
    yield OPENED


def tax_of_the_unrounded_price(shop: Shop) -> Telling:
    """1.005 is owed as 1.01, its 50 % tax as 0.50 (0.5025), not as 0.51 (of 1.01: 0.505)."""
    assert _first_bill(shop, "1.005", default_tax_rate=50) == "ISSUED 1.01 + 0.50 = 1.51"
    yield OPENED


def a_rate_with_three_decimals(shop: Shop) -> Telling:
    """49.00 x 0.08875 = 4.34875, owed as 4.35."""
    assert _first_bill(shop, "49.00", default_tax_rate=8.875) == "ISSUED 49.00 + 4.35 = 53.35"
    yield OPENED


def tax_inside_an_even_price(shop: Shop) -> Telling:
    """119.00 with 19 % inside: 119 / 1.19 = 100.00 and 19.00."""
    bill = _first_bill(shop, "119.00", default_tax_rate=19, tax_behavior="inclusive")
    assert bill == "ISSUED 100.00 + 19.00 = 119.00"
    yield OPENED


def tax_inside_an_odd_price(shop: Shop) -> Telling:
    """9.99 with 10 % inside: 9.0818… and 0.9081…, 9.08 + 0.91 = 9.99 as promised."""
    bill = _first_bill(shop, "9.99", default_tax_rate=10, tax_behavior="inclusive")
    assert bill == "ISSUED 9.08 + 0.91 = 9.99"
    yield OPENED


def tax_inside_where_both_are_half_a_cent(shop: Shop) -> Telling:
    """Three times 3.33 with 20 % inside: 2.775 + 0.555 each, 8.325 + 1.665 together.

    Both are ties: the tax goes up to 1.67, the price down to 8.32, and 9.99 stays 9.99.
    """
    terms = {"default_tax_rate": 20, "tax_behavior": "inclusive"}
    assert _first_bill(shop, "3.33", "3.33", "3.33", **terms) == "ISSUED 8.32 + 1.67 = 9.99"
    yield OPENED


def yen_have_no_parts(shop: Shop) -> Telling:
    """999.5 yen are 1000 (half up), 10 % of 999.5 is 99.95, 100: 1100 in all."""
    assert _first_bill(shop, "999.5", currency="JPY", default_tax_rate=10) == (
        "ISSUED 1000 + 100 = 1100"
    )
    yield OPENED


def yen_with_tax_inside(shop: Shop) -> Telling:
    """980 yen with 10 % inside: 890.909… and 89.0909…: 891 + 89 = 980."""
    terms = {"currency": "JPY", "default_tax_rate": 10, "tax_behavior": "inclusive"}
    assert _first_bill(shop, "980", **terms) == "ISSUED 891 + 89 = 980"
    yield OPENED


def dinars_have_thousandths(shop: Shop) -> Telling:
    """12.3455 KWD are 12.346; 5 % of 12.3455 is 0.617275, 0.617: 12.963."""
    assert _first_bill(shop, "12.3455", currency="KWD", default_tax_rate=5) == (
        "ISSUED 12.346 + 0.617 = 12.963"
    )
    yield OPENED


def yen_by_usage(shop: Shop) -> Telling:
    """7 x 0.07 = 0.49 yen: nothing is owed; 8 x 0.07 = 0.56, 1 yen."""
    few, more = shop.meter("Few", "0.07"), shop.meter("More", "0.07")
    contracts = [shop.subscribe(shop.plan(meter, currency="JPY")) for meter in (few, more)]
    shop.use(contracts[0], few, 7)
    shop.use(contracts[1], more, 8)
    yield BOUNDARY
    assert [shop.bills(contract)[0] for contract in contracts] == [
        "PAID 0 + 0 = 0",
        "ISSUED 1 + 0 = 1",
    ]


def the_narrowest_rate_wins(shop: Shop) -> Telling:
    """The plan says 20 %, the customer 9 %, for this plan 7 %, for one metric 5 %.

    100.00 of the metric: 5.00; 100.00 of another: 7.00; a fee of 100.00: 7.00.
    300.00 + 19.00 = 319.00.
    """
    named, other = shop.meter("Named", "1"), shop.meter("Other", "1")
    fee = shop.fee("Fee", "100.00", term="in_arrears")
    plan = shop.plan(named, other, fee, default_tax_rate=20)
    customer = shop.customer(tax_rates={"default": 9, plan: 7, named.metric_id: 5})
    contract = shop.subscribe(plan, customer_id=customer)
    shop.use(contract, named, 100)
    shop.use(contract, other, 100)
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 300.00 + 19.00 = 319.00"
    assert _rates(shop, contract, 0) == {
        "Named": Decimal("0.05"),
        "Other": Decimal("0.07"),
        "Fee": Decimal("0.07"),
    }


def the_customers_own_rate(shop: Shop) -> Telling:
    """The plan says 20 %, the customer 9 %: 100.00 + 9.00. Another customer pays 20.00."""
    plan = shop.plan(shop.fee("Fee", "100.00"), default_tax_rate=20)
    own = shop.subscribe(plan, customer_id=shop.customer(tax_rates={"default": 9}), pays=False)
    plain = shop.subscribe(plan, pays=False)
    assert own.first.estimated_tax_rate == 9
    assert shop.bills(own)[0] == "ISSUED 100.00 + 9.00 = 109.00"
    assert shop.bills(plain)[0] == "ISSUED 100.00 + 20.00 = 120.00"
    yield OPENED


def exempt_beats_every_rate(shop: Shop) -> Telling:
    """An exempt subscription owes no tax, whatever plan and customer say: 100.00."""
    plan = shop.plan(shop.fee("Fee", "100.00"), default_tax_rate=20)
    customer = shop.customer(tax_rates={"default": 9, plan: 7})
    contract = shop.subscribe(plan, customer_id=customer, tax_exempt=True, pays=False)
    assert shop.bills(contract)[0] == "ISSUED 100.00 + 0.00 = 100.00"
    yield OPENED


def exempt_with_tax_inside(shop: Shop) -> Telling:
    """The price is what the catalogue says, also without tax in it: 119.00 + 0.00."""
    plan = shop.plan(shop.fee("Fee", "119.00"), default_tax_rate=19, tax_behavior="inclusive")
    contract = shop.subscribe(plan, tax_exempt=True, pays=False)
    assert shop.bills(contract)[0] == "ISSUED 119.00 + 0.00 = 119.00"
    yield OPENED


def a_rate_of_the_customer_that_changes(shop: Shop) -> Telling:
    """9 % when the month begins, 0 % when it ends: an invoice is taxed when it is drafted."""
    calls = shop.meter("Calls", "1")
    customer = shop.customer(tax_rates={"default": 9})
    contract = shop.subscribe(shop.plan(calls), customer_id=customer)
    shop.use(contract, calls, 50)
    assert shop.bills(contract) == ["ACTIVE 50.00 + 4.50 = 54.50"]
    shop.client.customers.update(id=customer, tax_rates={"default": 0})
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 50.00 + 0.00 = 50.00"


def cashback_carries_no_tax(shop: Shop) -> Telling:
    """10 x 1.00 and 10 % tax, 20 x -0.10 outside its scope: 10.00 + 1.00 - 2.00 = 9.00."""
    calls = shop.meter("Calls", "1")
    scope = {"supplyScope": "OUTSIDE_SCOPE", "outsideScopeLabel": "CASHBACK"}
    back = shop.meter("Cashback", "-0.1", tax=scope)
    contract = shop.subscribe(shop.plan(calls, back, default_tax_rate=10))
    shop.use(contract, calls, 10)
    shop.use(contract, back, 20)
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 8.00 + 1.00 = 9.00"


def cashback_is_cut_to_what_is_owed_with_tax(shop: Shop) -> Telling:
    """10.00 + 1.00 are owed; a cashback of 15.00 is cut to 11.00, and 0.00 is left."""
    calls = shop.meter("Calls", "1")
    scope = {"supplyScope": "OUTSIDE_SCOPE", "outsideScopeLabel": "CASHBACK"}
    back = shop.meter("Cashback", "-1", tax=scope)
    contract = shop.subscribe(shop.plan(calls, back, default_tax_rate=10))
    shop.use(contract, calls, 10)
    shop.use(contract, back, 15)
    yield BOUNDARY
    assert shop.charges(contract, 0) == {"Calls": 10, "Cashback": -11}
    assert shop.invoices(contract)[0].grand_total == "0.00"


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
