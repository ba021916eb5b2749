"""Tales of plans of another cadence while earlier invoices wait: each keeps its own cycles."""

from typing import Any

from tests.scenario.changing import changed, closed, posted
from tests.scenario.included import check_by_hand
from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "P3D"


def _calls(shop: Shop) -> tuple[Meter, Meter]:
    metric = shop.metric("Calls")
    one, two = (shop.meter("Calls", rate, of=metric) for rate in ("1.00", "2.00"))
    return one, two


def _yearly(shop: Shop, *more: Meter) -> str:
    fee = shop.fee("Year", "365.00", every="P1Y")
    return shop.plan(fee, *more, billing_cadence="P1Y")


def _open(shop: Shop, contract: Contract) -> list[str]:
    return [each.status for each in shop.invoices(contract)]


def within_the_grace_of_a_month(shop: Shop) -> Telling:
    """31.00 a month and calls at 1.00; on 2 February 365.00 a year and calls at 2.00.

    January waits until the 4th: 5 calls, 3 more that come on the 3rd, and February's 31.00. 27 of
    its 28 days are given back, -29.892… + 365.00, beside 2 calls of 1 February: 337.11. What comes
    of January later is billed at 1.00 with the year: 4.00 + 6.00 + 365.00.
    """
    old, new = _calls(shop)
    contract = shop.subscribe(shop.plan(shop.fee("Month", "31.00"), old))
    shop.use(contract, old, 5, "2026-01-10")
    yield at("2026-02-02")
    shop.use(contract, old, 2, "2026-02-01T06:00")
    year = _yearly(shop, new)
    assert changed(shop, contract, year)["subtotal"] == "335.11"
    assert _open(shop, contract)[1:] == ["CLOSING", "CLOSING", "ACTIVE"]
    assert shop.invoices(contract)[1].subtotal == "36.00"
    yield at("2026-02-03")
    shop.use(contract, old, 3, "2026-01-11")
    yield at("2026-02-06")
    assert closed(shop, contract) == ["31.00", "39.00", "337.11"]
    assert shop.windows(contract, 1) == {
        "Month": (at("2026-02-01"), at("2026-03-01")),
        "Calls": (at("2026-01-01"), at("2026-02-01")),
    }
    check_by_hand(shop, contract, 1)
    check_by_hand(shop, contract, 2)
    shop.use(contract, new, 3, "2026-05-05")
    shop.use(contract, old, 4, "2026-01-12")
    yield at("2027-02-06")
    assert closed(shop, contract)[3:] == ["375.00"]


def at_the_very_boundary(shop: Shop) -> Telling:
    """31.00 a month, on 1 February 365.00 a year: January's invoice asks 31.00 for February still.

    All of it is given back on the next one: 365.00 - 31.00 = 334.00, or 365.00 for the year and
    31.00 again where the plan is changed back at that instant.
    """
    month, year = shop.plan(shop.fee("Month", "31.00")), _yearly(shop)
    contract, back = shop.subscribe(month), shop.subscribe(month)
    yield at("2026-02-01")
    for each in (contract, back):
        assert changed(shop, each, year)["subtotal"] == "334.00"
    assert changed(shop, back, month)["subtotal"] == "-334.00"
    assert shop.invoices(contract)[1].subtotal == "31.00"
    yield at("2026-02-05")
    assert closed(shop, contract) == ["31.00", "31.00", "334.00"]
    assert closed(shop, back) == ["31.00", "31.00", "334.00", "0.00"]
    assert shop.windows(contract, 1) == {"Month": (at("2026-02-01"), at("2026-03-01"))}
    yield at("2026-03-05")
    assert closed(shop, back)[4:] == ["0.00"]
    shop.terminate(back)


def within_the_grace_of_a_quarter(shop: Shop) -> Telling:
    """90.00 a quarter ahead and 90.00 behind; on 2 April 30.00 a month each.

    The first quarter waits until the 4th: 180.00. 90 of 91 days are given back, -89.010…; one is
    owed behind, 0.989…, and 30.00 ahead: 58.021… are left. On 2 May 60.00 less that: 1.98.
    """
    quarter = [shop.fee(term, "90.00", every="P3M", term=term) for term in _TERMS]
    month = [shop.fee(term, "30.00", term=term) for term in _TERMS]
    contract = shop.subscribe(shop.plan(*quarter, billing_cadence="P3M"))
    yield at("2026-04-02")
    assert changed(shop, contract, shop.plan(*month))["subtotal"] == "-59.01"
    yield at("2026-05-06")
    assert closed(shop, contract) == ["90.00", "180.00", "0.00", "1.98"]
    assert shop.windows(contract, 1) == {
        "in_advance": (at("2026-04-01"), at("2026-07-01")),
        "in_arrears": (at("2026-01-01"), at("2026-04-01")),
    }
    check_by_hand(shop, contract, 1)
    check_by_hand(shop, contract, 2)
    shop.terminate(contract)


_TERMS = ("in_advance", "in_arrears")


def with_the_period_and_a_grace(shop: Shop) -> Telling:
    """Months, then a year from 1 February: January waits until the 4th with the year's fee.

    5 calls at 1.00, 3 more on the 2nd, and 365.00. The year holds until 1 February 2027.
    """
    old, new = _calls(shop)
    contract = shop.subscribe(shop.plan(shop.fee("Month", "31.00"), old))
    shop.use(contract, old, 5, "2026-01-10")
    yield at("2026-01-20")
    changed(shop, contract, _yearly(shop, new), at="period_end")
    yield at("2026-02-02")
    assert shop.invoices(contract)[1].subtotal == "370.00"
    shop.use(contract, old, 3, "2026-01-11")
    shop.use(contract, new, 1, "2026-02-01T06:00")
    yield at("2026-02-04")
    assert closed(shop, contract) == ["31.00", "373.00"]
    check_by_hand(shop, contract, 1)
    yield at("2027-02-05")
    assert closed(shop, contract) == ["31.00", "373.00", "367.00"]


def three_invoices_wait(shop: Shop) -> Telling:
    """31.00; on 2 February 365.00 a year, on the 3rd 31.00 a month again: all close one by one.

    31.00; -29.892… + 365.00 = 335.11; -364.00 + 31.00, of which 333.00 are left; then 302.00.
    """
    month, year = shop.plan(shop.fee("Month", "31.00")), _yearly(shop)
    contract = shop.subscribe(month)
    yield at("2026-02-02")
    assert changed(shop, contract, year)["subtotal"] == "335.11"
    yield at("2026-02-03")
    assert changed(shop, contract, month)["subtotal"] == "-333.00"
    assert _open(shop, contract)[1:] == ["CLOSING"] * 3 + ["ACTIVE"]
    assert [each.subtotal for each in shop.invoices(contract)][1:4] == ["31.00", "335.11", "0.00"]
    yield at("2026-03-06")
    assert closed(shop, contract) == ["31.00", "31.00", "335.11", "0.00", "0.00"]
    for number in (1, 2, 3, 4):
        check_by_hand(shop, contract, number)
    shop.terminate(contract)


def an_end_while_they_wait(shop: Shop) -> Telling:
    """31.00 and 31.00 behind; on 2 February a year of 365.00 behind, ended on the 3rd.

    January 31.00 + 31.00. One of 28 days behind is 1.107…, less 29.892… of the month ahead: none.
    A day of the year is 1.00, paid by what is left, and 27.78… are the customer's.
    """
    fees = [shop.fee(term, "31.00", term=term) for term in _TERMS]
    care = shop.fee("Care", "365.00", every="P1Y", term="in_arrears")
    contract = shop.subscribe(shop.plan(*fees))
    yield at("2026-02-02")
    changed(shop, contract, shop.plan(care, billing_cadence="P1Y"))
    yield at("2026-02-03")
    shop.terminate(contract)
    yield at("2026-02-07")
    assert closed(shop, contract) == ["31.00", "62.00", "0.00", "0.00"]
    assert shop.windows(contract, 3)["Care"] == (at("2026-02-02"), at("2026-02-03"))


def a_least_quantity_over_both_sides_of_a_year(shop: Shop) -> Telling:
    """At least ten calls a year at 1.00, paused 11 January to 1 February, then months.

    3 calls until the pause owe the ten, 10.00. 4 of the ten months after it are within them, also
    where the year has become months before that is billed. December's least is its own: 20.00.
    """
    old, new = _calls(shop)
    contract = shop.subscribe(shop.plan(keyed={"calls": old}, billing_cadence="P1Y"))
    least: Any = {
        "type": "minimumQuantity", "minimumQuantity": "10", "targetPriceIds": [old.price_id],
        "effectiveFrom": OPENED.isoformat(),
    }  # fmt: skip
    posted(shop, contract, "/adjustments", **least)
    shop.use(contract, old, 3, "2026-01-05")
    yield at("2026-01-11")
    posted(shop, contract, "/pause")
    yield at("2026-02-01")
    posted(shop, contract, "/resume")
    shop.use(contract, old, 4, "2026-06-01")
    yield at("2026-12-01")
    changed(shop, contract, shop.plan(keyed={"calls": new}))
    yield at("2027-01-04")
    assert closed(shop, contract) == ["10.00", "0.00", "20.00"]
    shop.terminate(contract)


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
