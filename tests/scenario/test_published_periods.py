"""Tales of published boundaries: other systems' periods and parts of them, lived on a test clock.

Lago's are the rows of block B2 of spec/scenarios/golden/matrix (getlago/lago-api). Its day of
an end is billed whole, and its days begin at midnight wherever in them a subscription began; ours
are counted in seconds, so a start is at midnight and an end at the midnight after the last day.
A plan by the calendar is one with a billing anchor; one by the anniversary has none. What is paid
is 1000.00 a cycle in arrears, unless a tale says otherwise.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-01-01")
GRACE = "PT0S"


@dataclass(frozen=True)
class Row:
    """One subscription to a fee, from its start to its end, and what its invoices come to."""

    name: str
    start: str
    bills: Sequence[str]
    end: str | None = None
    anchor: str | None = None


Lived = Generator[datetime, None, tuple[dict[str, list[str]], dict[str, Contract]]]


def _live(shop: Shop, fee: str, every: str, rows: Sequence[Row], until: str) -> Lived:
    """Lives the rows beside each other; answers what was issued, and the contracts, by row."""
    plans = {
        anchor: shop.plan(fee, billing_cadence=every, billing_anchor=anchor and at(anchor))
        for anchor in {row.anchor for row in rows}
    }
    steps = [(at(row.start), 0, row) for row in rows]
    steps += [(at(row.end), 1, row) for row in rows if row.end is not None]
    contracts: dict[str, Contract] = {}
    for instant, is_end, row in sorted(steps, key=lambda step: step[:2]):
        yield instant
        if is_end:
            shop.terminate(contracts[row.name])
        else:
            contracts[row.name] = shop.subscribe(plans[row.anchor])
    yield at(until)
    issued = {
        name: [
            invoice.grand_total for invoice in shop.invoices(contract) if invoice.status != "ACTIVE"
        ]
        for name, contract in contracts.items()
    }
    for row in rows:
        if row.end is None:
            shop.terminate(contracts[row.name])
    return issued, contracts


def _expected(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {row.name: list(row.bills) for row in rows}


def _ends(shop: Shop, contract: Contract, name: str) -> list[str]:
    """The days on which the cycles that were billed ended."""
    issued = [each for each in shop.invoices(contract) if each.status != "ACTIVE"]
    windows = [shop.windows(contract, each.sequence_number).get(name) for each in issued]
    return [f"{window[1]:%Y-%m-%d}" for window in windows if window is not None]


def lago_weeks_in_a_plan_by_the_month(shop: Shop) -> Telling:
    """b02/weekly/calendar: 1 January 2024 is a Monday, and so is the 1 April that bills March.

    From Wednesday 6 March 5 of 7 days, 714.2857…, and three weeks: 3714.29; Lago bills the four
    parts on four Mondays, 714.29 and three times 1000.00. Ended with Thursday 7 March 4 of 7:
    571.43. The week from Monday 29 April ends in May and is billed with May.
    """
    fee = shop.fee("Rent", "1000.00", every="P7D", term="in_arrears")
    rows = [
        Row("first partial, full", "2024-03-06", ["3714.29", "4000.00"], anchor="2024-01-01"),
        Row("terminated", "2024-03-04", ["571.43"], "2024-03-08", anchor="2024-01-01"),
        Row("first full", "2024-03-04", ["4000.00", "4000.00"], anchor="2024-01-01"),
    ]
    issued, _ = yield from _live(shop, fee, "P1M", rows, "2024-05-01")
    assert issued == _expected(rows)


def lago_months(shop: Shop) -> Telling:
    """b02/monthly: 16 of March's 31 days are 516.13, at its begin and at its end.

    From 31 January to the clamp on 29 February are 29 days: ended with 15 February 16 of 29,
    551.72. The clamp does not stay: 31 March.
    """
    fee = shop.fee("Rent", "1000.00", term="in_arrears")
    rows = [
        Row("partial", "2024-03-16", ["516.13", "1000.00"], anchor="2024-01-01"),
        Row("terminated", "2024-03-01", ["516.13"], "2024-03-17", anchor="2024-01-01"),
        Row("anniversary", "2024-01-31", ["1000.00"] * 3),
        Row("anniversary terminated", "2024-01-31", ["551.72"], "2024-02-16"),
    ]
    issued, contracts = yield from _live(shop, fee, "P1M", rows, "2024-05-01")
    assert issued == _expected(rows)
    ends = _ends(shop, contracts["anniversary"], "Rent")
    assert ends[:3] == ["2024-02-29", "2024-03-31", "2024-04-30"]


def lago_quarters(shop: Shop) -> Telling:
    """b02/quarterly: the first quarter of 2024 has 91 days; 46 of them are 505.49, at either end.

    From 31 January the quarters end on 30 April and on 31 July again.
    """
    fee = shop.fee("Rent", "1000.00", every="P3M", term="in_arrears")
    rows = [
        Row("partial", "2024-02-15", ["505.49", "1000.00"], anchor="2024-01-01"),
        Row("terminated", "2024-01-01", ["505.49"], "2024-02-16", anchor="2024-01-01"),
        Row("anniversary full", "2024-02-15", ["1000.00"]),
        Row("anniversary", "2024-01-31", ["1000.00", "1000.00"]),
    ]
    issued, contracts = yield from _live(shop, fee, "P3M", rows, "2024-08-01")
    assert issued | {"anniversary full": issued["anniversary full"][:1]} == _expected(rows)
    assert _ends(shop, contracts["anniversary"], "Rent")[:2] == ["2024-04-30", "2024-07-31"]


def lago_half_years_in_a_plan_by_the_quarter(shop: Shop) -> Telling:
    """b02/semiannual/anniversary: 31 March to 30 September has 183 days; 77 of them are 420.77.

    In our quarterly plan the quarters between owe nothing.
    """
    fee = shop.fee("Rent", "1000.00", every="P6M", term="in_arrears")
    rows = [
        Row("full", "2024-03-31", ["0.00", "1000.00", "0.00", "1000.00"]),
        Row("terminated", "2024-03-31", ["420.77"], "2024-06-16"),
    ]
    issued, contracts = yield from _live(shop, fee, "P3M", rows, "2025-04-01")
    assert issued == _expected(rows)
    assert _ends(shop, contracts["full"], "Rent")[:2] == ["2024-09-30", "2025-03-31"]


def lago_years(shop: Shop) -> Telling:
    """b02/yearly: 291 of the 366 days of 2024 are 795.08, its first 76 are 207.65.

    From 1 March 2024 a year has 365 days, of which 107 are 293.15. From 29 February it ends on
    28 February, twice.
    """
    fee = shop.fee("Rent", "1000.00", every="P1Y", term="in_arrears")
    rows = [
        Row("partial", "2024-03-16", ["795.08", "1000.00"], anchor="2024-01-01"),
        Row("terminated", "2024-01-01", ["207.65"], "2024-03-17", anchor="2024-01-01"),
        Row("leap day", "2024-02-29", ["1000.00"]),
        Row("anniversary terminated", "2024-03-01", ["293.15"], "2024-06-16"),
    ]
    issued, contracts = yield from _live(shop, fee, "P1Y", rows, "2026-01-01")
    assert issued == _expected(rows)
    assert _ends(shop, contracts["leap day"], "Rent")[:1] == ["2025-02-28"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
