"""Tales of whole years: every month of one, leap days over four, and the books that add up.

The shop opens on 29 February 2024. Late usage is not waited for here.
"""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-02-29")
GRACE = "PT0S"
YEAR = at("2025-02-28")
PAYS = "4242424242424242"


def _ends(shop: Shop, contract: Contract, name: str) -> list[str]:
    issued = [each for each in shop.invoices(contract) if each.status != "ACTIVE"]
    windows = [shop.windows(contract, each.sequence_number).get(name) for each in issued]
    return [f"{window[1]:%Y-%m-%d}" for window in windows if window is not None]


def twelve_months_of_usage(shop: Shop) -> Telling:
    """49.00 in advance, 0.10 a unit, 10 % tax, collected from a card; in month m 10 x m units.

    Month 1 of usage costs 1.00, month 12 costs 12.00: 1 + 2 + … + 12 = 78.00. The fee falls due at
    the start and at 12 boundaries: 13 x 49.00 = 637.00. 715.00 + 71.50 = 786.50, all of it paid.
    """
    units = shop.meter("Units", "0.1")
    plan = shop.plan(shop.fee("Rent", "49.00"), units, default_tax_rate=10)
    contract = shop.subscribe(plan, auto_charge=True)
    shop.save_card(contract.customer_id, PAYS)
    for month in range(12):
        shop.use(contract, units, 10 * (month + 1), OPENED + timedelta(days=30.4 * month + 10))
    yield YEAR
    shop.terminate(contract)
    invoices = shop.invoices(contract)[:13]
    assert [each.subtotal for each in invoices] == [f"{49 + month}.00" for month in range(13)]
    assert {each.status for each in invoices} == {"PAID"}
    assert sum(Decimal(each.grand_total) for each in invoices) == Decimal("786.50")
    assert [each.sequence_number for each in invoices] == list(range(13))
    assert all(one.period_end > two.period_start for one, two in pairwise(invoices))


def every_month_ends_where_the_next_begins(shop: Shop) -> Telling:
    """From 31 January 2024, bought a month later: the 29th, 31st, 30th … and the 28th of 2025.

    A rent of 1.00 in arrears is owed once for each: 13.00. The month that ends at the purchase is
    billed too.
    """
    plan = shop.plan(shop.fee("Rent", "1.00", term="in_arrears"))
    contract = shop.subscribe(plan, at("2024-01-31"))
    yield YEAR
    shop.terminate(contract)
    ends = [f"2024-{day}" for day in (
        "02-29", "03-31", "04-30", "05-31", "06-30", "07-31",
        "08-31", "09-30", "10-31", "11-30", "12-31",
    )] + ["2025-01-31", "2025-02-28"]  # fmt: skip
    assert _ends(shop, contract, "Rent")[:13] == ends
    totals = [Decimal(each.grand_total) for each in shop.invoices(contract)[:13]]
    assert totals == [1] * 13


def four_quarters(shop: Shop) -> Telling:
    """A quarter from 29 February ends on 29 May, 29 August, 29 November and 28 February.

    365.00 a year counted by the quarter, 91.25 each in advance: 5 times in a year and its day.
    """
    fee = shop.fee("Rent", "91.25", every="P3M")
    contract = shop.subscribe(shop.plan(fee, billing_cadence="P3M"))
    yield YEAR
    shop.terminate(contract)
    assert _ends(shop, contract, "Rent") == [
        "2024-05-29", "2024-08-29", "2024-11-29", "2025-02-28", "2025-05-29",
    ]  # fmt: skip


def a_leap_day_every_four_years(shop: Shop) -> Telling:
    """A year from 29 February 2024 ends on 28 February, three times, and on 29 February 2028.

    366.00 each, in advance, five times: 1830.00.
    """
    contract = shop.subscribe(
        shop.plan(shop.fee("Support", "366.00", every="P1Y"), billing_cadence="P1Y")
    )
    # A clock moves a year at most.
    for day in ("2025-02-28", "2026-02-28", "2027-02-28", "2028-02-28", "2028-02-29"):
        yield at(day)
    assert _ends(shop, contract, "Support") == [
        "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28",
    ]  # fmt: skip
    assert sum(Decimal(each.grand_total) for each in shop.invoices(contract)[:5]) == 1830


def numbers_without_a_gap(shop: Shop) -> Telling:
    """Numbers count by merchant and month: together with its neighbors' they have no gap."""
    contract = shop.subscribe(shop.plan(shop.fee("Line", "1.00")))
    yield YEAR
    shop.terminate(contract)
    numbers = shop.invoice_numbers()
    for month in {number.rpartition("-")[0] for number in numbers}:
        counted = sorted(int(each.rpartition("-")[2]) for each in numbers if month in each)
        assert counted == list(range(1, len(counted) + 1)), month


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
