"""Tales of terms of one's own: rates, quantities and extra lines over time, through the client."""

from datetime import datetime
from typing import Any

import pytest
from paygentic_sdk.errors import PaygenticError
from paygentic_sdk.models import EditSubscriptionIntervalsResponse

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"


def _edit(shop: Shop, contract: Contract, **operations: Any) -> EditSubscriptionIntervalsResponse:
    request: Any = operations
    return shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=request
    )


def _line(key: str, rate: str | None, start: datetime, **members: Any) -> dict[str, Any]:
    return {
        "price_key": key,
        "unit_price": rate,
        "base_quantity": "1",
        "billing_cadence": "P1M",
        "billing_mode": "arrears",
        "start_date": start,
    } | members


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def a_rate_in_advance_from_the_next_period(shop: Shop) -> Telling:
    """30.00 in advance; 24.00 for February and March, which the projection knows; then 30.00."""
    contract = shop.subscribe(shop.plan(keyed={"rent": shop.fee("Rent", "30.00")}))
    own = _line(
        "rent", "24.00", at("2026-02-01"), end_date=at("2026-04-01"), billing_mode="advance"
    )
    with pytest.raises(PaygenticError, match="billed"):
        _edit(shop, contract, add=[own | {"start_date": at("2026-01-15")}])
    _edit(shop, contract, add=[own])
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=shop.now, to=at("2026-04-02")
    )
    assert [each.subtotal for each in planned.data] == ["24.00", "24.00", "30.00"]
    yield at("2026-04-01")
    assert _totals(shop, contract) == ["30.00", "24.00", "24.00", "30.00"]


def seats_that_step_within_the_month(shop: Shop) -> Telling:
    """Seats at 31.00 in arrears: 1, from 11 January 3: 10 x 1 + 21 x 3 = 73.00; then 93.00."""
    seats = shop.fee("Seats", "31.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(keyed={"seats": seats}))
    _edit(
        shop, contract,
        add=[_line("seats", None, OPENED, quantity_transitions=[
            {"effective_date": at("2026-01-11"), "quantity": "3"},
        ])],
    )  # fmt: skip
    yield at("2026-03-01")
    assert _totals(shop, contract) == ["73.00", "93.00"]


def a_minimum_over_steps(shop: Shop) -> Telling:
    """January's 1 and 3 seats are 73/31 on average; a minimum of 3 bills 93.00 for the month."""
    seats = shop.fee("Seats", "31.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(keyed={"seats": seats}))
    steps = [{"effective_date": at("2026-01-11"), "quantity": "3"}]
    _edit(shop, contract, add=[_line("seats", None, OPENED, quantity_transitions=steps)])
    request: Any = {
        "type": "minimumQuantity", "minimum_quantity": "3", "target_price_ids": [seats],
        "effective_from": OPENED,
    }  # fmt: skip
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    )
    yield at("2026-02-01")
    assert _totals(shop, contract) == ["93.00"]


def usage_at_two_rates_in_a_month(shop: Shop) -> Telling:
    """Calls at 1.00 until 16 January, 0.50 from then on: 10 + 20 x 0.50 = 20.00."""
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(keyed={"calls": calls}))
    _edit(shop, contract, add=[_line("calls", "0.50", at("2026-01-16"))])
    shop.use(contract, calls, 10, "2026-01-15T23:59:59")
    shop.use(contract, calls, 20, "2026-01-16")
    yield at("2026-02-01")
    assert _totals(shop, contract) == ["20.00"]


def a_yearly_line_of_its_own_begins_in_the_year(shop: Shop) -> Telling:
    """365.00 a year in advance beside 10.00 a month, from 1 February: 334 of 365 days, 334.00.

    Then once in January 2027.
    """
    support = shop.fee("Support", "365.00", every="P1Y")
    contract = shop.subscribe(shop.plan(keyed={"rent": shop.fee("Rent", "10.00")}))
    own = _line(
        "support", "365.00", at("2026-02-01"),
        price_id=support, billing_cadence="P1Y", billing_mode="advance",
    )  # fmt: skip
    _edit(shop, contract, add=[own])
    yield at("2026-03-01")
    assert _totals(shop, contract) == ["10.00", "344.00", "10.00"]
    yield at("2027-01-01")
    assert _totals(shop, contract)[-2:] == ["10.00", "375.00"]


def a_line_ends_inside_a_month(shop: Shop) -> Telling:
    """Rent of 31.00 in arrears is closed at 11 January: 10.00, and nothing after it."""
    contract = shop.subscribe(
        shop.plan(keyed={"rent": shop.fee("Rent", "31.00", term="in_arrears")})
    )
    (rent,) = shop.client.subscriptions.get_subscription_intervals(id=contract.id).intervals
    edited = _edit(shop, contract, edit=[{"id": rent.id, "end_date": at("2026-01-11")}])
    assert (edited.line_items.created, edited.line_items.removed) == (1, 1)
    yield at("2026-03-01")
    assert _totals(shop, contract) == ["10.00", "0.00"]


def billed_once_in_the_middle(shop: Shop) -> Telling:
    """99.00 once, on 10 February: on the invoice of 1 March, and on no other."""
    setup = shop.fee("Set-up", "1.00", every="P0D")
    contract = shop.subscribe(shop.plan(keyed={"rent": shop.fee("Rent", "10.00")}))
    own = _line(
        "setup", "99.00", OPENED,
        price_id=setup, billing_cadence="one_off", bill_date=at("2026-02-10"),
    )  # fmt: skip
    _edit(shop, contract, add=[own])
    yield at("2026-04-01")
    assert _totals(shop, contract) == ["10.00", "10.00", "109.00", "10.00"]
    kept = shop.client.subscriptions.get_subscription_intervals(id=contract.id).intervals
    once = next(each for each in kept if each.price_key == "setup")
    with pytest.raises(PaygenticError, match="billed"):
        _edit(shop, contract, remove=[{"id": once.id}])


def an_own_line_stays_over_a_version(shop: Shop) -> Telling:
    """Support of 5.00 beside rent of 10.00, which version 2 sells for 12.00 from February."""
    support = shop.fee("Support", "5.00")
    plan = shop.plan(keyed={"rent": shop.fee("Rent", "10.00")})
    contract = shop.subscribe(plan)
    own = _line("support", "5.00", at("2026-02-01"), price_id=support, billing_mode="advance")
    _edit(shop, contract, add=[own])
    shop.mint(plan, rent=shop.fee("Rent", "12.00"))
    shop.client.subscriptions.migrate_subscription_version(id=contract.id, target_version_number=2)
    keys = [
        (each.price_key, each.start_date, each.end_date)
        for each in shop.client.subscriptions.get_subscription_intervals(id=contract.id).intervals
    ]
    assert keys == [
        ("rent", OPENED, at("2026-02-01")),
        ("rent", at("2026-02-01"), None),
        ("support", at("2026-02-01"), None),
    ]
    yield at("2026-02-01")
    assert _totals(shop, contract) == ["10.00", "17.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
