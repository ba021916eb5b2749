"""Tales of pauses and what runs beside them: grace, boundaries, years in arrears, new prices.

January has 31 days; late usage is waited for a day.
"""

from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
DAY = at("2026-01-11")


def _ask(shop: Shop, contract: Contract, what: str) -> None:
    answer = shop.http.post(f"/v0/subscriptions/{contract.id}/{what}")
    assert answer.is_success, answer.text


def _sums(shop: Shop, contract: Contract) -> list[str]:
    return [f"{each.status} {each.grand_total}" for each in shop.invoices(contract)]


def resumed_before_its_invoice_is_drafted(shop: Shop) -> Telling:
    """31.00 in arrears and units; paused on 11 January, 00:00, resumed 12 hours later.

    The invoice of ten days is drafted on the 12th: 10.00 and 5 units, 15.00. From 12:00 on 20.5
    days are left: 20.50 and 3 units, 23.50. 4 units in the 12 hours are free.
    """
    units = shop.meter("Units", "1")
    plan = shop.plan(shop.fee("Rent", "31.00", term="in_arrears"), units)
    contract = shop.subscribe(plan)
    for instant, amount in (("05", 5), ("11T06:00", 4), ("15", 3)):
        shop.use(contract, units, amount, f"2026-01-{instant}")
    yield DAY
    _ask(shop, contract, "pause")
    yield at("2026-01-11T12:00")
    _ask(shop, contract, "resume")
    yield at("2026-02-02")
    assert _sums(shop, contract)[:2] == ["ISSUED 15.00", "ISSUED 23.50"]


def late_usage_of_both_sides_of_a_pause(shop: Shop) -> Telling:
    """Paused on the 11th, resumed on the 16th; on the 17th 2 late units of before: 5.00 + 2.00.

    5.00 are issued on the 12th; the 2.00 and the 3 units of after are on the next: 5.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 5, "2026-01-05")
    shop.use(contract, units, 3, "2026-01-20")
    yield DAY
    _ask(shop, contract, "pause")
    yield at("2026-01-16")
    _ask(shop, contract, "resume")
    yield at("2026-01-17")
    shop.use(contract, units, 2, "2026-01-06")
    yield at("2026-02-02")
    assert _sums(shop, contract)[:2] == ["ISSUED 5.00", "ISSUED 5.00"]


def resumed_on_the_boundary(shop: Shop) -> Telling:
    """31.00 in advance: January paid, paused on the 11th, resumed on 1 February: February is due.

    Its 31.00 is due at once, and March's on 1 March.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    yield DAY
    _ask(shop, contract, "pause")
    yield at("2026-02-01")
    _ask(shop, contract, "resume")
    yield at("2026-03-02")
    due = [each.split()[1] for each in _sums(shop, contract)]
    assert [each for each in due if each != "0.00"][:3] == ["31.00", "31.00", "31.00"]
    assert shop.invoices(contract)[-1].status == "ACTIVE"


def paused_and_resumed_at_one_instant(shop: Shop) -> Telling:
    """On the 11th both at once: 31.00 in arrears is 10.00 and 21.00, no second is lost or twice."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00", term="in_arrears")))
    yield DAY
    _ask(shop, contract, "pause")
    _ask(shop, contract, "resume")
    yield at("2026-02-02")
    assert _sums(shop, contract)[:2] == ["ISSUED 10.00", "ISSUED 21.00"]


def paused_and_resumed_at_its_start(shop: Shop) -> Telling:
    """A report of 99.00 once, in arrears: owed once, although two windows begin at the start."""
    once = shop.fee("Report", "99.00", every="P0D", term="in_arrears")
    contract = shop.subscribe(shop.plan(once))
    _ask(shop, contract, "pause")
    _ask(shop, contract, "resume")
    yield at("2026-03-02")
    assert sum(Decimal(each.grand_total) for each in shop.invoices(contract)) == 99


def a_year_in_arrears_with_two_pauses(shop: Shop) -> Telling:
    """365.00 a year, owed in 2027; paused from 11 to 21 January and from 31 January to 2 March.

    10 days 10.00, 10 days from the 21st 10.00, and the rest is owed when the year is over.
    """
    fee = shop.fee("Support", "365.00", every="P1Y", term="in_arrears")
    contract = shop.subscribe(shop.plan(fee))
    yield DAY
    _ask(shop, contract, "pause")
    yield at("2026-01-21")
    _ask(shop, contract, "resume")
    yield at("2026-01-31")
    _ask(shop, contract, "pause")
    yield at("2026-03-02")
    _ask(shop, contract, "resume")
    shop.terminate(contract)
    yield at("2026-03-04")
    due = [each.split()[1] for each in _sums(shop, contract)]
    assert [each for each in due if each != "0.00"] == ["10.00", "10.00"]


def a_price_that_changes_in_a_pause(shop: Shop) -> Telling:
    """Version 2 costs 2.00 a unit and comes in a pause; it counts from the next period on.

    Resumed on 21 January, which is January still: 5.00 before, 3 x 1.00, and 4 x 2.00 in February.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan)
    for day, amount in (("01-05", 5), ("01-25", 3), ("02-10", 4)):
        shop.use(contract, old, amount, f"2026-{day}")
    yield DAY
    _ask(shop, contract, "pause")
    yield at("2026-01-16")
    shop.mint(plan, units=new)
    yield at("2026-01-21")
    _ask(shop, contract, "resume")
    yield at("2026-03-02")
    assert _sums(shop, contract)[:3] == ["ISSUED 5.00", "ISSUED 3.00", "ISSUED 8.00"]


def a_price_that_changes_in_a_longer_pause(shop: Shop) -> Telling:
    """The same, resumed on 6 February: the period is a new one, and its 4 units cost 2.00 each."""
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan)
    shop.use(contract, old, 5, "2026-01-05")
    shop.use(contract, old, 4, "2026-02-10")
    yield DAY
    _ask(shop, contract, "pause")
    yield at("2026-01-16")
    shop.mint(plan, units=new)
    yield at("2026-02-06")
    _ask(shop, contract, "resume")
    yield at("2026-03-02")
    due = [each.split()[1] for each in _sums(shop, contract)]
    assert [each for each in due if each != "0.00"] == ["5.00", "8.00"]


def each_side_of_a_pause_is_a_period_of_its_own(shop: Shop) -> Telling:
    """What a meter owes by the period, it owes twice: paused on 11 January, back on the 21st.

    At least 5.00 of 3 %: 5.00 and 5.00. The first 10 units at 1.00, then 0.50: 12 and 8 units are
    11.00 and 8.00, not 15.00. 4 units of 4 and 6 are waived: 0.00 and 2.00.
    """
    least = {"percentage": "0.03", "minCharge": "5", "maxCharge": "50"}
    share = shop.meter("Share", model="percentage", properties=least)
    bands = shop.tiered("Bands", "graduated", ("10", "1"), (None, "0.5"))
    calls = shop.meter("Calls", "1")
    contracts = [shop.subscribe(shop.plan(meter)) for meter in (share, bands, calls)]
    waiver: Any = {
        "type": "usageDiscount",
        "usage_discount": "4",
        "target_price_ids": [calls.price_id],
        "effective_from": OPENED,
    }
    shop.client.subscriptions.create_subscription_adjustment(
        id=contracts[2].id, create_subscription_adjustment_request=waiver
    )
    for contract, meter, amounts in (
        (contracts[1], bands, (12, 8)),
        (contracts[2], calls, (4, 6)),
    ):
        shop.use(contract, meter, amounts[0], "2026-01-05")
        shop.use(contract, meter, amounts[1], "2026-01-25")
    yield DAY
    for contract in contracts:
        _ask(shop, contract, "pause")
    yield at("2026-01-21")
    for contract in contracts:
        _ask(shop, contract, "resume")
    yield at("2026-02-02")
    sums = [[each.split()[1] for each in _sums(shop, contract)[:2]] for contract in contracts]
    assert sums == [["5.00", "5.00"], ["11.00", "8.00"], ["0.00", "2.00"]]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
