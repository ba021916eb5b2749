"""Tales of endings: terminated at, before and after a boundary, ended as agreed, never begun.

The month is March, 31 days or 2 678 400 seconds. Late usage is not waited for here.
"""

from decimal import Decimal
from typing import Any

import pytest
from paygentic_sdk import errors

from tests.scenario.changing import posted
from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-03-01")
GRACE = "PT0S"
BOUNDARY = at("2025-04-01")


def _arrears(shop: Shop, amount: str = "31.00", **terms: Any) -> str:
    return shop.fee("Rent", amount, term="in_arrears", **terms)


def _metered(shop: Shop) -> tuple[Meter, Contract]:
    """One unit costs 1.00, and a month's rent of 31.00 is owed when it is over."""
    units = shop.meter("Units", "1")
    return units, shop.subscribe(shop.plan(_arrears(shop), units))


def terminated_in_the_middle(shop: Shop) -> Telling:
    """On 11 March, after 10 of 31 days: 31.00 x 10 / 31 = 10.00 and 5 units, 15.00."""
    units, contract = _metered(shop)
    shop.use(contract, units, 5)
    shop.use(contract, units, 7, "2025-03-11T00:00:00")
    yield at("2025-03-11")
    ended = shop.terminate(contract)
    assert (ended.status, ended.terminated_at) == ("terminated", at("2025-03-11"))
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 15.00 + 0.00 = 15.00"]
    assert shop.windows(contract, 0)["Units"] == (OPENED, at("2025-03-11"))


def terminated_a_second_before_the_boundary(shop: Shop) -> Telling:
    """2 678 400.00 for the month, 1.00 a second: all but one second, 2 678 399.00.

    Nothing of April is billed.
    """
    contract = shop.subscribe(shop.plan(_arrears(shop, "2678400.00")))
    yield at("2025-03-31T23:59:59")
    shop.terminate(contract)
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 2678399.00 + 0.00 = 2678399.00"]


def terminated_at_the_boundary(shop: Shop) -> Telling:
    """March is owed whole and once: 31.00 and 2 units; the window that began is empty: 0.00."""
    units, contract = _metered(shop)
    shop.use(contract, units, 2, "2025-03-31T23:59:59")
    shop.use(contract, units, 4, BOUNDARY)
    yield BOUNDARY
    shop.terminate(contract)
    yield at("2025-04-02")
    assert shop.bills(contract) == ["ISSUED 33.00 + 0.00 = 33.00", "PAID 0.00 + 0.00 = 0.00"]
    assert shop.lines(contract, 1) == []


def terminated_a_second_after_the_boundary(shop: Shop) -> Telling:
    """April has 2 592 000 seconds; at 1.00 a second for April its first owes 1.00.

    March is owed whole before that: 2 592 000.00.
    """
    contract = shop.subscribe(shop.plan(_arrears(shop, "2592000.00")))
    yield at("2025-04-01T00:00:01")
    shop.terminate(contract)
    yield at("2025-04-02")
    assert shop.bills(contract) == [
        "ISSUED 2592000.00 + 0.00 = 2592000.00",
        "ISSUED 1.00 + 0.00 = 1.00",
    ]


def a_fee_in_advance_is_not_given_back(shop: Shop) -> Telling:
    """31.00 paid for March, terminated on 11 March: nothing more, and nothing back."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    yield at("2025-03-11")
    shop.terminate(contract)
    yield BOUNDARY
    assert shop.bills(contract) == ["PAID 31.00 + 0.00 = 31.00", "PAID 0.00 + 0.00 = 0.00"]


def an_obligation_is_owed_whole(shop: Shop) -> Telling:
    """31.00 in arrears as an obligation, terminated on 11 March: 31.00, not 10.00."""
    contract = shop.subscribe(shop.plan(_arrears(shop, is_obligation=True)))
    yield at("2025-03-11")
    shop.terminate(contract)
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 31.00 + 0.00 = 31.00"]


def a_year_in_arrears_is_cut_too(shop: Shop) -> Telling:
    """365.00 a year in a monthly plan, owed in March 2026; on 11 March 2025 10 days: 10.00."""
    fee = shop.fee("Support", "365.00", every="P1Y", term="in_arrears")
    contract = shop.subscribe(shop.plan(fee))
    yield at("2025-03-11")
    shop.terminate(contract)
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 10.00 + 0.00 = 10.00"]


def a_quarterly_plan_is_cut(shop: Shop) -> Telling:
    """1 March to 1 June has 92 days: 92.00 in arrears, on 11 March 10.00; and 3 units."""
    units = shop.meter("Units", "1")
    fee = shop.fee("Rent", "92.00", every="P3M", term="in_arrears")
    contract = shop.subscribe(shop.plan(fee, units, billing_cadence="P3M"))
    shop.use(contract, units, 3)
    yield at("2025-03-11")
    shop.terminate(contract)
    yield BOUNDARY
    assert shop.charges(contract, 0) == {"Rent": 10, "Units": 3}


def agreed_to_end_in_the_middle(shop: Shop) -> Telling:
    """`endingAt` on 16 March 12:00, after 15.5 of 31 days: 15.50, and no invoice after it."""
    contract = shop.subscribe(shop.plan(_arrears(shop)), ending_at=at("2025-03-16T12:00"))
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 15.50 + 0.00 = 15.50"]
    ended = shop.client.subscriptions.get(id=contract.id)
    assert (ended.status, ended.termination_reason) == ("terminated", "ended")
    assert ended.terminated_at == at("2025-03-16T12:00")


def agreed_to_end_at_the_boundary(shop: Shop) -> Telling:
    """31.00 in advance and 1.00 a unit until 1 April: 31.00, then 3 units, and April's fee never.

    Nothing of April was used, so nothing else is owed.
    """
    units = shop.meter("Units", "1")
    plan = shop.plan(shop.fee("Rent", "31.00"), units)
    contract = shop.subscribe(plan, ending_at=BOUNDARY)
    shop.use(contract, units, 3)
    yield at("2025-04-02")
    assert [each.split(" = ")[1] for each in shop.bills(contract)][:2] == ["31.00", "3.00"]
    assert sum(Decimal(each.grand_total) for each in shop.invoices(contract)) == 34


def the_last_invoice_shows_what_it_will_bill(shop: Shop) -> Telling:
    """31.00 in advance and 1.00 a unit until 1 April: the open invoice is 3.00, not 34.00.

    With the end taken back April's fee comes after all, and the invoice shows it: 34.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00"), units), ending_at=BOUNDARY)
    shop.use(contract, units, 3)
    assert shop.bills(contract)[1] == "ACTIVE 3.00 + 0.00 = 3.00"
    posted(shop, contract, "/terminationAtPeriodEnd", method="DELETE")
    assert shop.bills(contract)[1] == "ACTIVE 34.00 + 0.00 = 34.00"
    yield BOUNDARY
    assert shop.bills(contract)[1] == "ISSUED 34.00 + 0.00 = 34.00"


def a_cut_invoice_shows_what_it_will_bill(shop: Shop) -> Telling:
    """Until 16 March 12:00, 31.00 in arrears: 15.50 of it, and 2 units; 5 of 20 March are not.

    The running year of 365.00 in arrears is cut there too: 15.5 days, 15.50. 33.00 together.
    """
    units = shop.meter("Units", "1")
    yearly = shop.fee("Support", "365.00", every="P1Y", term="in_arrears")
    plan = shop.plan(_arrears(shop), yearly, units)
    contract = shop.subscribe(plan, ending_at=at("2025-03-16T12:00"))
    shop.use(contract, units, 2, "2025-03-10")
    shop.use(contract, units, 5, "2025-03-20")
    assert shop.bills(contract) == ["ACTIVE 33.00 + 0.00 = 33.00"]
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 33.00 + 0.00 = 33.00"]


def agreed_to_end_a_second_after_the_boundary(shop: Shop) -> Telling:
    """April's fee in advance falls due at its first instant, so it is owed: 31.00 + 31.00."""
    plan = shop.plan(shop.fee("Rent", "31.00"))
    contract = shop.subscribe(plan, ending_at=at("2025-04-01T00:00:01"))
    yield at("2025-04-02")
    assert [each.split(" = ")[1] for each in shop.bills(contract)] == ["31.00", "31.00", "0.00"]


def never_paid_and_terminated(shop: Shop) -> Telling:
    """A first invoice of 31.00 that nobody paid is CANCELLED with its subscription."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")), pays=False)
    assert shop.terminate(contract).status == "terminated"
    assert shop.bills(contract) == ["CANCELLED 31.00 + 0.00 = 31.00"]
    yield BOUNDARY
    assert len(shop.invoices(contract)) == 1


def never_paid_until_the_checkout_expires(shop: Shop) -> Telling:
    """A checkout lives 240 minutes: at 03:59 it can be paid, at 04:00 it is gone."""
    plan = shop.plan(shop.fee("Rent", "31.00"))
    contract = shop.subscribe(plan, pays=False)
    in_time = shop.subscribe(plan, pays=False)
    yield at("2025-03-01T03:59")
    shop.transfer(shop.invoices(in_time)[0].id)
    shop.await_status(in_time, "active")
    yield at("2025-03-01T04:00")
    late = shop.client.subscriptions.get(id=contract.id)
    assert (late.status, late.termination_reason) == ("terminated", "payment_session_expired")
    assert shop.bills(contract) == ["CANCELLED 31.00 + 0.00 = 31.00"]
    with pytest.raises(errors.PaygenticError):
        shop.transfer(shop.invoices(contract)[0].id)
    assert shop.client.subscriptions.get(id=in_time.id).status == "active"


def terminated_before_it_begins(shop: Shop) -> Telling:
    """A start on 20 March, terminated on 11 March: its invoice is CANCELLED, nothing is owed."""
    plan = shop.plan(shop.fee("Rent", "31.00"))
    contract = shop.subscribe(plan, at("2025-03-20"))
    yield at("2025-03-11")
    shop.terminate(contract)
    yield BOUNDARY
    assert [each.split()[0] for each in shop.bills(contract)] == ["CANCELLED"]


def terminated_once(shop: Shop) -> Telling:
    """A second termination is refused with 409 and changes nothing."""
    contract = shop.subscribe(shop.plan(_arrears(shop)))
    yield at("2025-03-11")
    ended = shop.terminate(contract)
    with pytest.raises(errors.PaygenticError) as refused:
        shop.terminate(contract)
    assert refused.value.status_code == 409
    again = shop.client.subscriptions.get(id=contract.id)
    assert again.terminated_at == ended.terminated_at
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 10.00 + 0.00 = 10.00"]


def subscribed_again_after_the_end(shop: Shop) -> Telling:
    """Terminated on 11 March and bought anew that day: a new anchor, a new first invoice.

    31.00 in advance twice; the second period runs from the 11th to the 11th.
    """
    plan = shop.plan(shop.fee("Rent", "31.00"))
    contract = shop.subscribe(plan)
    yield at("2025-03-11")
    shop.terminate(contract)
    again = shop.subscribe(plan, customer_id=contract.customer_id)
    assert again.id != contract.id
    assert shop.bills(again)[0] == "PAID 31.00 + 0.00 = 31.00"
    assert shop.windows(again, 0)["Rent"] == (at("2025-03-11"), at("2025-04-11"))


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
