"""Tales of prices: each model at and around its bounds, rebates, aggregations; a month each.

No tax, no late usage: a line is what its model says, and an invoice rounds the sum of its lines.
"""

from collections.abc import Generator
from datetime import datetime
from decimal import Decimal

from tests.scenario.shop import Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-01-15")
GRACE = "PT0S"
BOUNDARY = at("2025-02-15")
Month = Generator[datetime, None, tuple[str, list[Decimal]]]


def _month_of(shop: Shop, readings: list[tuple[Meter, str]]) -> Month:
    """A month in which each meter reads so much, and what was billed."""
    contract = shop.subscribe(shop.plan(*(meter for meter, _ in readings)))
    for meter, amount in readings:
        if Decimal(amount):
            shop.use(contract, meter, amount)
    yield BOUNDARY
    return shop.bills(contract)[0], list(shop.charges(contract, 0).values())


def volume_at_its_bounds(shop: Shop) -> Telling:
    """Up to 100 units 5.00 each, then 3.00 each, for all of them.

    0 x 5 = 0; 100 x 5 = 500; 100.000001 x 3 = 300.000003; 101 x 3 = 303.
    0 + 500 + 300.000003 + 303 = 1103.000003, owed as 1103.00.
    """
    readings = [
        (shop.tiered(f"V{amount}", "volume", ("100", "5"), (None, "3")), amount)
        for amount in ("0", "100", "100.000001", "101")
    ]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [0, 500, Decimal("300.000003"), 303]
    assert bill == "ISSUED 1103.00 + 0.00 = 1103.00"


def volume_of_three_bands(shop: Shop) -> Telling:
    """Up to 10 at 1.00, up to 20 at 0.80, then 0.50; the first band that reaches prices all.

    10 x 1 = 10; 11 x 0.8 = 8.8; 20 x 0.8 = 16; 21 x 0.5 = 10.5. Together 45.30.
    """
    bands = (("10", "1"), ("20", "0.8"), (None, "0.5"))
    readings = [(shop.tiered(f"V{n}", "volume", *bands), n) for n in ("10", "11", "20", "21")]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [10, Decimal("8.8"), 16, Decimal("10.5")]
    assert bill == "ISSUED 45.30 + 0.00 = 45.30"


def graduated_at_its_bounds(shop: Shop) -> Telling:
    """The first 10 at 1.00, the next 10 at 0.80, the rest at 0.50.

    10 x 1 = 10; 10 + 1 x 0.8 = 10.8; 10 + 10 x 0.8 = 18; 18 + 1 x 0.5 = 18.5. Together 57.30.
    """
    bands = (("10", "1"), ("20", "0.8"), (None, "0.5"))
    readings = [(shop.tiered(f"G{n}", "graduated", *bands), n) for n in ("10", "11", "20", "21")]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [10, Decimal("10.8"), 18, Decimal("18.5")]
    assert bill == "ISSUED 57.30 + 0.00 = 57.30"


def graduated_with_flat_amounts(shop: Shop) -> Telling:
    """The first 10 at 1.00 and 5.00 flat, then 0.50 each and 3.00 flat.

    Nothing used still owes the first band's 5.00. 10: 10 + 5 = 15.
    10.5: 15 + 3 + 0.5 x 0.5 = 18.25. 20: 15 + 3 + 10 x 0.5 = 23. Together 61.25.
    """
    bands = (("10", "1", "5"), (None, "0.5", "3"))
    readings = [(shop.tiered(f"F{n}", "graduated", *bands), n) for n in ("0", "10", "10.5", "20")]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [5, 15, Decimal("18.25"), 23]
    assert bill == "ISSUED 61.25 + 0.00 = 61.25"


def packages_that_are_started_are_owed(shop: Shop) -> Telling:
    """7.00 per 100 units: none 0; 1 one package, 7; 100 one, 7; 100.5 two, 14; 201 three, 21."""
    sold = {"packageSize": "100", "unitPrice": "7"}
    readings = [
        (shop.meter(f"P{n}", model="package", properties=sold), n)
        for n in ("0", "1", "100", "100.5", "201")
    ]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [0, 7, 7, 14, 21]
    assert bill == "ISSUED 49.00 + 0.00 = 49.00"


def a_percentage_between_its_charges(shop: Shop) -> Telling:
    """3 % of the money that passed, at least 1.00, at most 50.00.

    0 and 20 (0.60) owe 1.00; 100: 3.00; 1666.67 x 0.03 = 50.0001, cut to 50.00. Together 55.00.
    """
    share = {"percentage": "0.03", "minCharge": "1", "maxCharge": "50"}
    readings = [
        (shop.meter(f"%{n}", model="percentage", properties=share), n)
        for n in ("0", "20", "100", "1666.67")
    ]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [1, 1, 3, 50]
    assert bill == "ISSUED 55.00 + 0.00 = 55.00"


def a_dynamic_price_needs_bounds_that_meet(shop: Shop) -> Telling:
    """A reading brings no price of its own: 4 x 2.50 where both bounds are 2.50, else nothing."""
    fixed = {"minPrice": "2.5", "maxPrice": "2.5"}
    loose = {"minPrice": "1", "maxPrice": "2.5"}
    readings = [
        (shop.meter("Fixed", model="dynamic", properties=fixed), "4"),
        (shop.meter("Loose", model="dynamic", properties=loose), "4"),
    ]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [10, 0]
    assert bill == "ISSUED 10.00 + 0.00 = 10.00"


def lines_are_not_rounded_their_sum_is(shop: Shop) -> Telling:
    """1 x 0.004 three times is 0.012, owed as 0.01; line by line it would be nothing."""
    readings = [(shop.meter(f"Drop {n}", "0.004"), "1") for n in range(3)]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [Decimal("0.004")] * 3
    assert bill == "ISSUED 0.01 + 0.00 = 0.01"


def half_a_cent_is_rounded_up(shop: Shop) -> Telling:
    """1 x 0.125 + 1 x 1.00 = 1.125, owed as 1.13."""
    readings = [(shop.meter("Eighth", "0.125"), "1"), (shop.meter("One", "1"), "1")]
    bill, _ = yield from _month_of(shop, readings)
    assert bill == "ISSUED 1.13 + 0.00 = 1.13"


def less_than_half_a_cent_is_owed_by_nobody(shop: Shop) -> Telling:
    """4 x 0.001 = 0.004: an invoice of 0.00 that is PAID at once, with its line."""
    bill, lines = yield from _month_of(shop, [(shop.meter("Crumb", "0.001"), "4")])
    assert lines == [Decimal("0.004")]
    assert bill == "PAID 0.00 + 0.00 = 0.00"


def the_smallest_price_of_very_many(shop: Shop) -> Telling:
    """10^18 units at 0.000000000000000001 are 1.00; 123 456 789 at 0.01 are 1 234 567.89."""
    readings = [
        (shop.meter("Atom", "0.000000000000000001"), "1000000000000000000"),
        (shop.meter("Byte", "0.01"), "123456789"),
    ]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [1, Decimal("1234567.89")]
    assert bill == "ISSUED 1234568.89 + 0.00 = 1234568.89"


def a_rebate_by_usage(shop: Shop) -> Telling:
    """10 x 1.00 and 30 x -0.10: 10 - 3 = 7.00."""
    readings = [(shop.meter("Calls", "1"), "10"), (shop.meter("Rebate", "-0.1"), "30")]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [10, -3]
    assert bill == "ISSUED 7.00 + 0.00 = 7.00"


def a_rebate_never_pays_the_customer(shop: Shop) -> Telling:
    """2 x 1.00 and 50 x -0.10 = -5.00: the rebate is cut to -2.00, and nothing is owed."""
    readings = [(shop.meter("Calls", "1"), "2"), (shop.meter("Rebate", "-0.1"), "50")]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [2, -2]
    assert bill == "PAID 0.00 + 0.00 = 0.00"


def two_rebates_are_cut_from_the_last(shop: Shop) -> Telling:
    """3.00 less 2.00 less 4.00: the last is cut to 1.00, the first stays."""
    readings = [
        (shop.meter("Calls", "1"), "3"),
        (shop.meter("First", "-0.1"), "20"),
        (shop.meter("Last", "-0.1"), "40"),
    ]
    bill, lines = yield from _month_of(shop, readings)
    assert lines == [3, -2, -1]
    assert bill == "PAID 0.00 + 0.00 = 0.00"


def seven_ways_to_read_the_same_events(shop: Shop) -> Telling:
    """The events 4, 1, 7, 1, 2, of which 2 is the latest although 7 is sent last; 1.00 a unit.

    SUM 15, COUNT 5, MAX 7, MIN 1, AVG 15 / 5 = 3, LATEST 2, UNIQUE_COUNT 4: 37.00 together.
    """
    ways = ("SUM", "COUNT", "MAX", "MIN", "AVG", "LATEST", "UNIQUE_COUNT")
    meters = {way: shop.meter(way, "1", aggregation=way) for way in ways}
    contract = shop.subscribe(shop.plan(*meters.values()))
    for day, amount in ((16, 4), (17, 1), (19, 1), (20, 2), (18, 7)):
        for meter in meters.values():
            shop.use(contract, meter, amount, f"2025-01-{day}")
    yield BOUNDARY
    assert list(shop.charges(contract, 0).values()) == [15, 5, 7, 1, 3, 2, 4]
    assert shop.bills(contract)[0] == "ISSUED 37.00 + 0.00 = 37.00"


def an_average_that_does_not_end(shop: Shop) -> Telling:
    """AVG of 1, 1 and 2 is 4 / 3; at 3.00 a unit 4.00, not 3.99."""
    mean = shop.meter("Mean", "3", aggregation="AVG")
    contract = shop.subscribe(shop.plan(mean))
    for amount in (1, 1, 2):
        shop.use(contract, mean, amount)
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 4.00 + 0.00 = 4.00"


def so_many_of_a_fee(shop: Shop) -> Telling:
    """7 seats at 12.34 = 86.38 in advance, and again a month later."""
    contract = shop.subscribe(shop.plan(shop.fee("Seat", "12.34", quantity=7)))
    assert shop.bills(contract)[0] == "PAID 86.38 + 0.00 = 86.38"
    yield BOUNDARY
    assert shop.bills(contract)[1] == "ISSUED 86.38 + 0.00 = 86.38"


def nothing_used_nothing_owed(shop: Shop) -> Telling:
    """An invoice of 0.00 is PAID without a payment session, with a line that reads 0."""
    contract = shop.subscribe(shop.plan(shop.meter("Calls", "1")))
    yield BOUNDARY
    invoice = shop.invoices(contract)[0]
    assert (invoice.status, invoice.grand_total, invoice.payment_url) == ("PAID", "0.00", None)
    (line,) = shop.lines(contract, 0)
    assert (line.quantity, Decimal(line.total_price)) == (0, Decimal(0))


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
