"""Tales of corrections by every way of reading and billing: what was billed, and what it should be.

May is issued on 1 June without grace; what comes after that is a line of June's invoice.
"""

from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
GRACE = "PT0S"
BOUNDARY = at("2025-06-01")
SECOND = at("2025-07-01")
IN_MAY = "2025-05-10"


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.grand_total for each in shop.invoices(contract) if each.status != "ACTIVE"]


def _agree(shop: Shop, contract: Contract, **terms: Any) -> None:
    request: Any = {"effective_from": OPENED, "effective_to": BOUNDARY, **terms}
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    )


def a_late_value_of_those_that_are_counted_once(shop: Shop) -> Telling:
    """UNIQUE_COUNT of 7, 7, 8 is 2: 2.00. A late 8 is known, a late 9 is new: 1.00 more."""
    seats = shop.meter("Seats", "1", aggregation="UNIQUE_COUNT")
    contract = shop.subscribe(shop.plan(seats))
    for amount in (7, 7, 8):
        shop.use(contract, seats, amount, IN_MAY)
    yield BOUNDARY
    shop.use(contract, seats, 8, IN_MAY)
    shop.use(contract, seats, 9, IN_MAY)
    yield SECOND
    assert _totals(shop, contract) == ["2.00", "1.00"]


def a_late_value_in_an_average(shop: Shop) -> Telling:
    """AVG of 10 and 20 is 15: 15.00. A late 60 makes it 30: 15.00 more."""
    load = shop.meter("Load", "1", aggregation="AVG")
    contract = shop.subscribe(shop.plan(load))
    shop.use(contract, load, 10, IN_MAY)
    shop.use(contract, load, 20, IN_MAY)
    yield BOUNDARY
    shop.use(contract, load, 60, IN_MAY)
    yield SECOND
    assert _totals(shop, contract) == ["15.00", "15.00"]


def a_late_value_that_is_not_the_latest(shop: Shop) -> Telling:
    """LATEST is 5 of 20 May: 5.00. 9 of 10 May changes nothing; 7 of 30 May owes 2.00 more."""
    early = shop.meter("Early", "1", aggregation="LATEST")
    newer = shop.meter("Newer", "1", aggregation="LATEST")
    contract = shop.subscribe(shop.plan(early, newer))
    shop.use(contract, early, 5, "2025-05-20")
    shop.use(contract, newer, 5, "2025-05-20")
    yield BOUNDARY
    shop.use(contract, early, 9, "2025-05-10")
    shop.use(contract, newer, 7, "2025-05-30")
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "2.00"]


def a_least_value_that_comes_late(shop: Shop) -> Telling:
    """MIN of 8 and 6 is 6: 6.00. A late 2 gives 4.00 back; June's least is 9: 9 - 4 = 5.00."""
    level = shop.meter("Level", "1", aggregation="MIN")
    contract = shop.subscribe(shop.plan(level))
    shop.use(contract, level, 8, IN_MAY)
    shop.use(contract, level, 6, IN_MAY)
    yield BOUNDARY
    shop.use(contract, level, 2, IN_MAY)
    shop.use(contract, level, 9, "2025-06-10")
    yield SECOND
    assert _totals(shop, contract) == ["6.00", "5.00"]


def late_usage_with_tax_inside(shop: Shop) -> Telling:
    """100 units at 1.19 with 19 % inside: 100.00 + 19.00. 50 late ones: 50.00 + 9.50."""
    units = shop.meter("Units", "1.19")
    plan = shop.plan(units, default_tax_rate=19, tax_behavior="inclusive")
    contract = shop.subscribe(plan)
    shop.use(contract, units, 100, IN_MAY)
    yield BOUNDARY
    shop.use(contract, units, 50, IN_MAY)
    yield SECOND
    assert shop.bills(contract)[:2] == [
        "ISSUED 100.00 + 19.00 = 119.00",
        "ISSUED 50.00 + 9.50 = 59.50",
    ]


def late_usage_up_to_a_maximum(shop: Shop) -> Telling:
    """At most 50 units of 0.50 in May: 40 are 20.00. 30 late ones make 70, billed 50: 5.00 more."""
    units = shop.meter("Units", "0.50")
    contract = shop.subscribe(shop.plan(units))
    _agree(
        shop, contract, type="maximumQuantity", maximum_quantity="50",
        target_price_ids=[units.price_id],
    )  # fmt: skip
    shop.use(contract, units, 40, IN_MAY)
    yield BOUNDARY
    shop.use(contract, units, 30, IN_MAY)
    yield SECOND
    assert _totals(shop, contract) == ["20.00", "5.00"]


def late_usage_after_a_waiver(shop: Shop) -> Telling:
    """10 units of May are waived: 5 used, 0.00. 12 late ones make 17, billed 7: 7.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    _agree(
        shop, contract, type="usageDiscount", usage_discount="10",
        target_price_ids=[units.price_id],
    )  # fmt: skip
    shop.use(contract, units, 5, IN_MAY)
    yield BOUNDARY
    shop.use(contract, units, 12, IN_MAY)
    yield SECOND
    assert _totals(shop, contract) == ["0.00", "7.00"]


def late_usage_within_a_minimum(shop: Shop) -> Telling:
    """At least 20 units are owed: 5 used, 20.00. 10 late ones make 15: nothing more is owed."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    _agree(
        shop, contract, type="minimumQuantity", minimum_quantity="20",
        target_price_ids=[units.price_id],
    )  # fmt: skip
    shop.use(contract, units, 5, IN_MAY)
    yield BOUNDARY
    shop.use(contract, units, 10, IN_MAY)
    yield SECOND
    assert _totals(shop, contract) == ["20.00", "0.00"]


def voided_under_a_discount(shop: Shop) -> Telling:
    """100 units, 25 % off: 75.00. 40 are voided: 60 x 0.75 = 45.00, so 30.00 are given back.

    June has 50 units without a discount: 50 - 30 = 20.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    _agree(shop, contract, type="percentageDiscount", percentage_discount="0.25")
    shop.use(contract, units, 60, IN_MAY)
    wrong = shop.use(contract, units, 40, IN_MAY)
    yield BOUNDARY
    shop.void(wrong)
    shop.use(contract, units, 50, "2025-06-10")
    yield SECOND
    assert _totals(shop, contract) == ["75.00", "20.00"]


def late_usage_of_months_that_were_billed_together(shop: Shop) -> Telling:
    """From 1 March, `per_period`: March 8 and April 3 units on one invoice, 11.00 at once.

    The first 10 of a month at 1.00, then 0.50. 6 late units of March make 14: 12.00, 4.00 more;
    2 of April 2.00 more. May has 5: 5 + 4 + 2 = 11.00.
    """
    units = shop.tiered("Units", "graduated", ("10", "1"), (None, "0.5"))
    customer = shop.customer()
    shop.report(customer, units, 8, at("2025-03-10"))
    shop.report(customer, units, 3, at("2025-04-10"))
    contract = shop.subscribe(
        shop.plan(units), at("2025-03-01"), customer_id=customer,
        elapsed_period_billing="per_period",
    )  # fmt: skip
    assert _totals(shop, contract) == ["11.00"]
    shop.use(contract, units, 6, "2025-03-11")
    shop.use(contract, units, 2, "2025-04-11")
    shop.use(contract, units, 5, IN_MAY)
    yield BOUNDARY
    assert _totals(shop, contract) == ["11.00", "11.00"]
    late = [Decimal(line.total_price) for line in shop.lines(contract, 1)]
    assert sorted(late) == [2, 4, 5]


def late_usage_after_an_immediate_change(shop: Shop) -> Telling:
    """May was billed at version 2 as a whole, 2.00 a unit: 4 late units are 8.00."""
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    transition = {"effective_date": "immediate", "proration": "none"}
    plan = shop.plan(keyed={"units": old}, version_transition=transition)
    contract = shop.subscribe(plan)
    shop.use(contract, old, 10, IN_MAY)
    shop.mint(plan, units=new)
    yield BOUNDARY
    shop.use(contract, old, 4, IN_MAY)
    yield SECOND
    assert _totals(shop, contract) == ["20.00", "8.00"]


def dated_back_over_a_month_that_was_billed(shop: Shop) -> Telling:
    """On 20 June ended as of 11 May: May stays as it was billed, 31.00, and June owes nothing."""
    plan = shop.plan(shop.fee("Rent", "31.00", term="in_arrears"))
    contract = shop.subscribe(plan)
    yield at("2025-06-20")
    shop.client.subscriptions.update_subscription(
        id=contract.id, status="terminated", terminated_at=at("2025-05-11")
    )
    yield SECOND
    assert _totals(shop, contract) == ["31.00", "0.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
