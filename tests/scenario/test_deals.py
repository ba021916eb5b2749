"""Tales of deals: discounts and bounds beside the catalogue, over months, through the client."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"


def _agree(
    shop: Shop, contract: Contract, kind: str, value: str, since: datetime, **members: Any
) -> str:
    names = {
        "percentageDiscount": "percentage_discount",
        "usageDiscount": "usage_discount",
        "minimumQuantity": "minimum_quantity",
        "maximumQuantity": "maximum_quantity",
    }
    request: Any = {"type": kind, names[kind]: value, "effective_from": since, **members}
    return shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    ).id


def discount_for_the_first_quarter(shop: Shop) -> Telling:
    """100.00 in arrears, 20 % off until 15 March, 19 % tax on top.

    January 80.00 + 15.20; of March's 31 days 14 are discounted: 100 - 20 x 14 / 31 = 90.9677…,
    so 90.97, tax 17.2838…, so 17.28; April is full: 100.00 + 19.00.
    """
    plan = shop.plan(shop.fee("Rent", "100.00", term="in_arrears"), default_tax_rate=19)
    contract = shop.subscribe(plan)
    _agree(
        shop, contract, "percentageDiscount", "0.2", OPENED,
        effective_to=at("2026-03-15"), description="Launch",
    )  # fmt: skip
    yield at("2026-05-01")
    assert shop.bills(contract)[:4] == [
        "ISSUED 80.00 + 15.20 = 95.20",
        "ISSUED 80.00 + 15.20 = 95.20",
        "ISSUED 90.97 + 17.28 = 108.25",
        "ISSUED 100.00 + 19.00 = 119.00",
    ]
    assert shop.charges(contract, 0) == {"Rent": Decimal(100), "Launch": Decimal(-20)}


def two_discounts_compound(shop: Shop) -> Telling:
    """Twice 35 % of 100.00 is 57.75 off, not 70.00: 42.25."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "100.00", term="in_arrears")))
    for name in ("Deal", "Loyalty"):
        _agree(shop, contract, "percentageDiscount", "0.35", OPENED, description=name)
    yield at("2026-02-01")
    assert shop.bills(contract)[0] == "ISSUED 42.25 + 0.00 = 42.25"
    assert shop.charges(contract, 0) == {
        "Rent": Decimal(100), "Deal": Decimal(-35), "Loyalty": Decimal("-22.75"),
    }  # fmt: skip


def discount_reaches_what_is_paid_in_advance(shop: Shop) -> Telling:
    """30.00 in advance was paid for January before there was a deal; February is at half."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00")))
    _agree(shop, contract, "percentageDiscount", "0.5", OPENED, effective_to=at("2026-03-01"))
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=shop.now, to=at("2026-03-02")
    )
    assert [each.grand_total for each in planned.data] == ["15.00", "30.00"]
    yield at("2026-03-01")
    assert shop.bills(contract)[:3] == [
        "PAID 30.00 + 0.00 = 30.00",
        "ISSUED 15.00 + 0.00 = 15.00",
        "ISSUED 30.00 + 0.00 = 30.00",
    ]


def waived_units_in_one_month_only(shop: Shop) -> Telling:
    """1000 units a month; up to 999 they are 2.00 each, beyond 1.00 each for all.

    300 are waived in February: 700 x 2.00 = 1400.00, more than the 1000.00 of the other months.
    """
    calls = shop.tiered("Calls", "volume", ("999", "2.00"), (None, "1.00"))
    contract = shop.subscribe(shop.plan(calls))
    _agree(
        shop, contract, "usageDiscount", "300", at("2026-02-01"),
        effective_to=at("2026-03-01"), target_price_ids=[calls.price_id],
    )  # fmt: skip
    for month in ("01", "02", "03"):
        shop.use(contract, calls, 1000, f"2026-{month}-10")
    yield at("2026-04-01")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)[:3]] == [
        "1000.00", "1400.00", "1000.00",
    ]  # fmt: skip


def contracted_seats(shop: Shop) -> Telling:
    """At least 4 seats at 10.00 and at most 50 units of 0.50, whatever is used."""
    seats = shop.fee("Seats", "10.00", term="in_arrears", quantity=2)
    calls = shop.meter("Calls", "0.50")
    contract = shop.subscribe(shop.plan(seats, calls))
    _agree(shop, contract, "minimumQuantity", "4", OPENED, target_price_ids=[seats])
    _agree(shop, contract, "maximumQuantity", "50", OPENED, target_price_ids=[calls.price_id])
    shop.use(contract, calls, 80, "2026-01-10")
    shop.use(contract, calls, 20, "2026-02-10")
    yield at("2026-03-01")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)[:2]] == ["65.00", "50.00"]


def a_deal_is_ended_where_it_was_billed_last(shop: Shop) -> Telling:
    """Half of 100.00 in January; taken back on 10 February, so that February is full."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "100.00", term="in_arrears")))
    deal = _agree(shop, contract, "percentageDiscount", "0.5", OPENED)
    yield at("2026-02-10")
    ended = shop.client.subscriptions.delete_subscription_adjustment(
        id=contract.id, adjustment_id=deal
    )
    assert ended is not None
    assert ended.effective_to == at("2026-02-01")
    yield at("2026-03-01")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)[:2]] == ["50.00", "100.00"]


def late_usage_keeps_its_deal(shop: Shop) -> Telling:
    """100 units at 1.00, half off, in January: 50.00. 10 more come in February: 5.00 on its bill.

    February itself has no deal: 7 units are 7.00, so 12.00.
    """
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(calls))
    _agree(shop, contract, "percentageDiscount", "0.5", OPENED, effective_to=at("2026-02-01"))
    shop.use(contract, calls, 100, "2026-01-10")
    yield at("2026-02-10")
    shop.use(contract, calls, 10, "2026-01-11")
    shop.use(contract, calls, 7, "2026-02-05")
    yield at("2026-03-01")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)[:2]] == ["50.00", "12.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
