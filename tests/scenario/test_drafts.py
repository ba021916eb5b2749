"""Tales of drafts that wait for a person: what comes meanwhile is not theirs.

May is drafted on 1 June, without grace, and issued when somebody agrees.
"""

from typing import Any

import pytest
from paygentic_sdk import errors
from paygentic_sdk.models import PaymentAwaitingApproval, PaymentPending

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
GRACE = "PT0S"
AUTO_APPROVE = False
BOUNDARY = at("2025-06-01")
FIFTH_OF_MAY = at("2025-05-05")
FIFTH = at("2025-06-05")
SECOND = at("2025-07-01")
IN_MAY = "2025-05-10"


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [f"{each.status} {each.grand_total}" for each in shop.invoices(contract)]


def late_usage_does_not_reach_a_draft(shop: Shop) -> Telling:
    """May 5.00 as a draft; 3 late units leave it alone, and June owes them beside 2 of its own."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 5, IN_MAY)
    yield BOUNDARY
    shop.use(contract, units, 3, IN_MAY)
    shop.use(contract, units, 2, "2025-06-10")
    assert _totals(shop, contract) == ["DRAFT 5.00", "ACTIVE 5.00"]
    yield FIFTH
    shop.approve(contract, 0)
    issued = shop.invoices(contract)[0]
    assert (issued.status, issued.grand_total, issued.issued_at) == ("ISSUED", "5.00", FIFTH)
    yield SECOND
    shop.approve(contract, 1)
    assert _totals(shop, contract)[:2] == ["ISSUED 5.00", "ISSUED 5.00"]


def what_is_voided_stays_on_a_draft(shop: Shop) -> Telling:
    """7.00 as a draft; 4 of it are voided; the draft is issued as it is, June gives 4.00 back.

    June has 9 units: 9 - 4 = 5.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 3, IN_MAY)
    wrong = shop.use(contract, units, 4, IN_MAY)
    yield BOUNDARY
    shop.void(wrong)
    shop.use(contract, units, 9, "2025-06-10")
    shop.approve(contract, 0)
    yield SECOND
    assert _totals(shop, contract)[:2] == ["ISSUED 7.00", "DRAFT 5.00"]


def two_drafts_in_the_wrong_order(shop: Shop) -> Telling:
    """May 5.00 and June 6.00 wait; June is agreed to first: both are issued as they are, once.

    Nothing happens to them by itself.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 5, IN_MAY)
    shop.use(contract, units, 6, "2025-06-10")
    yield SECOND
    assert _totals(shop, contract)[:2] == ["DRAFT 5.00", "DRAFT 6.00"]
    assert [each.next_action_at for each in shop.invoices(contract)[:2]] == [None, None]
    shop.approve(contract, 1)
    shop.approve(contract, 0)
    assert _totals(shop, contract)[:2] == ["ISSUED 5.00", "ISSUED 6.00"]
    numbers = [str(each.invoice_number) for each in shop.invoices(contract)[:2]]
    assert len(set(numbers)) == 2


def a_deal_does_not_reach_a_draft(shop: Shop) -> Telling:
    """10.00 as a draft; half off from 1 May is agreed on 5 June: the draft stays, June is 4.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 10, IN_MAY)
    shop.use(contract, units, 8, "2025-06-10")
    yield FIFTH
    deal: Any = {
        "type": "percentageDiscount",
        "percentage_discount": "0.5",
        "effective_from": OPENED,
    }
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=deal
    )
    shop.approve(contract, 0)
    yield SECOND
    assert _totals(shop, contract)[:2] == ["ISSUED 10.00", "DRAFT 4.00"]


def no_line_by_hand_for_a_draft(shop: Shop) -> Telling:
    """A draft takes no more lines: 409; for the subscription the line is June's: 20.00."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    line: Any = {"display_name": "Work", "currency": "USD", "quantity": 1, "unit_price": 20}
    yield FIFTH
    with pytest.raises(errors.PaygenticError) as refused:
        shop.client.invoices_v2.create_line_item(invoice_id=shop.invoices(contract)[0].id, **line)
    assert refused.value.status_code == 409
    shop.client.invoices_v2.create_line_item(subscription_id=contract.id, **line)
    yield SECOND
    assert _totals(shop, contract)[:2] == ["DRAFT 0.00", "DRAFT 20.00"]


def ended_while_a_draft_waits(shop: Shop) -> Telling:
    """Ended on 5 June with May's 31.00 as a draft: June's 4 of 30 days are 4.13, and wait too.

    31.00 x 4 / 30 = 4.1333…
    """
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00", term="in_arrears")))
    yield FIFTH
    shop.terminate(contract)
    yield SECOND
    assert _totals(shop, contract) == ["DRAFT 31.00", "DRAFT 4.13"]
    shop.approve(contract, 0)
    shop.approve(contract, 1)
    assert _totals(shop, contract) == ["ISSUED 31.00", "ISSUED 4.13"]


def a_first_payment_waits_for_a_person(shop: Shop) -> Telling:
    """30.00 for May is a draft until 5 May; the four hours to pay begin then.

    Paid within them, June's 30.00 is a draft on 1 June: what was agreed to covers May.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00")), pays=False)
    waiting = contract.first.payment
    assert isinstance(waiting, PaymentAwaitingApproval)
    assert (waiting.amount, contract.first.status) == ("30.00", "pending_payment")
    assert _totals(shop, contract) == ["DRAFT 30.00"]
    yield FIFTH_OF_MAY
    assert _totals(shop, contract) == ["DRAFT 30.00"]
    shop.approve(contract, 0)
    issued = shop.invoices(contract)[0]
    assert (issued.id, issued.issued_at) == (waiting.invoice_id, FIFTH_OF_MAY)
    asked = shop.client.subscriptions.get(id=contract.id).payment
    assert isinstance(asked, PaymentPending)
    assert asked.amount == "30.00"
    shop.transfer(issued.id)
    shop.await_status(contract, "active")
    yield BOUNDARY
    assert _totals(shop, contract)[:2] == ["PAID 30.00", "DRAFT 30.00"]


def a_first_payment_that_expires_after_all(shop: Shop) -> Telling:
    """Agreed to on 5 May, not paid within four hours: the invoice is taken back."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00")), pays=False)
    yield FIFTH_OF_MAY
    shop.approve(contract, 0)
    yield at("2025-05-05T03:59")
    assert _totals(shop, contract) == ["ISSUED 30.00"]
    yield at("2025-05-05T04:00")
    ended = shop.client.subscriptions.get(id=contract.id)
    assert (ended.status, ended.termination_reason) == ("terminated", "payment_session_expired")
    assert _totals(shop, contract) == ["CANCELLED 30.00"]


def a_first_payment_agreed_to_a_month_late(shop: Shop) -> Telling:
    """May's 30.00 and 2 units; agreed to and paid on 5 June: May's units are still owed.

    1 June was due meanwhile and is billed as it was: 2 x 1.00 + June's 30.00 = 32.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00"), units), pays=False)
    shop.use(contract, units, 2, IN_MAY)
    yield FIFTH
    shop.approve(contract, 0)
    shop.transfer(shop.invoices(contract)[0].id)
    shop.await_status(contract, "active")
    yield at("2025-06-06")
    assert _totals(shop, contract)[:2] == ["PAID 30.00", "DRAFT 32.00"]


def a_first_payment_that_nobody_agreed_to(shop: Shop) -> Telling:
    """Ended on 5 May: the draft is gone without a number, and nobody can agree to it any more."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00")), pays=False)
    yield FIFTH_OF_MAY
    assert shop.terminate(contract).status == "terminated"
    (gone,) = shop.invoices(contract)
    assert (gone.status, gone.invoice_number) == ("CANCELLED", None)
    with pytest.raises(AssertionError, match="INVOICE_NOT_APPROVABLE"):
        shop.approve(contract, 0)


def a_start_without_a_price_needs_nobody(shop: Shop) -> Telling:
    """Nothing is asked for: active at once; May's 3.00 wait in June as always."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "0.00"), units), pays=False)
    assert contract.first.status == "active"
    shop.use(contract, units, 3, IN_MAY)
    yield BOUNDARY
    assert _totals(shop, contract)[:2] == ["PAID 0.00", "DRAFT 3.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
