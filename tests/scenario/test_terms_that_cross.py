"""Tales of terms of one's own beside all else: an end, a pause, late usage, discounts, versions.

January has 31 days. Late usage is not waited for here.
"""

from datetime import datetime
from typing import Any

from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
BOUNDARY = at("2026-02-01")
SECOND = at("2026-03-01")


def _add(shop: Shop, contract: Contract, key: str, rate: str | None, **members: Any) -> None:
    line = {
        "price_key": key,
        "unit_price": rate,
        "base_quantity": "1",
        "billing_cadence": "P1M",
        "billing_mode": "arrears",
        "start_date": OPENED,
    }
    request: Any = {"add": [line | members]}
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=request
    )


def _stepping(shop: Shop, when: datetime) -> Contract:
    """Seats at 31.00 in arrears: 1, and 3 from an instant on."""
    seats = shop.fee("Seats", "31.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(keyed={"seats": seats}))
    step = {"effective_date": when, "quantity": "3"}
    _add(shop, contract, "seats", None, quantity_transitions=[step])
    return contract


def _halved(shop: Shop) -> tuple[Meter, Contract]:
    """Calls at 1.00 until 16 January, at 0.50 from then on: 10 + 20 x 0.50 = 20.00."""
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(keyed={"calls": calls}))
    _add(shop, contract, "calls", "0.50", start_date=at("2026-01-16"))
    shop.use(contract, calls, 10, "2026-01-10")
    shop.use(contract, calls, 20, "2026-01-20")
    return calls, contract


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def _ask(shop: Shop, contract: Contract, what: str) -> None:
    answer = shop.http.post(f"/v0/subscriptions/{contract.id}/{what}")
    assert answer.is_success, answer.text


def ended_after_a_step(shop: Shop) -> Telling:
    """1 seat for ten days, 3 for ten more until the end on 21 January: 10.00 + 30.00."""
    contract = _stepping(shop, at("2026-01-11"))
    yield at("2026-01-21")
    shop.terminate(contract)
    yield BOUNDARY
    assert _totals(shop, contract) == ["40.00"]


def ended_before_a_step(shop: Shop) -> Telling:
    """The end on 6 January comes first: 5 days of 1 seat, 5.00."""
    contract = _stepping(shop, at("2026-01-11"))
    yield at("2026-01-06")
    shop.terminate(contract)
    yield BOUNDARY
    assert _totals(shop, contract) == ["5.00"]


def a_step_on_the_boundary(shop: Shop) -> Telling:
    """3 seats from 1 February on: 31.00 for January, 93.00 for February."""
    contract = _stepping(shop, BOUNDARY)
    yield SECOND
    assert _totals(shop, contract) == ["31.00", "93.00"]


def a_step_a_second_before_the_boundary(shop: Shop) -> Telling:
    """Two more seats for one of 2 678 400 seconds: 62.00 / 2 678 400 = 0.00002…: 31.00."""
    contract = _stepping(shop, at("2026-01-31T23:59:59"))
    yield SECOND
    assert _totals(shop, contract) == ["31.00", "93.00"]


def a_step_in_a_pause(shop: Shop) -> Telling:
    """Paused from the 6th to the 16th, stepped on the 11th: 5 x 1 = 5.00, 16 x 3 = 48.00."""
    contract = _stepping(shop, at("2026-01-11"))
    yield at("2026-01-06")
    _ask(shop, contract, "pause")
    yield at("2026-01-16")
    _ask(shop, contract, "resume")
    yield BOUNDARY
    assert _totals(shop, contract) == ["5.00", "48.00"]


def a_step_and_a_discount(shop: Shop) -> Telling:
    """10 x 1 + 21 x 3 = 73.00, half off: 36.50; February 93.00, half off: 46.50."""
    contract = _stepping(shop, at("2026-01-11"))
    deal: Any = {
        "type": "percentageDiscount",
        "percentage_discount": "0.5",
        "effective_from": OPENED,
    }
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=deal
    )
    yield SECOND
    assert _totals(shop, contract) == ["36.50", "46.50"]


def late_usage_at_two_rates(shop: Shop) -> Telling:
    """20.00; 4 late calls of the 10th cost 1.00 each, 6 of the 20th 0.50: 4.00 + 3.00 = 7.00."""
    calls, contract = _halved(shop)
    yield BOUNDARY
    shop.use(contract, calls, 4, "2026-01-10")
    shop.use(contract, calls, 6, "2026-01-20")
    yield SECOND
    assert _totals(shop, contract) == ["20.00", "7.00"]


def ended_between_two_rates(shop: Shop) -> Telling:
    """Ended on 18 January: 10 calls at 1.00 and 2 of the 17th at 0.50: 11.00."""
    calls, contract = _halved(shop)
    shop.use(contract, calls, 2, "2026-01-17")
    yield at("2026-01-18")
    shop.terminate(contract)
    yield BOUNDARY
    assert _totals(shop, contract) == ["11.00"]


def own_terms_after_a_pause(shop: Shop) -> Telling:
    """30.00 in advance, 24.00 from 1 February on; paused on 11 January, resumed on 15 February.

    14 of February's 28 days at the own rate: 12.00; then March: 24.00.
    """
    contract = shop.subscribe(shop.plan(keyed={"rent": shop.fee("Rent", "30.00")}))
    _add(shop, contract, "rent", "24.00", start_date=BOUNDARY, billing_mode="advance")
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-02-15")
    _ask(shop, contract, "resume")
    yield SECOND
    assert [each for each in _totals(shop, contract) if each != "0.00"] == [
        "30.00",
        "12.00",
        "24.00",
    ]


def moved_to_another_version(shop: Shop) -> Telling:
    """Units at 1.00; version 2 is the default at 2.00 and version 1 the one that is kept.

    One is moved to version 2 in the middle of January from February on: 10.00, then 20.00. Another
    at once: 20.00 for January as a whole.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    later, at_once, stays = (shop.subscribe(plan, version_policy="pinned") for _ in range(3))
    for contract in (later, at_once, stays):
        shop.use(contract, old, 10, "2026-01-10")
        shop.use(contract, old, 10, "2026-02-10")
    shop.mint(plan, units=new)
    yield at("2026-01-15")
    for contract, timing in ((later, "next_period"), (at_once, "immediate")):
        migration: Any = {"target_version_number": 2, "timing": timing}
        shop.client.subscriptions.migrate_subscription_version(id=contract.id, **migration)
    yield SECOND
    assert _totals(shop, later) == ["10.00", "20.00"]
    assert _totals(shop, at_once) == ["20.00", "20.00"]
    assert _totals(shop, stays) == ["10.00", "10.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
