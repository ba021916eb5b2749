"""Tales of published prices: what other systems' tests say that a quantity costs, at every bound.

Each tale names its source, and each line is one of its cases: what is priced, what was used, what
is owed. Cases of the same sources that need no events stand in tests/unit/test_published_cases.py.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tests.scenario.included import a_feature, allowance, attached
from tests.scenario.shop import Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-04-01")
GRACE = "PT0S"
MAY = at("2024-05-01")
Bands = Sequence[Sequence[str | None]]
Used = Sequence[float | str]
Cases = Sequence[tuple[Bands, Used, str]]
Month = Generator[datetime, None, None]


@dataclass(frozen=True)
class Case:
    """A metered price, the events of its month, and what they come to."""

    meter: Meter
    used: Used
    owed: str


class Price:
    """Makes metered prices of a shop, each with a metric of its own."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def graduated(self, *bands: Sequence[str | None]) -> Meter:
        return self.shop.tiered("Graduated", "graduated", *bands)

    def volume(self, *bands: Sequence[str | None]) -> Meter:
        return self.shop.tiered("Volume", "volume", *bands)

    def package(self, size: str, price: str) -> Meter:
        sold = {"packageSize": size, "unitPrice": price}
        return self.shop.meter("Package", model="package", properties=sold)

    def unit(self, price: str) -> Meter:
        return self.shop.meter("Unit", price)


def _month_of(shop: Shop, *cases: Case) -> Month:
    """A month of one plan with all the cases: each line as it should be, and their sum."""
    contract = shop.subscribe(shop.plan(*(case.meter for case in cases)))
    first = at("2024-04-02")
    for case in cases:
        for minutes, value in enumerate(case.used):
            shop.use(contract, case.meter, value, first + timedelta(minutes=minutes))
    yield MAY
    lines = shop.lines(contract, 0)
    owed = [Decimal(case.owed) for case in cases]
    assert [Decimal(line.total_price) for line in lines] == owed
    assert Decimal(shop.invoices(contract)[0].subtotal) == round(sum(owed), 2)
    shop.terminate(contract)


def graduated_bands(shop: Shop) -> Telling:
    """BillaBear, OpenMeter, Kill Bill, GSMA's BWRP, Lago and Polar, each band for its own units.

    BillaBear (features/Invoice/Pricing/tiered_graduated.feature): 10.00 flat, from the 11th 15.00
    flat: 5 are 10.00, 50 are 25.00. 10.00, 15.00 + 5 x 10.00: 75.00. Three bands at 15.00, 10.00
    and 5.00 a unit with 10.00, 15.00 and 25.00 flat: 25 are 160 + 115 + 50 = 325.00.
    OpenMeter (tieredgraduated_test.go): 100.00, 50.00, then 10.00 and 5.00 a unit: 5.001 enters
    the second band, 150.00; 12 are 150 + 2 x 10; 22 are 150 + 5 x 10 + 7 x 5 = 235.00.
    Kill Bill (TestContiguousIntervalConsumableInArrear): 111 are 15 + 100 + 0.50. BWRP: 3000 are
    2000 + 100 + 100 + 1500 x 2 = 5200.00.
    Lago, ranges of 0.1 and 1: 0.05 twice, 0.9 and 0.5 are 1 + 4.5 + 1 = 6.50; as percentages of 1,
    2 and 3 with 200, 300 and 400 flat: 21 are 900.33. Theirs owe nothing unused; ours 200.00.
    Polar: 10.5 are 10 + 0.40; seats at nothing, 20.00, 17.50 and 15.00: 201 are 1000 + 1750 + 15.
    """
    graduated = Price(shop).graduated
    flat: Bands = (("10", "0", "10"), (None, "0", "15"))
    three: Bands = (("10", "0", "10"), ("20", "10", "15"), (None, "0", "25"))
    all_three: Bands = (("10", "15", "10"), ("20", "10", "15"), (None, "5", "25"))
    openmeter: Bands = (("5", "0", "100"), ("10", "0", "50"), ("15", "10", "0"), (None, "5", "0"))
    blocks: Bands = (("10", "1.5"), ("110", "1"), (None, "0.5"))
    roaming: Bands = (("1000", "2"), ("1500", "0", "100"), (None, "2", "100"))
    decimals: Bands = (("0.1", "10"), ("1", "5"), (None, "2"))
    shares: Bands = (("10", "0.01", "200"), ("20", "0.02", "300"), (None, "0.03", "400"))
    seats: Bands = (("50", "0"), ("100", "20"), ("200", "17.5"), (None, "15"))
    cases: Cases = [
        (flat, [5], "10"), (flat, [50], "25"), (three, [15], "75"), (all_three, [25], "325"),
        (openmeter, [], "100"), (openmeter, ["3"], "100"), (openmeter, ["5"], "100"),
        (openmeter, ["5.001"], "150"), (openmeter, ["7"], "150"), (openmeter, ["12"], "170"),
        (openmeter, ["22"], "235"), (blocks, ["111"], "115.5"), (roaming, ["3000"], "5200"),
        (decimals, ["0.05"], "0.5"), (decimals, ["0.5"], "3"),
        (decimals, ["0.05", 0.05, "0.9", 0.5], "6.5"), (shares, [], "200"), (shares, [1], "200.01"),
        (shares, [10], "200.1"), (shares, [11], "500.12"), (shares, [12], "500.14"),
        (shares, [21], "900.33"), ((("10", "1"), (None, "0.8")), ["10.5"], "10.4"),
        (seats, [50], "0"), (seats, [51], "20"), (seats, [100], "1000"), (seats, [101], "1017.5"),
        (seats, [200], "2750"), (seats, [201], "2765"),
    ]  # fmt: skip
    yield from _month_of(
        shop, *(Case(graduated(*bands), used, owed) for bands, used, owed in cases)
    )


def volume_bands(shop: Shop) -> Telling:
    """Lago, OpenMeter, BillaBear, Kill Bill, Nadles, Polar and Solvimon: one band for all units.

    Lago (volume_service_spec.rb), 2.00 and 10.00 flat, from above 100 1.00, from above 200 0.50
    and 50.00 flat: none is 10.00, 100 are 210.00, 100.5 are 100.50, 300 are 200.00.
    OpenMeter (tieredvolume_test.go): none is 100.00, 15 are 150.00, 16 are 80.00.
    BillaBear (tiered_volume.feature): 9 are 10 x 9 + 10 = 100.00, 11 are 22.00.
    Kill Bill, top tier: 111 x 0.50. Nadles: 50 are 25 + 5 = 30.00, 140 are 42.00. Polar: 10.5 x
    0.80 = 8.40. Solvimon: 500 GB are 40.00, and 8 % of 200.00 are 16.00.
    """
    volume = Price(shop).volume
    lago: Bands = (("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50"))
    openmeter: Bands = (("5", "0", "100"), ("10", "0", "150"), ("15", "10"), (None, "5"))
    billabear: Bands = (("10", "10", "10"), (None, "2"))
    nadles: Bands = (("100", "0.5", "5"), ("200", "0.3"), (None, "0.2"))
    solvimon: Bands = (("100", "0.10"), ("1000", "0.08"), (None, "0.05"))
    cases: Cases = [
        (lago, [], "10"), (lago, [1], "12"), (lago, [100], "210"), (lago, ["100.5"], "100.5"),
        (lago, [101], "101"), (lago, [200], "200"), (lago, [300], "200"), (openmeter, [], "100"),
        (openmeter, [5], "100"), (openmeter, [15], "150"), (openmeter, [16], "80"),
        (billabear, [9], "100"), (billabear, [11], "22"),
        ((("10", "1.5"), ("110", "1"), (None, "0.5")), [111], "55.5"), (nadles, [50], "30"),
        (nadles, [140], "42"), ((("10", "1"), (None, "0.8")), ["4.5"], "4.5"),
        ((("10", "1"), (None, "0.8")), ["10.5"], "8.4"), (solvimon, [500], "40"),
        (solvimon, [200], "16"),
    ]  # fmt: skip
    yield from _month_of(shop, *(Case(volume(*bands), used, owed) for bands, used, owed in cases))


def packages_and_small_prices(shop: Shop) -> Telling:
    """BillaBear, Nadles, Lago and Polar: started packages, and prices far below a cent.

    BillaBear (Usage/package.feature): 99 in packages of ten at 2.50 are 25.00. Nadles: 83 are nine
    at 5.00. Lago (package_service_spec.rb): 121 are 1300.00, of which ten free leave 1200.00 and
    two hundred free nothing. Polar's smallest rate, 10^-12, for 10^15 of them: 1000.00.
    """
    price = Price(shop)
    sold = {"packageSize": "10", "unitPrice": "100"}
    free = [
        shop.meter(
            "Free", model="package", properties=sold,
            feature=attached(a_feature(shop), allowance(units)),
        )
        for units in (10, 200)
    ]  # fmt: skip
    yield from _month_of(
        shop,
        Case(price.package("10", "2.5"), [*[1] * 9, 90], "25"),
        Case(price.package("10", "5"), [83], "45"),
        Case(price.package("10", "100"), [121], "1300"),
        Case(free[0], [121], "1200"),
        Case(free[1], [121], "0"),
        Case(price.unit("0.000000000001"), ["1000000000000000"], "1000"),
        Case(price.unit("0.00000123"), ["123456789012"], "151851.85048476"),
        Case(price.unit("900"), [1 / 900], "0.9999999999999999"),
    )


def usage_below_zero(shop: Shop) -> Telling:
    """OpenMeter (negative_usage_test.go) and Lago: -2 and -3 are charged as nothing.

    With 8 more in the same month 3 are left, 3.00: a month is read as a whole. OpenMeter bills
    the part before them by itself, as nothing, and then all 8. A first band owes its flat amount.
    """
    price = Price(shop)
    below = [-2, -3]
    yield from _month_of(
        shop,
        Case(price.unit("1"), below, "0"),
        Case(price.unit("1"), [*below, 8], "3"),
        Case(price.package("10", "5"), below, "0"),
        Case(price.volume(("100", "2"), (None, "1")), below, "0"),
        Case(price.graduated(("5", "0", "100"), (None, "1", "50")), below, "100"),
    )


def bands_of_each_aggregation(shop: Shop) -> Telling:
    """BillaBear (features/Invoice/Pricing/Usage): 10.00 up to ten, then 15.00 more, however read.

    5, 12, 12, 1 and 11: five events and four values are 10.00 each; the sum 41, the greatest 12 and
    the latest 11 are 25.00 each; the least 1 and the mean 8.2 are 10.00 each.
    """
    tiers = [{"upTo": "10", "unitPrice": "0", "flatAmount": "10"},
             {"upTo": None, "unitPrice": "0", "flatAmount": "15"}]  # fmt: skip
    meters = {
        way: shop.meter(way, aggregation=way, model="graduated", properties={"tiers": tiers})
        for way in ("COUNT", "UNIQUE_COUNT", "SUM", "MAX", "LATEST", "MIN", "AVG")
    }
    owed = ("10", "10", "25", "25", "25", "10", "10")
    used = [5, 12, 12, 1, 11]
    yield from _month_of(
        shop, *(Case(meter, used, each) for meter, each in zip(meters.values(), owed, strict=True))
    )


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
