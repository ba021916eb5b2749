"""Tales of changes to a living subscription: its end, policy, tax and terms, and an end dated back.

The month is March, 31 days. Late usage is not waited for here.
"""

from decimal import Decimal
from typing import Any

import pytest
from paygentic_sdk import errors

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-03-01")
GRACE = "PT0S"
BOUNDARY = at("2025-04-01")
SECOND = at("2025-05-01")


def _rented(shop: Shop, **terms: Any) -> Contract:
    """31.00 a month in arrears."""
    return shop.subscribe(shop.plan(shop.fee("Rent", "31.00", term="in_arrears")), **terms)


def _change(shop: Shop, contract: Contract, **changes: Any) -> Any:
    return shop.client.subscriptions.update_subscription(id=contract.id, **changes)


def an_end_that_is_agreed_later(shop: Shop) -> Telling:
    """On 5 March both agree on 11 March, after 10 of 31 days: 10.00, and nothing after it."""
    contract = _rented(shop)
    yield at("2025-03-05")
    assert _change(shop, contract, ending_at=at("2025-03-11")).ending_at == at("2025-03-11")
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 10.00 + 0.00 = 10.00"]
    assert shop.client.subscriptions.get(id=contract.id).terminated_at == at("2025-03-11")


def an_end_that_is_put_off(shop: Shop) -> Telling:
    """Agreed for 11 March, on 5 March put off to 16 April: 31.00, and 31.00 x 15 / 30 = 15.50."""
    contract = _rented(shop, ending_at=at("2025-03-11"))
    yield at("2025-03-05")
    _change(shop, contract, ending_at=at("2025-04-16"))
    yield SECOND
    assert shop.bills(contract) == ["ISSUED 31.00 + 0.00 = 31.00", "ISSUED 15.50 + 0.00 = 15.50"]


def an_end_that_is_dated_back(shop: Shop) -> Telling:
    """On 20 March ended as of 11 March: 10.00, and the 5 units of 15 March are owed by nobody."""
    units = shop.meter("Units", "1")
    plan = shop.plan(shop.fee("Rent", "31.00", term="in_arrears"), units)
    contract = shop.subscribe(plan)
    shop.use(contract, units, 2, "2025-03-10")
    shop.use(contract, units, 5, "2025-03-15")
    yield at("2025-03-20")
    ended = _change(shop, contract, status="terminated", terminated_at=at("2025-03-11"))
    assert (ended.status, ended.terminated_at) == ("terminated", at("2025-03-11"))
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 12.00 + 0.00 = 12.00"]


def pinned_in_the_middle_of_a_month(shop: Shop) -> Telling:
    """Version 2 costs 2.00 a unit. Pinned on 5 March, before it comes on 20 March: 1.00 for good.

    March 7 x 1.00, April 5 x 1.00.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan)
    shop.use(contract, old, 7, "2025-03-10")
    shop.use(contract, old, 5, "2025-04-10")
    yield at("2025-03-05")
    assert _change(shop, contract, version_policy="pinned").version_policy == "pinned"
    yield at("2025-03-20")
    shop.mint(plan, units=new)
    yield SECOND
    assert [each.subtotal for each in shop.invoices(contract)[:2]] == ["7.00", "5.00"]


def floating_again(shop: Shop) -> Telling:
    """Pinned at 1.00; version 2 comes on 5 March, the pin goes on 20 March: April costs 2.00.

    March 7 x 1.00 = 7.00, April 5 x 2.00 = 10.00.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan, version_policy="pinned")
    shop.use(contract, old, 7, "2025-03-10")
    shop.use(contract, old, 5, "2025-04-10")
    yield at("2025-03-05")
    shop.mint(plan, units=new)
    yield at("2025-03-20")
    _change(shop, contract, version_policy="floating")
    yield SECOND
    assert [each.subtotal for each in shop.invoices(contract)[:2]] == ["7.00", "10.00"]


def exempt_from_the_next_invoice_on(shop: Shop) -> Telling:
    """31.00 with 10 % tax; exempt from 20 April: March 31.00 + 3.10, April 31.00 + 0.00."""
    plan = shop.plan(shop.fee("Rent", "31.00", term="in_arrears"), default_tax_rate=10)
    contract = shop.subscribe(plan)
    yield at("2025-04-20")
    _change(shop, contract, tax_exempt=True)
    yield SECOND
    assert shop.bills(contract)[:2] == [
        "ISSUED 31.00 + 3.10 = 34.10",
        "ISSUED 31.00 + 0.00 = 31.00",
    ]


def more_days_to_pay(shop: Shop) -> Telling:
    """14 days from April's invoice on: due on 1 April and on 15 May."""
    contract = _rented(shop)
    yield at("2025-04-20")
    _change(shop, contract, payment_term_days=14)
    yield SECOND
    dues = [each.due_at for each in shop.invoices(contract)[:2]]
    assert dues == [BOUNDARY, at("2025-05-15")]


def what_has_ended_is_not_changed(shop: Shop) -> Telling:
    """After a termination on 11 March a new end is refused with 409; 10.00 stay owed."""
    contract = _rented(shop)
    yield at("2025-03-11")
    shop.terminate(contract)
    with pytest.raises(errors.PaygenticError) as refused:
        _change(shop, contract, ending_at=at("2025-12-01"))
    assert refused.value.status_code == 409
    yield BOUNDARY
    assert sum(Decimal(each.grand_total) for each in shop.invoices(contract)) == 10


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
