"""Tales of boundaries: short months, leap years and clocks on walls that move.

Every boundary is counted from the anchor in UTC. Late usage is not waited for here: an invoice is
issued at its boundary.
"""

from datetime import datetime
from itertools import pairwise

from paygentic_sdk.models import Invoice

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-01-29T12:00")
GRACE = "PT0S"


def _periods(shop: Shop, contract: Contract, name: str) -> list[tuple[datetime, datetime]]:
    """The windows of a line, invoice by invoice, as far as they are issued."""
    issued = [each for each in shop.invoices(contract) if each.status != "ACTIVE"]
    return [shop.windows(contract, each.sequence_number)[name] for each in issued]


def _open(shop: Shop, contract: Contract) -> Invoice:
    return shop.invoices(contract)[-1]


def anchor_on_the_31st(shop: Shop) -> Telling:
    """31.00 a month in arrears from 31 January 2024: it ends on 29 Feb, 31 Mar and 30 Apr.

    February's clamp does not stay: the third boundary is the 31st again.
    """
    plan = shop.plan(shop.fee("Rent", "31.00", term="in_arrears"))
    yield at("2024-01-31T12:00")
    contract = shop.subscribe(plan)
    yield at("2024-04-30T12:00")
    days = [at(f"2024-{day}T12:00") for day in ("01-31", "02-29", "03-31", "04-30")]
    assert _periods(shop, contract, "Rent") == list(pairwise(days))
    assert shop.bills(contract)[:3] == ["ISSUED 31.00 + 0.00 = 31.00"] * 3
    assert _open(shop, contract).period_end == at("2024-05-31T12:00")


def anchor_on_the_30th(shop: Shop) -> Telling:
    """31.00 a month in advance from 30 January: 29 February, then 30 March and 30 April."""
    plan = shop.plan(shop.fee("Rent", "31.00"))
    yield at("2024-01-30T12:00")
    contract = shop.subscribe(plan)
    yield at("2024-04-30T12:00")
    days = [at(f"2024-{day}T12:00") for day in ("01-30", "02-29", "03-30", "04-30", "05-30")]
    assert _periods(shop, contract, "Rent") == list(pairwise(days))


def anchor_on_the_29th_of_a_leap_year(shop: Shop) -> Telling:
    """From 29 January 2024 the boundaries never move: the 29th of every month."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    yield at("2024-04-30T12:00")
    days = [at(f"2024-{day}T12:00") for day in ("01-29", "02-29", "03-29", "04-29", "05-29")]
    assert _periods(shop, contract, "Rent") == list(pairwise(days))


def usage_on_the_boundary_counts_once(shop: Shop) -> Telling:
    """1.00 a unit; a period holds its start and not its end.

    1 unit at 29 Jan 12:00:00, 2 a microsecond before 29 Feb 12:00 and 4 at that instant:
    1 + 2 = 3.00 in the first period, 4.00 in the second.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 1, "2024-01-29T12:00:00")
    shop.use(contract, units, 2, "2024-02-29T11:59:59.999999")
    shop.use(contract, units, 4, "2024-02-29T12:00:00")
    yield at("2024-04-30T12:00")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)[:2]] == ["3.00", "4.00"]


def monthly_fee_in_a_quarterly_plan(shop: Shop) -> Telling:
    """10.00 a month in advance, billed by the quarter: 29 Jan, 29 Feb and 29 Mar at once: 30.00.

    The same in arrears: nothing at the start, 30.00 on 29 April together with the next 30.00.
    """
    ahead, behind = shop.fee("Ahead", "10.00"), shop.fee("Behind", "10.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(ahead, behind, billing_cadence="P3M"))
    starts = [line.period_start for line in shop.lines(contract, 0)]
    assert starts == [at(f"2024-{day}T12:00") for day in ("01-29", "02-29", "03-29")]
    yield at("2024-04-30T12:00")
    assert shop.bills(contract)[:2] == [
        "PAID 30.00 + 0.00 = 30.00",
        "ISSUED 60.00 + 0.00 = 60.00",
    ]
    assert len(shop.lines(contract, 1)) == 6


def daylight_saving_does_not_move_a_boundary(shop: Shop) -> Telling:
    """Started at 09:00 in Berlin on 1 March (+01:00), which is 08:00 UTC; 1.00 a unit.

    The boundary is 1 April 08:00 UTC, 10:00 on Berlin's clocks of then (+02:00): 1 unit at
    09:59:59 and 2 at 10:00:00 there. A local 09:30 lies before it: 4 units. 1 + 4 = 5.00.
    """
    units = shop.meter("Units", "1")
    plan = shop.plan(units)
    yield at("2024-03-01T08:00")
    contract = shop.subscribe(plan, at("2024-03-01T09:00:00+01:00"))
    assert contract.first.started_at == at("2024-03-01T08:00")
    shop.use(contract, units, 1, "2024-04-01T09:59:59+02:00")
    shop.use(contract, units, 2, "2024-04-01T10:00:00+02:00")
    shop.use(contract, units, 4, "2024-04-01T09:30:00+02:00")
    yield at("2024-04-30T12:00")
    assert shop.bills(contract) == ["ISSUED 5.00 + 0.00 = 5.00", "ACTIVE 2.00 + 0.00 = 2.00"]


def the_night_with_an_hour_less(shop: Shop) -> Telling:
    """New York skips 02:00 to 03:00 on 10 March; the anchor 00:30 (-05:00) is 05:30 UTC.

    A stub from 10 March 05:30 to 1 April 05:30 UTC is 22 of March's 31 days, whatever clocks on
    walls do: 31.00 x 22 / 31 = 22.00.
    """
    plan = shop.plan(shop.fee("Rent", "31.00"), billing_anchor=at("2023-12-31T23:30:00-06:00"))
    yield at("2024-03-10T05:30")
    contract = shop.subscribe(plan, at("2024-03-10T00:30:00-05:00"))
    assert shop.bills(contract)[0] == "PAID 22.00 + 0.00 = 22.00"
    assert shop.windows(contract, 0)["Rent"][1] == at("2024-04-01T01:30:00-04:00")


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
