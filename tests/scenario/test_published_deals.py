"""Tales of published taxes and deals: tax beside and inside prices, coupons, bounds, late usage.

Each tale names its source. Where our rule is another one, it says so and what comes of it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-03-01")
GRACE = "PT0S"
APRIL, MAY, JUNE = at("2024-04-01"), at("2024-05-01"), at("2024-06-01")
Lines = Sequence[tuple[str, str, float]]


def _agree(shop: Shop, contract: Contract, kind: str, value: str, *targets: Meter) -> None:
    names = {
        "percentageDiscount": "percentage_discount",
        "usageDiscount": "usage_discount",
        "minimumQuantity": "minimum_quantity",
        "maximumQuantity": "maximum_quantity",
    }
    request: Any = {"type": kind, names[kind]: value, "effective_from": OPENED}
    if targets:
        request["target_price_ids"] = [each.price_id for each in targets]
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    )


def _credit(shop: Shop, contract: Contract, amount: float) -> None:
    shop.client.invoices_v2.create_line_item(
        display_name="Coupon", currency="USD", quantity=1, unit_price=-amount,
        subscription_id=contract.id,
    )  # fmt: skip


def _first_bill(shop: Shop, *amounts: str, **terms: Any) -> str:
    """The first invoice of fees in advance, without its state."""
    fees = [shop.fee(f"Fee {number}", amount) for number, amount in enumerate(amounts)]
    contract = shop.subscribe(shop.plan(*fees, **terms), pays=False)
    bill = shop.bills(contract)[0]
    shop.terminate(contract)
    return bill.partition(" ")[2]


def _used(shop: Shop, lines: Lines) -> Contract:
    """A month of quantities at prices, each with a tax rate of its own (percent)."""
    priced = [(shop.meter("Line", price), quantity, rate) for quantity, price, rate in lines]
    customer = shop.customer(tax_rates={meter.metric_id: rate for meter, _, rate in priced})
    plan = shop.plan(*(meter for meter, _, _ in priced), currency="EUR")
    contract = shop.subscribe(plan, customer_id=customer)
    for meter, quantity, _ in priced:
        shop.use(contract, meter, quantity, "2024-03-05")
    return contract


def _bills(shop: Shop, contract: Contract) -> list[str]:
    """What is billed so far, without states."""
    return [
        f"{each.subtotal} + {each.total_tax}"
        for each in shop.invoices(contract)
        if each.status != "ACTIVE"
    ]


def taxes_of_a_first_bill(shop: Shop) -> Telling:
    """Odoo (test_taxes_tax_totals_summary.py), rounded by the document, and two smaller suites.

    Mexico: seven prices that hold 16 %: 51 893.00 / 1.16 = 44 735.3448…. Portugal: 54.50 and 23 %:
    12.535, 12.54; 1503.00 and 6 %: 90.18. Fifteen yen and 10 %: 1.5, 2. An invoice of Taiwan
    (taichunmin), in whole units: 17 000 with 5 % inside are 16 190 + 810, and 99 are 94 + 5. Of
    China (layerconvert): a million with 9 % inside.
    """
    inside, yen = {"tax_behavior": "inclusive"}, {"currency": "JPY"}
    mexico = ("1199", "1999", "1699", "11999", "11999", "11999", "10999")
    bills = [
        (
            _first_bill(shop, *mexico, default_tax_rate=16, **inside),
            "44735.34 + 7157.66 = 51893.00",
        ),
        (_first_bill(shop, "54.5", default_tax_rate=23), "54.50 + 12.54 = 67.04"),
        (_first_bill(shop, "1503", default_tax_rate=6), "1503.00 + 90.18 = 1593.18"),
        (_first_bill(shop, "15", default_tax_rate=10, **yen), "15 + 2 = 17"),
        (
            _first_bill(shop, "17000", default_tax_rate=5, **yen, **inside),
            "16190 + 810 = 17000",
        ),
        (_first_bill(shop, "99", default_tax_rate=5, **yen, **inside), "94 + 5 = 99"),
        (
            _first_bill(shop, "1000000", default_tax_rate=9, **inside),
            "917431.19 + 82568.81 = 1000000.00",
        ),
    ]
    assert [bill for bill, _ in bills] == [expected for _, expected in bills]
    yield OPENED


def taxes_of_lines_with_parts_of_cents(shop: Shop) -> Telling:
    """Odoo, certified for Portugal: 12.12 x 12.12 twice is 293.7888, 293.79; 13 % 38.1925…, 38.19.

    Eight such lines at 0, 6, 13 and 23 %: 1199.64 and 127.80. One at 13 and one at 23 %: 19.0962…
    + 33.7857… = 52.8819…, 52.88; they round each rate's and say 52.89. 50 x 2.00 at 13 % and 100 x
    1.00 at 23 %: 36.00. Five small lines at four rates: 38.00 and 2.29.
    """
    line, more = ("12.12", "12.12"), ("13.13", "12.12")
    documents: Sequence[tuple[Lines, str]] = (
        ([(*line, 0), (*line, 0)], "293.79 + 0.00"),
        ([(*line, 13), (*line, 13)], "293.79 + 38.19"),
        ([(*line, 13), (*line, 23)], "293.79 + 52.88"),
        (
            [
                (*line, 0), (*line, 0), (*line, 6), (*line, 6),
                (*more, 13), (*line, 13), (*more, 23), (*line, 23),
            ],
            "1199.64 + 127.80",
        ),
        ([("50", "2", 13), ("100", "1", 23)], "200.00 + 36.00"),
        (
            [("1", "1", 0), ("1", "4", 0), ("10", "3", 6), ("1", "2", 13), ("1", "1", 23)],
            "38.00 + 2.29",
        ),
    )  # fmt: skip
    contracts = [_used(shop, lines) for lines, _ in documents]
    yield APRIL
    assert [_bills(shop, contract)[0] for contract in contracts] == [bill for _, bill in documents]
    for contract in contracts:
        shop.terminate(contract)


def coupons_before_tax(shop: Shop) -> Telling:
    """b10 of Lago's golden rows: 40.00 off 20.00 + 80.00 and 20 %: 60.00 + 12.00; then 100 + 20.

    b10/fixed_amount/once/charge: a tenth off 100.00 at 25 %, 50.00 and 10.00 at 15 %: 144.00 +
    30.60 (theirs is a coupon of 16.00, spread over the lines). Meteroid, discount.rs: 100.00 off
    80.00 leaves 20.00 for the next month. Two tenths one after the other are 19 %: 81.00.
    """
    units, calls = shop.meter("Units", "1"), shop.meter("Calls", "1")
    rent = shop.fee("Rent", "20", term="in_arrears")
    first = shop.subscribe(shop.plan(rent, units, default_tax_rate=20))
    large = shop.subscribe(shop.plan(calls, default_tax_rate=20))
    _credit(shop, first, 40)
    _credit(shop, large, 100)
    ladder = _used(shop, [("100", "1", 25), ("50", "1", 15), ("10", "1", 15)])
    twice = _used(shop, [("100", "1", 0)])
    _agree(shop, ladder, "percentageDiscount", "0.1")
    for _ in range(2):
        _agree(shop, twice, "percentageDiscount", "0.1")
    for month in ("03", "04"):
        shop.use(first, units, 80, f"2024-{month}-05")
        shop.use(large, calls, 80, f"2024-{month}-05")
    yield MAY
    assert _bills(shop, first) == ["60.00 + 12.00", "100.00 + 20.00"]
    assert _bills(shop, large) == ["0.00 + 0.00", "60.00 + 12.00"]
    assert _bills(shop, ladder)[0] == "144.00 + 30.60"
    assert _bills(shop, twice)[0] == "81.00 + 0.00"
    for contract in (first, large, ladder, twice):
        shop.terminate(contract)


def a_part_of_a_price_that_holds_its_tax(shop: Shop) -> Telling:
    """9.99 with 20 % inside, 15 % off: 8.4915 is 7.07625 and 1.41525, so 7.08 + 1.42 = 8.50.

    Stripe would find the tax in the rounded price, 8.49. The contract rounds price and tax, once
    each, and adds them.
    """
    fee = shop.fee("Fee", "9.99", term="in_arrears")
    plan = shop.plan(fee, default_tax_rate=20, tax_behavior="inclusive")
    contract = shop.subscribe(plan)
    _agree(shop, contract, "percentageDiscount", "0.15")
    yield APRIL
    assert shop.bills(contract)[0] == "ISSUED 7.08 + 1.42 = 8.50"
    shop.terminate(contract)


def least_and_greatest_and_waived_quantities(shop: Shop) -> Telling:
    """OpenMeter (unit_test.go, package_test.go, discount_test.go), in units where it has amounts.

    At 10.00 a unit: at least ten of none, 100.00; at most ten of 7 + 5, 100.00; ten are ten. Six of
    eleven packages at 15.00: 90.00. 110 of 50 + 75 + 30 units waived at 100.00: 4500.00; of 50 + 75
    with a least of 20, 2000.00: what is waived comes first. Bands of ten at 10.00 and 5.00: at
    least 15 of 3, and at most 15 of 30, are 125.00; five of 15 waived, 100.00. Volume: at least 11
    of 10, all at 8.00.
    """
    bands = (("10", "10"), ("20", "5"), (None, "1"))
    sold = {"packageSize": "10", "unitPrice": "15"}
    one = {"minimumQuantity": "10"}
    cases: Sequence[tuple[Meter, Mapping[str, str], Sequence[int], str]] = [
        (shop.meter("None", "10"), one, [], "100.00"),
        (shop.meter("Above", "10"), {"maximumQuantity": "10"}, [7, 5], "100.00"),
        (shop.meter("At it", "10"), {"maximumQuantity": "10"}, [10], "100.00"),
        (
            shop.meter("Package", model="package", properties=sold),
            {"maximumQuantity": "60"}, [110], "90.00",
        ),
        (shop.meter("Waived", "100"), {"usageDiscount": "110"}, [50, 75, 30], "4500.00"),
        (
            shop.meter("Both", "100"),
            {"usageDiscount": "110", "minimumQuantity": "20"}, [50, 75], "2000.00",
        ),
        (shop.tiered("Least", "graduated", *bands), {"minimumQuantity": "15"}, [3], "125.00"),
        (shop.tiered("Most", "graduated", *bands), {"maximumQuantity": "15"}, [30], "125.00"),
        (shop.tiered("Waived", "graduated", *bands), {"usageDiscount": "5"}, [15], "100.00"),
        (
            shop.tiered("Volume", "volume", ("10", "10"), (None, "8")),
            {"minimumQuantity": "11"}, [10], "88.00",
        ),
    ]  # fmt: skip
    contracts = []
    for meter, deal, amounts, _ in cases:
        contract = shop.subscribe(shop.plan(meter))
        for kind, value in deal.items():
            _agree(shop, contract, kind, value, meter)
        for hours, amount in enumerate(amounts):
            shop.use(contract, meter, amount, at("2024-03-05") + timedelta(hours=hours))
        contracts.append(contract)
    yield APRIL
    billed = [shop.invoices(contract)[0].subtotal for contract in contracts]
    assert billed == [owed for *_, owed in cases]
    for contract in contracts:
        shop.terminate(contract)


def usage_after_the_bill(shop: Shop) -> Telling:
    """OpenMeter's parts of a period, as usage of March that comes in April: what is left is owed.

    Graduated, 12 and 10 more: 160.00, then 3 x 5 + 7 x 1 = 22.00 beside April's first 100.00.
    Packages of ten at 15.00, 17 and 5: 30.00, 15.00. At most ten at 10.00, 7 and 5: 70.00, 30.00.
    110 waived at 100.00, 50, 75 and 30: nothing, 1500.00, 3000.00. The contract's
    volume, 100 at 5.00 and one more, 101 at 3.00: 500.00, of which 197.00 go to May's 250.00.
    """
    bands = (("5", "0", "100"), ("10", "0", "50"), ("15", "5", "0"), (None, "1", "0"))
    sold = {"packageSize": "10", "unitPrice": "15"}
    meters = {
        "bands": (shop.tiered("Bands", "graduated", *bands), (12, 10)),
        "packages": (shop.meter("Packages", model="package", properties=sold), (17, 5)),
        "at most": (shop.meter("At most", "10"), (7, 5)),
        "waived": (shop.meter("Waived", "100"), (50, 75)),
        "volume": (shop.tiered("Volume", "volume", ("100", "5"), (None, "3")), (100, 1)),
    }
    held = {name: shop.subscribe(shop.plan(meter)) for name, (meter, _) in meters.items()}
    _agree(shop, held["at most"], "maximumQuantity", "10", meters["at most"][0])
    _agree(shop, held["waived"], "usageDiscount", "110", meters["waived"][0])
    for name, (meter, amounts) in meters.items():
        shop.use(held[name], meter, amounts[0], "2024-03-05")
    yield APRIL
    for name, (meter, amounts) in meters.items():
        shop.use(held[name], meter, amounts[1], "2024-03-06")
    yield MAY
    shop.use(held["waived"], meters["waived"][0], 30, "2024-03-07")
    shop.use(held["volume"], meters["volume"][0], 50, "2024-05-07")
    yield JUNE
    billed = {name: [each.subtotal for each in shop.invoices(held[name])][:3] for name in meters}
    assert billed == {
        "bands": ["160.00", "122.00", "100.00"],
        "packages": ["30.00", "15.00", "0.00"],
        "at most": ["70.00", "30.00", "0.00"],
        "waived": ["0.00", "1500.00", "3000.00"],
        "volume": ["500.00", "0.00", "53.00"],
    }
    for contract in held.values():
        shop.terminate(contract)


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
