"""Tales of two things that cross: an end in grace, a payment after the boundary, dunning and more.

April ends on 1 May; grace lasts until 2 May.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-04-01")
BOUNDARY = at("2025-05-01")
IN_GRACE = at("2025-05-01T12:00")
ISSUED = at("2025-05-02")
PAYS = "4242424242424242"
DECLINES = "4000000000000341"


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [f"{each.status} {each.grand_total}" for each in shop.invoices(contract)]


def ended_while_the_month_before_is_in_grace(shop: Shop) -> Telling:
    """Ended on 1 May, 12:00, half a day into May: 31.00 x 0.5 / 31 = 0.50 of May's rent.

    April: 30 units and 31.00: 61.00, issued on 2 May, 00:00. 4 late units of April come after
    that and before the last invoice, which is issued at 12:00: 0.50 + 4.00 = 4.50.
    """
    units = shop.meter("Units", "1")
    plan = shop.plan(shop.fee("Rent", "31.00", term="in_arrears"), units)
    contract = shop.subscribe(plan)
    shop.use(contract, units, 30, "2025-04-10")
    yield IN_GRACE
    shop.terminate(contract)
    yield at("2025-05-02T06:00")
    shop.use(contract, units, 4, "2025-04-11")
    yield at("2025-05-03")
    assert _totals(shop, contract) == ["ISSUED 61.00", "ISSUED 4.50"]


def late_usage_when_nothing_comes_after(shop: Shop) -> Telling:
    """Ended on 11 April, issued on 12 April: 5.00. What comes on 13 April has no invoice to go to.

    It is shown as owed and not billed.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 5, "2025-04-05")
    yield at("2025-04-11")
    shop.terminate(contract)
    yield at("2025-04-13")
    shop.use(contract, units, 2, "2025-04-06")
    yield ISSUED
    assert _totals(shop, contract) == ["ISSUED 5.00"]
    late = shop.http.get(f"/v0/subscriptions/{contract.id}/lateUsage").json()["data"]
    assert [Decimal(each["totalPrice"]) for each in late] == [2]


def paid_after_the_first_month_is_over(shop: Shop) -> Telling:
    """The checkout lives 40 days and is paid on 5 May: 31.00.

    April's usage and May's rent follow, their grace is over: 8 + 31 = 39.00.
    """
    units = shop.meter("Units", "1")
    plan = shop.plan(shop.fee("Rent", "31.00"), units)
    contract = shop.subscribe(plan, pays=False, session_expiry_minutes=40 * 24 * 60)
    shop.use(contract, units, 8, "2025-04-10")
    yield at("2025-05-05")
    assert _totals(shop, contract) == ["ISSUED 31.00"]
    shop.transfer(shop.invoices(contract)[0].id)
    shop.await_status(contract, "active")
    yield at("2025-05-06")
    assert _totals(shop, contract)[:2] == ["PAID 31.00", "ISSUED 39.00"]
    assert shop.windows(contract, 1)["Rent"] == (BOUNDARY, at("2025-06-01"))


def two_months_are_collected_side_by_side(shop: Shop) -> Telling:
    """April's 5.00 and May's 7.00 both decline; in June a better card pays both, each once."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units), auto_charge=True)
    shop.save_card(contract.customer_id, DECLINES)
    shop.use(contract, units, 5, "2025-04-10")
    shop.use(contract, units, 7, "2025-05-10")
    yield at("2025-06-03")
    assert _totals(shop, contract)[:2] == ["PAYMENT_FAILED 5.00", "ISSUED 7.00"]
    shop.save_card(contract.customer_id, PAYS)
    assert shop.await_paid(contract, 1).paid_amount == "7.00"
    first = shop.invoices(contract)[0]
    assert first.status == "PAYMENT_FAILED"
    retried = shop.client.invoices_v2.retry_invoice_payment(id=first.id)
    assert retried.success
    assert _totals(shop, contract)[:2] == ["PAID 5.00", "PAID 7.00"]


def a_discount_and_late_usage_and_a_credit(shop: Shop) -> Telling:
    """100 units, 50 % off in April: 50.00. 10 late ones: 5.00. May: 40 units without a discount.

    A credit of 30.00: 40 + 5 - 30 = 15.00, with 10 % tax 16.50.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units, default_tax_rate=10))
    deal: Any = {
        "type": "percentageDiscount",
        "percentage_discount": "0.5",
        "effective_from": OPENED,
        "effective_to": BOUNDARY,
    }
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=deal
    )
    shop.use(contract, units, 100, "2025-04-10")
    yield ISSUED
    shop.use(contract, units, 10, "2025-04-11")
    shop.use(contract, units, 40, "2025-05-10")
    shop.client.invoices_v2.create_line_item(
        display_name="Goodwill",
        currency="USD",
        quantity=1,
        unit_price=-30,
        subscription_id=contract.id,
    )
    yield at("2025-06-03")
    assert shop.bills(contract)[:2] == [
        "ISSUED 50.00 + 5.00 = 55.00",
        "ISSUED 15.00 + 1.50 = 16.50",
    ]


def the_last_second_of_grace(shop: Shop) -> Telling:
    """At 23:59:59 of 1 May April still counts: 6.00. At 2 May it is issued; 3 more come later."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    yield ISSUED - timedelta(seconds=1)
    assert _totals(shop, contract)[0] == "CLOSING 0.00"
    shop.use(contract, units, 6, "2025-04-30T23:59:59")
    yield ISSUED
    assert _totals(shop, contract)[0] == "ISSUED 6.00"
    shop.use(contract, units, 3, "2025-04-30T23:59:59")
    assert _totals(shop, contract) == ["ISSUED 6.00", "ACTIVE 3.00"]


def a_price_change_in_grace(shop: Shop) -> Telling:
    """Version 2 comes on 1 May, 12:00, after May has begun: April and May at 1.00, June at 2.00.

    10 units a month: 10.00, 10.00, 20.00.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan)
    for month in ("04", "05", "06"):
        shop.use(contract, old, 10, f"2025-{month}-10")
    yield IN_GRACE
    shop.mint(plan, units=new)
    yield at("2025-07-02")
    assert _totals(shop, contract)[:3] == ["ISSUED 10.00", "ISSUED 10.00", "ISSUED 20.00"]


def usage_for_the_subscription_itself(shop: Shop) -> Telling:
    """An event may name the subscription instead of its customer: 3 + 4 = 7.00, each once."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.report(contract.id, units, 3, at("2025-04-10"))
    shop.report(contract.customer_id, units, 4, at("2025-04-10"))
    yield ISSUED
    assert _totals(shop, contract)[0] == "ISSUED 7.00"


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
