"""Tales of published bills: other systems' worked examples of prices, discounts, taxes and changes.

Each tale names its source. Where our rule is another one, it says so and what comes of it.
"""

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-03-01")
GRACE = "PT0S"
APRIL, MAY, JUNE = at("2024-04-01"), at("2024-05-01"), at("2024-06-01")
Readings = Mapping[str, tuple[Meter, Sequence[float | str]]]
Month = Generator[datetime, None, dict[str, Decimal]]


def _month_of(shop: Shop, readings: Readings) -> Month:
    """A month in which each meter reads these values, an hour after each other: the charges."""
    contract = shop.subscribe(shop.plan(*(meter for meter, _ in readings.values())))
    for meter, values in readings.values():
        for hours, value in enumerate(values):
            shop.use(contract, meter, value, at("2024-03-05T10:00") + timedelta(hours=hours))
    yield APRIL
    charges = shop.charges(contract, 0)
    assert Decimal(shop.invoices(contract)[0].subtotal) == round(sum(charges.values()), 2)
    return charges


def _agree(shop: Shop, contract: Contract, kind: str, value: str, **members: Any) -> None:
    names = {"percentageDiscount": "percentage_discount", "minimumQuantity": "minimum_quantity"}
    request: Any = {"type": kind, names[kind]: value, "effective_from": OPENED, **members}
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    )


def _change(shop: Shop, contract: Contract, plan_id: str) -> str:
    """Another plan from now on; answers what the change comes to."""
    answer = shop.http.post(
        f"/internal/v1/subscriptions/{contract.id}/planChange",
        json={"planId": plan_id, "at": "now"},
        headers={"Authorization": f"Bearer {shop._admin_key}"},
    )
    assert answer.is_success, answer.text
    return str(answer.json()["subtotal"])


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def lago_aggregations(shop: Shop) -> Telling:
    """b01/standard of Lago's golden rows, at 1.00 a unit: 3, 60, 30, 20 and 2.

    The latest of 10, 30 and 20 is 20; u1, u2 and u2 are two.
    """
    counted = {way: shop.meter(way, "1", aggregation=way) for way in ("COUNT", "SUM", "MAX")}
    readings: dict[str, tuple[Meter, Sequence[float | str]]] = {
        way: (meter, (10, 20, 30)) for way, meter in counted.items()
    }
    readings["LATEST"] = (shop.meter("LATEST", "1", aggregation="LATEST"), (10, 30, 20))
    unique = shop.meter("UNIQUE_COUNT", "1", aggregation="UNIQUE_COUNT")
    readings["UNIQUE_COUNT"] = (unique, ("u1", "u2", "u2"))
    charges = yield from _month_of(shop, readings)
    assert charges == {"COUNT": 3, "SUM": 60, "MAX": 30, "LATEST": 20, "UNIQUE_COUNT": 2}


def lago_models(shop: Shop) -> Telling:
    """b01 of Lago's golden rows: 10 + 20 + 30 units, 15 by volume, and none at all.

    Graduated 100 + 10 x 2 + 50 + 50 x 1 = 220, of nothing its first flat 100; 3 started packages
    of 25 at 10.00 are 30.00; 10 % are 6.00, and Lago's 1.00 an event is a meter of its own here.
    """
    bands = (("10", "2", "100"), (None, "1", "50"))
    share = {"percentage": "0.1", "minCharge": "0", "maxCharge": "1000000"}
    package = {"packageSize": "25", "unitPrice": "10"}
    readings: Readings = {
        "volume": (shop.tiered("volume", "volume", ("10", "10"), (None, "20")), (15,)),
        "graduated": (shop.tiered("graduated", "graduated", *bands), (10, 20, 30)),
        "unused": (shop.tiered("unused", "graduated", *bands), ()),
        "package": (shop.meter("package", model="package", properties=package), (10, 20, 30)),
        "share": (shop.meter("share", model="percentage", properties=share), (10, 20, 30)),
        "events": (shop.meter("events", "1", aggregation="COUNT"), (10, 20, 30)),
    }
    charges = yield from _month_of(shop, readings)
    assert charges == {
        "volume": 300, "graduated": 220, "unused": 100, "package": 30, "share": 6, "events": 3,
    }  # fmt: skip


def worked_tiers(shop: Shop) -> Telling:
    """Zuora (rating by billing period; tiers; overage), Orb, Autumn, Stripe and OpenMeter.

    Zuora: 20 + 90 + 50 minutes at 9.00 are 1440.00, 15 in tiers of ten 35.00, 130 with 100 free
    60.00. Orb: 150 000 calls are 107.00, and so are Autumn's 15 000 requests. Stripe: 6 fonts
    39.00. OpenMeter: 1 500 001 tokens are two started millions at 10.00.
    """
    orb = (("10000", "0.001", "0"), ("100000", "0.0008", "0"), (None, "0.0005", "0"))
    autumn = (("1000", "0.01", "0"), ("10000", "0.008", "0"), (None, "0.005", "0"))
    tens = (("10", "2", "0"), ("20", "3", "0"), (None, "5", "0"))
    free = (("100", "0", "0"), (None, "2", "0"))
    minutes, fonts = (("50", "11"), ("100", "10"), (None, "9")), (("5", "7"), ("10", "6.5"))
    millions = {"packageSize": "1000000", "unitPrice": "10"}
    readings: Readings = {
        "minutes": (shop.tiered("minutes", "volume", *minutes), (20, 90, 50)),
        "tens": (shop.tiered("tens", "graduated", *tens), (3, 5, 7)),
        "overage": (shop.tiered("overage", "graduated", *free), (130,)),
        "orb": (shop.tiered("orb", "graduated", *orb), (150_000,)),
        "autumn": (shop.tiered("autumn", "graduated", *autumn), (15_000,)),
        "fonts": (shop.tiered("fonts", "volume", *fonts, (None, "6")), (6,)),
        "tokens": (shop.meter("tokens", model="package", properties=millions), (1_500_001,)),
    }
    charges = yield from _month_of(shop, readings)
    assert charges == {
        "minutes": 1440, "tens": 35, "overage": 60, "orb": 107, "autumn": 107, "fonts": 39,
        "tokens": 20,
    }  # fmt: skip


def zuora_a_second_batch_after_the_bill(shop: Shop) -> Telling:
    """Zuora, on-demand rating: 15 units are 35.00; with 6 more 21 are 55.00, so 20.00 follow.

    There the second bill run is in the same month; here the 6 come after it was billed, late.
    """
    tens = shop.tiered("Tens", "graduated", ("10", "2", "0"), ("20", "3", "0"), (None, "5", "0"))
    contract = shop.subscribe(shop.plan(tens))
    for day, amount in ((1, 3), (2, 5), (3, 7)):
        shop.use(contract, tens, amount, f"2024-03-0{day}T01:00")
    yield APRIL
    shop.use(contract, tens, 1, "2024-03-01T02:00")
    shop.use(contract, tens, 5, "2024-03-04")
    yield MAY
    assert _totals(shop, contract) == ["35.00", "20.00"]


def orb_tax_on_tiers(shop: Shop) -> Telling:
    """Orb, "Invoice calculation examples" 1: 107.00 for 150 000 calls, 8 % are 8.56: 115.56."""
    bands = (("10000", "0.001", "0"), ("100000", "0.0008", "0"), (None, "0.0005", "0"))
    calls = shop.tiered("Calls", "graduated", *bands)
    contract = shop.subscribe(shop.plan(calls, default_tax_rate=8))
    shop.use(contract, calls, 150_000)
    yield APRIL
    assert shop.bills(contract)[0] == "ISSUED 107.00 + 8.56 = 115.56"


def orb_minimum_and_discount(shop: Shop) -> Telling:
    """Orb, the same 2: 200 hours at 0.10 less 10 % are 18.00, lifted to a minimum of 50.00.

    Our minimum is of hours, 500 of them, and is priced before it is discounted: 50.00 - 5.00.
    """
    hours = shop.meter("Hours", "0.10")
    contract = shop.subscribe(shop.plan(hours))
    _agree(shop, contract, "minimumQuantity", "500", target_price_ids=[hours.price_id])
    _agree(shop, contract, "percentageDiscount", "0.1")
    shop.use(contract, hours, 200)
    yield APRIL
    assert _totals(shop, contract) == ["45.00"]


def lago_discount_before_tax(shop: Shop) -> Telling:
    """b10/percentage of Lago's golden rows: 20.00 of rent and 80 units, 25 % off for a month.

    100.00 - 25.00 = 75.00; rent is taxed with 20 %, the units with 25 %: 3.00 + 15.00 = 18.00.
    The month after, 100.00 and 4.00 + 20.00. A rent of 10.00 and 100 units less 10 % for three
    months, with the customer's 10 %: 99.00 + 9.90.
    """
    units = shop.meter("Units", "1")
    rent = shop.fee("Rent", "20.00", term="in_arrears")
    taxed = shop.customer(tax_rates={units.metric_id: 25})
    contract = shop.subscribe(shop.plan(rent, units, default_tax_rate=20), customer_id=taxed)
    _agree(shop, contract, "percentageDiscount", "0.25", effective_to=APRIL)
    more = shop.meter("Units", "1")
    own = shop.customer(tax_rates={"default": 10})
    small = shop.plan(shop.fee("Rent", "10.00", term="in_arrears"), more, default_tax_rate=5)
    second = shop.subscribe(small, customer_id=own)
    _agree(shop, second, "percentageDiscount", "0.1", effective_to=JUNE)
    shop.use(second, more, 100)
    for month in ("03", "04"):
        shop.use(contract, units, 80, f"2024-{month}-05T10:00")
    yield MAY
    assert shop.bills(contract)[:2] == [
        "ISSUED 75.00 + 18.00 = 93.00",
        "ISSUED 100.00 + 24.00 = 124.00",
    ]
    assert shop.bills(second)[0] == "ISSUED 99.00 + 9.90 = 108.90"


def flexprice_credits_before_tax(shop: Shop) -> Telling:
    """Flexprice, "Invoice calculation": 80.00 of calls less 20.00, 20.00 of rent, 10.00 off all.

    8.25 % of the 70.00 that are left is 5.775, owed as 5.78: 75.78. There 5.00 of a wallet are
    then taken off what is paid, not off what is taxed: 70.78.
    """
    calls = shop.meter("Calls", "1")
    rent = shop.fee("Rent", "20.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(calls, rent, default_tax_rate=8.25))
    shop.use(contract, calls, 80)
    for name, amount in (("A quarter of the calls", -20.0), ("Ten off", -10.0)):
        shop.client.invoices_v2.create_line_item(
            display_name=name, currency="USD", quantity=1, unit_price=amount,
            subscription_id=contract.id,
        )  # fmt: skip
    yield APRIL
    assert shop.bills(contract)[0] == "ISSUED 70.00 + 5.78 = 75.78"


def openmeter_half_off(shop: Shop) -> Telling:
    """OpenMeter, unit_test.go: 20 units at 10.00, half off, are 100.00."""
    units = shop.meter("Units", "10")
    contract = shop.subscribe(shop.plan(units))
    _agree(shop, contract, "percentageDiscount", "0.5")
    shop.use(contract, units, 20)
    yield APRIL
    assert _totals(shop, contract) == ["100.00"]


def lago_seats(shop: Shop) -> Telling:
    """b13 of Lago's golden rows: 40 seats at 100.00 from 16 April by the calendar: 2000.00.

    15 of April's 30 days in advance, then 4000.00 for May; in arrears 2000.00 on 1 May. What is
    not prorated is an obligation here, which owes nothing for the stub; there it owes 4000.00.
    """
    plans = [
        shop.plan(shop.fee("Seat", "100.00", quantity=40, **terms), billing_anchor=OPENED)
        for terms in ({}, {"term": "in_arrears"}, {"is_obligation": True})
    ]
    yield at("2024-04-16")
    contracts = [shop.subscribe(plan) for plan in plans]
    yield MAY
    assert [_totals(shop, contract) for contract in contracts] == [
        ["2000.00", "4000.00"], ["2000.00"], ["4000.00"],
    ]  # fmt: skip


def half_a_month_of_another_plan(shop: Shop) -> Telling:
    """Stripe, "Prorations": 10.00 for 20.00 halfway: -5.00 + 10.00. Autumn: 20.00 for 50.00, 15.00.

    Polar and Samsung: 30.00 for 60.00 on the 16th: -15.00 + 30.00. Lago, b09/upgrade/advance:
    30.00 for 90.00: -15.00 + 45.00.
    """
    prices = (("10", "20"), ("20", "50"), ("30", "60"), ("30", "90"))
    plans = [[shop.plan(shop.fee(price, price)) for price in pair] for pair in prices]
    yield APRIL
    contracts = [shop.subscribe(old) for old, _ in plans]
    yield at("2024-04-16")
    asked = [_change(shop, c, new) for c, (_, new) in zip(contracts, plans, strict=True)]
    assert asked == ["5.00", "15.00", "15.00", "30.00"]
    yield MAY
    assert _totals(shop, contracts[0]) == ["10.00", "5.00", "20.00"]


def chargebee_downgrades(shop: Shop) -> Telling:
    """Chargebee, "Proration": 60.00 for 30.00 after 20 of 30 days: -20.00 + 10.00.

    The 10.00 are taken off May's 30.00: 20.00. And 3 seats of 30.00 for 2 after 10 days:
    -60.00 + 40.00; May's 60.00 less 20.00 are 40.00.
    """
    big, small = (shop.plan(shop.fee(price, price)) for price in ("60.00", "30.00"))
    three, two = (shop.plan(shop.fee("Seat", "30.00", quantity=seats)) for seats in (3, 2))
    yield APRIL
    contract, seats = shop.subscribe(big), shop.subscribe(three)
    yield at("2024-04-11")
    assert _change(shop, seats, two) == "-20.00"
    yield at("2024-04-21")
    assert _change(shop, contract, small) == "-10.00"
    yield JUNE
    assert _totals(shop, contract) == ["60.00", "0.00", "20.00", "30.00"]
    assert _totals(shop, seats) == ["90.00", "0.00", "40.00", "60.00"]


def orb_up_and_down_in_a_month(shop: Shop) -> Telling:
    """Orb, "Changing a plan": 100.00, from the 4th 500.00, from the 11th 50.00, of 31 days.

    28 days are left: -100 x 28 / 31 + 500 x 28 / 31 = 361.2903…; then 21: -500 x 21 / 31 +
    50 x 21 / 31 = -304.8387…. The credit pays the next 50.00s; there it is a balance.
    """
    plans = [shop.plan(shop.fee(price, price)) for price in ("100.00", "500.00", "50.00")]
    yield MAY
    contract = shop.subscribe(plans[0])
    yield at("2024-05-04")
    assert _change(shop, contract, plans[1]) == "361.29"
    yield at("2024-05-11")
    assert _change(shop, contract, plans[2]) == "-304.84"
    yield JUNE
    assert _totals(shop, contract) == ["100.00", "361.29", "0.00", "0.00"]


def lago_half_a_month_in_arrears(shop: Shop) -> Telling:
    """b09 of Lago's golden rows: 31.00 from 16 March is 16.00; so is what ends with the 16th."""
    rent = shop.fee("Rent", "31.00", term="in_arrears")
    plan = shop.plan(rent, billing_anchor=OPENED)
    early = shop.subscribe(plan)
    yield at("2024-03-16")
    late = shop.subscribe(plan)
    yield at("2024-03-17")
    shop.terminate(early)
    yield APRIL
    assert (_totals(shop, early), _totals(shop, late)) == (["16.00"], ["16.00"])


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
