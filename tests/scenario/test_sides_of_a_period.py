"""Tales of periods that have sides: what a pause, another plan or terms of one's own leave of them.

Rates are prorated by time; what is owed whole is owed once (docs/adr/0058). Every invoice is worked
out again from its explanation alone.
"""

from datetime import datetime
from fractions import Fraction
from typing import Any

import httpx2

from tests.api import by_hand
from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
NAMES = {
    "percentageDiscount": "percentage_discount",
    "usageDiscount": "usage_discount",
    "minimumQuantity": "minimum_quantity",
    "maximumQuantity": "maximum_quantity",
}


def _agree(
    shop: Shop, contract: Contract, kind: str, value: str, since: datetime, *targets: str
) -> None:
    members: dict[str, Any] = {"target_price_ids": list(targets)} if targets else {}
    request: Any = {"type": kind, NAMES[kind]: value, "effective_from": since, **members}
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    )


def _ask(shop: Shop, contract: Contract, what: str) -> None:
    shop.http.post(f"/v0/subscriptions/{contract.id}/{what}").raise_for_status()


def _paused(shop: Shop, contract: Contract) -> Telling:
    """From 11 to 21 January."""
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-01-21")
    _ask(shop, contract, "resume")


def _operate(shop: Shop, method: str, path: str, **body: Any) -> Any:
    answer = shop.http.request(
        method,
        f"/internal/v1/{path}",
        json=body or None,
        headers={"Authorization": f"Bearer {shop._admin_key}"},
        timeout=httpx2.Timeout(60),
    )
    assert answer.is_success, answer.text
    return answer.json()


def _own(key: str, rate: str, start: datetime, **members: Any) -> dict[str, Any]:
    return {
        "price_key": key,
        "unit_price": rate,
        "base_quantity": "1",
        "billing_cadence": "P1M",
        "billing_mode": "arrears",
        "start_date": start,
    } | members


def _sums(shop: Shop, contract: Contract) -> list[str]:
    """What each closed invoice comes to, after its explanation was worked out by hand."""
    closed = [each for each in shop.invoices(contract) if each.status != "ACTIVE"]
    for invoice in closed:
        told = _operate(shop, "GET", f"invoices/{invoice.id}/explanation")
        assert told["agrees"], told
        subtotal, tax = by_hand.due(told, by_hand.recompute(told))
        assert (subtotal, tax) == (
            Fraction(str(invoice.subtotal)),
            Fraction(str(invoice.total_tax)),
        ), told
    return [str(each.subtotal) for each in closed]


def a_minimum_over_a_pause(shop: Shop) -> Telling:
    """Calls at 1.00, at least 10 a period; paused from 11 to 21 January.

    4 calls until the pause: the 10 are owed, 10.00. With 3 more the period has come to 7: nothing
    is left to ask. Somebody else comes to 4 + 9 = 13: 3.00 more. February is a period: 10.00.
    """
    calls = shop.meter("Calls", "1.00")
    plan = shop.plan(calls)
    few, many = shop.subscribe(plan), shop.subscribe(plan)
    for contract in (few, many):
        _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
        shop.use(contract, calls, 4, "2026-01-05")
    yield at("2026-01-11")
    for contract in (few, many):
        _ask(shop, contract, "pause")
    yield at("2026-01-21")
    for contract, used in ((few, 3), (many, 9)):
        _ask(shop, contract, "resume")
        shop.use(contract, calls, used, "2026-01-25")
    assert [each.subtotal for each in shop.invoices(many)] == ["10.00", "3.00"]
    yield at("2026-03-01")
    assert _sums(shop, few) == ["10.00", "0.00", "10.00"]
    assert _sums(shop, many) == ["10.00", "3.00", "10.00"]


def bands_over_a_pause(shop: Shop) -> Telling:
    """10 units at 1.00 and more at 0.50: each side is rated by itself, as each window is.

    15 until the pause are 10.00 + 2.50; 12 after it 10.00 + 1.00.
    """
    units = shop.tiered("Units", "graduated", ("10", "1.00"), (None, "0.50"))
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 15, "2026-01-05")
    yield from _paused(shop, contract)
    shop.use(contract, units, 12, "2026-01-25")
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["12.50", "11.00"]


def bands_under_a_minimum_over_a_pause(shop: Shop) -> Telling:
    """The same bands, at least 20 units: 15 are billed as 20, 10.00 + 5.00 = 15.00.

    With 12 more the period has come to 27: 7 of them are left, from the first band on: 7.00.
    """
    units = shop.tiered("Units", "graduated", ("10", "1.00"), (None, "0.50"))
    contract = shop.subscribe(shop.plan(units))
    _agree(shop, contract, "minimumQuantity", "20", OPENED, units.price_id)
    shop.use(contract, units, 15, "2026-01-05")
    yield from _paused(shop, contract)
    shop.use(contract, units, 12, "2026-01-25")
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["15.00", "7.00"]


def a_maximum_over_a_plan_change(shop: Shop) -> Telling:
    """Calls at 1.00, then at 2.00 under the same key, at most 10 a period.

    8 until the change: 8.00. 5 after it, of which the maximum leaves 2: 4.00. Under another key,
    what the other plan bills is a price of its own: 5 x 2.00 = 10.00.
    """
    metric = shop.metric("Calls")
    old, new = (shop.meter("Calls", rate, of=metric) for rate in ("1.00", "2.00"))
    plan = shop.plan(keyed={"calls": old})
    same, other = shop.subscribe(plan), shop.subscribe(plan)
    better = [(same, shop.plan(keyed={"calls": new})), (other, shop.plan(keyed={"more": new}))]
    for contract, _ in better:
        _agree(shop, contract, "maximumQuantity", "10", OPENED, old.price_id)
        shop.use(contract, old, 8, "2026-01-05")
    yield at("2026-01-11")
    for contract, plan_id in better:
        _operate(shop, "POST", f"subscriptions/{contract.id}/planChange", planId=plan_id, at="now")
        shop.use(contract, new, 5, "2026-01-15")
    yield at("2026-02-01")
    assert _sums(shop, same) == ["8.00", "4.00"]
    assert _sums(shop, other) == ["8.00", "10.00"]


def late_usage_of_the_first_side(shop: Shop) -> Telling:
    """Calls at 1.00, at least 10; 4 until the pause and 9 after it: 10.00 and 3.00.

    2 more of the first side are reported in February: the period comes to 15, so 2.00 are missing,
    beside February's own 10.00. Had they come while it was paused, the second side owed 15 - 10.
    """
    calls = shop.meter("Calls", "1.00")
    plan = shop.plan(calls)
    after, between = shop.subscribe(plan), shop.subscribe(plan)
    for contract in (after, between):
        _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
        shop.use(contract, calls, 4, "2026-01-05")
    yield at("2026-01-11")
    for contract in (after, between):
        _ask(shop, contract, "pause")
    yield at("2026-01-15")
    shop.use(between, calls, 2, "2026-01-06")
    yield at("2026-01-21")
    for contract in (after, between):
        _ask(shop, contract, "resume")
        shop.use(contract, calls, 9, "2026-01-25")
    yield at("2026-02-10")
    shop.use(after, calls, 2, "2026-01-06")
    yield at("2026-03-01")
    assert _sums(shop, after) == ["10.00", "3.00", "12.00"]
    assert _sums(shop, between) == ["10.00", "5.00", "10.00"]


def late_usage_that_a_minimum_has_paid_for(shop: Shop) -> Telling:
    """At least 10; 4 and 3: 10.00 and nothing. Two late calls make it 9, which are paid for.

    Two more make it 11: 1.00 is owed in March, beside the 10.00 of each month.
    """
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(calls))
    _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
    shop.use(contract, calls, 4, "2026-01-05")
    yield from _paused(shop, contract)
    shop.use(contract, calls, 3, "2026-01-25")
    yield at("2026-02-10")
    shop.use(contract, calls, 2, "2026-01-06")
    yield at("2026-03-10")
    shop.use(contract, calls, 2, "2026-01-26")
    yield at("2026-04-01")
    assert _sums(shop, contract) == ["10.00", "0.00", "10.00", "11.00"]


def late_usage_under_two_rates(shop: Shop) -> Telling:
    """Calls at 1.00 until 16 January, at 0.50 from then on, at least 10; 2 and 3 are used.

    Scaled to 10: 4 x 1.00 + 6 x 0.50 = 7.00. One late call of the first part: 3 and 3 are scaled to
    5 x 1.00 + 5 x 0.50 = 7.50, so 0.50 is missing beside February's 10 x 0.50.
    """
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(keyed={"calls": calls}))
    edit: Any = {"add": [_own("calls", "0.50", at("2026-01-16"))]}
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=edit
    )
    _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
    shop.use(contract, calls, 2, "2026-01-05")
    shop.use(contract, calls, 3, "2026-01-20")
    yield at("2026-02-10")
    shop.use(contract, calls, 1, "2026-01-06")
    yield at("2026-03-01")
    assert _sums(shop, contract) == ["7.00", "5.50"]


def a_discount_that_enters_on_the_second_side(shop: Shop) -> Telling:
    """31.00 in arrears, half off from 26 January; paused from the 11th to the 21st.

    10.00 for ten days; then 11.00 for eleven, of which six are halved: 11.00 - 3.00 = 8.00.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Care", "31.00", term="in_arrears")))
    _agree(shop, contract, "percentageDiscount", "0.5", at("2026-01-26"))
    yield from _paused(shop, contract)
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["10.00", "8.00"]


def a_fee_that_enters_before_a_pause_and_leaves_after_it(shop: Shop) -> Telling:
    """31.00 a month in arrears from 6 to 26 January, paused from the 11th to the 21st: 5.00 twice.

    Calls at 1.00 are billed on both sides: 4.00 and 3.00; in February only calls, 2.00.
    """
    support = shop.fee("Support", "31.00", term="in_arrears")
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(calls))
    own = _own("support", "31.00", at("2026-01-06"), end_date=at("2026-01-26"), price_id=support)
    edit: Any = {"add": [own]}
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=edit
    )
    shop.use(contract, calls, 4, "2026-01-05")
    yield from _paused(shop, contract)
    shop.use(contract, calls, 3, "2026-01-25")
    yield at("2026-02-10")
    shop.use(contract, calls, 2)
    yield at("2026-03-01")
    assert _sums(shop, contract) == ["9.00", "8.00", "2.00"]


def two_pauses_in_one_period(shop: Shop) -> Telling:
    """Calls at 1.00, at least 10 and at most 12; 4, 3 and 6 on three sides.

    The minimum with the first: 10.00. 7 are within it: nothing. 13 are one more than the maximum:
    2.00. Care at 31.00: 4 days, 5 days and 12 days.
    """
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(shop.fee("Care", "31.00", term="in_arrears"), calls))
    _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
    _agree(shop, contract, "maximumQuantity", "12", OPENED, calls.price_id)
    shop.use(contract, calls, 4, "2026-01-02")
    for day, what in (("05", "pause"), ("10", "resume"), ("15", "pause"), ("20", "resume")):
        yield at(f"2026-01-{day}")
        _ask(shop, contract, what)
    shop.use(contract, calls, 3, "2026-01-12")
    shop.use(contract, calls, 6, "2026-01-25")
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["14.00", "5.00", "14.00"]


def a_pause_over_the_end_of_a_period(shop: Shop) -> Telling:
    """Calls at 1.00, at least 10, and 31.00 that is owed whole; paused from 21 January.

    January owes both at the pause, with 4 calls: 41.00. Back on 11 February, which asks nothing in
    advance, 0.00: the rest of it is a side of another period, so its 3 calls are 10 again, 10.00.
    What is owed whole waits for March, which pays 31.00 + 10.00.
    """
    calls = shop.meter("Calls", "1.00")
    licence = shop.fee("Licence", "31.00", term="in_arrears", is_obligation=True)
    contract = shop.subscribe(shop.plan(licence, calls))
    _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
    shop.use(contract, calls, 4, "2026-01-05")
    yield at("2026-01-21")
    _ask(shop, contract, "pause")
    yield at("2026-02-11")
    _ask(shop, contract, "resume")
    shop.use(contract, calls, 3, "2026-02-20")
    yield at("2026-04-01")
    assert _sums(shop, contract) == ["41.00", "0.00", "10.00", "41.00"]


def what_is_owed_whole_is_owed_once(shop: Shop) -> Telling:
    """31.00 whole and 31.00 by time, both in arrears; paused from 11 to 21 January.

    31.00 + 10.00 at the pause, 11.00 for the rest; what is projected after it is what comes.
    """
    licence = shop.fee("Licence", "31.00", term="in_arrears", is_obligation=True)
    contract = shop.subscribe(shop.plan(licence, shop.fee("Care", "31.00", term="in_arrears")))
    yield from _paused(shop, contract)
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=shop.now, to=at("2026-03-02")
    )
    assert [each.subtotal for each in planned.data] == ["11.00", "62.00"]
    yield at("2026-03-01")
    assert _sums(shop, contract) == ["41.00", "11.00", "62.00"]


def seats_under_a_minimum_over_a_pause(shop: Shop) -> Telling:
    """2 seats at 31.00 in arrears, at least 3: a rate by time, so 3 x 10.00 and 3 x 11.00."""
    seats = shop.fee("Seats", "31.00", term="in_arrears", quantity=2)
    contract = shop.subscribe(shop.plan(seats))
    _agree(shop, contract, "minimumQuantity", "3", OPENED, seats)
    yield from _paused(shop, contract)
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["30.00", "33.00"]


def waived_units_on_both_sides(shop: Shop) -> Telling:
    """5 calls of each line are waived, and at least 4 are billed; 8 until the pause, 6 after it.

    3 are left and billed as 4; then 1 more is left, 4 in all, which are paid for: 4.00 and nothing.
    """
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(calls))
    _agree(shop, contract, "usageDiscount", "5", OPENED, calls.price_id)
    _agree(shop, contract, "minimumQuantity", "4", OPENED, calls.price_id)
    shop.use(contract, calls, 8, "2026-01-05")
    yield from _paused(shop, contract)
    shop.use(contract, calls, 6, "2026-01-25")
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["4.00", "0.00"]


def terminated_on_the_second_side(shop: Shop) -> Telling:
    """Calls at 1.00, at least 10: 4 until the pause, 10.00; 7 until the end, 1.00 more."""
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(calls))
    _agree(shop, contract, "minimumQuantity", "10", OPENED, calls.price_id)
    shop.use(contract, calls, 4, "2026-01-05")
    yield from _paused(shop, contract)
    shop.use(contract, calls, 7, "2026-01-22")
    yield at("2026-01-25")
    shop.terminate(contract)
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["10.00", "1.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
