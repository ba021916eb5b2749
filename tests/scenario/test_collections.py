"""Tales of collecting: retries on days 1, 3, 5 and 7, giving up, better cards and late money.

May is billed and issued on 1 June, and its card is charged at that instant.
"""

from datetime import datetime

import pytest
from paygentic_sdk import errors

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
GRACE = "PT0S"
BOUNDARY = at("2025-06-01")
PAYS = "4242424242424242"
DECLINES = "4000000000000341"
DECLINES_TWICE = "4000009000000011"


def _used(shop: Shop, card: str | None, *, collects: bool = True) -> Contract:
    """10 units at 1.00 in May, and the card that is to pay for them."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units), auto_charge=collects)
    if card is not None:
        shop.save_card(contract.customer_id, card)
    shop.use(contract, units, 10)
    return contract


def _june(*days: int) -> list[datetime]:
    return [at(f"2025-06-{day:02d}") for day in days]


def a_card_that_pays(shop: Shop) -> Telling:
    """10.00 on 1 June, with one attempt."""
    contract = _used(shop, PAYS)
    yield BOUNDARY
    assert shop.attempts(contract, 0) == [("succeeded", BOUNDARY)]
    invoice = shop.invoices(contract)[0]
    assert (invoice.status, invoice.paid_at, invoice.unpaid_amount) == ("PAID", BOUNDARY, "0.00")


def a_card_that_declines_twice(shop: Shop) -> Telling:
    """Declined on 1 and 2 June, paid on the 4th: one day and three days after the first."""
    contract = _used(shop, DECLINES_TWICE)
    yield BOUNDARY
    assert shop.invoices(contract)[0].next_action_at == at("2025-06-02")
    yield at("2025-06-04")
    assert shop.attempts(contract, 0) == list(
        zip(("failed", "failed", "succeeded"), _june(1, 2, 4), strict=True)
    )
    assert shop.invoices(contract)[0].paid_at == at("2025-06-04")


def a_card_that_never_pays(shop: Shop) -> Telling:
    """Declined on 1, 2, 4, 6 and 8 June: then PAYMENT_FAILED, and nothing more by itself.

    On 10 June a transfer pays the 10.00.
    """
    contract = _used(shop, DECLINES)
    yield at("2025-06-06")
    assert shop.invoices(contract)[0].status == "ISSUED"
    yield at("2025-06-08")
    failed = shop.invoices(contract)[0]
    assert (failed.status, failed.unpaid_amount, failed.next_action_at) == (
        "PAYMENT_FAILED",
        "10.00",
        None,
    )
    yield at("2025-06-10")
    assert shop.attempts(contract, 0) == [("failed", day) for day in _june(1, 2, 4, 6, 8)]
    shop.transfer(failed.id)
    assert shop.bills(contract)[0] == "PAID 10.00 + 0.00 = 10.00"
    assert shop.client.subscriptions.get(id=contract.id).status == "active"


def given_up_and_paid_by_a_link(shop: Shop) -> Telling:
    """PAYMENT_FAILED on 8 June; on 10 June a new link is paid with another card."""
    contract = _used(shop, DECLINES)
    yield at("2025-06-10")
    invoice = shop.invoices(contract)[0]
    assert invoice.status == "PAYMENT_FAILED"
    linked = shop.client.invoices_v2.record_invoice_payment(id=invoice.id, method="hosted_link")
    assert linked.method == "hosted_link"
    assert "paid" in shop.fill(linked.payment_url, PAYS).lower()
    assert shop.invoices(contract)[0].status == "PAID"
    assert [status for status, _ in shop.attempts(contract, 0)] == ["failed"] * 5 + ["succeeded"]


def a_better_card_is_charged_at_once(shop: Shop) -> Telling:
    """Declined on 1 and 2 June; on 3 June the customer saves a card that pays: paid that day."""
    contract = _used(shop, DECLINES)
    yield at("2025-06-03")
    shop.save_card(contract.customer_id, PAYS)
    assert shop.await_paid(contract, 0).paid_at == at("2025-06-03")
    attempts = shop.attempts(contract, 0)
    assert [status for status, _ in attempts] == ["failed", "failed", "succeeded"]


def no_card_at_all(shop: Shop) -> Telling:
    """Each try without a card has failed as it is made; a card saved on 5 June pays at once."""
    contract = _used(shop, None)
    yield at("2025-06-05")
    assert shop.attempts(contract, 0) == [("failed", day) for day in _june(1, 2, 4)]
    shop.save_card(contract.customer_id, PAYS)
    assert shop.await_paid(contract, 0).paid_at == at("2025-06-05")


def nobody_collects(shop: Shop) -> Telling:
    """Without automatic charge no card is tried; the page of the invoice takes the 10.00."""
    contract = _used(shop, PAYS, collects=False)
    yield at("2025-06-10")
    invoice = shop.invoices(contract)[0]
    assert (invoice.status, shop.attempts(contract, 0)) == ("ISSUED", [])
    assert "paid" in shop.fill(str(invoice.payment_url), PAYS).lower()
    assert shop.invoices(contract)[0].status == "PAID"


def nothing_to_collect(shop: Shop) -> Telling:
    """0.00 is PAID as it is issued: no attempt, no page."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")), auto_charge=True)
    shop.save_card(contract.customer_id, PAYS)
    yield BOUNDARY
    assert shop.attempts(contract, 0) == []
    assert shop.invoices(contract)[0].paid_at == BOUNDARY


def terminated_while_it_is_collected(shop: Shop) -> Telling:
    """Declined on 1 June, terminated on 2 June: May's 10.00 are still collected, on 4 June."""
    contract = _used(shop, DECLINES_TWICE)
    yield at("2025-06-02")
    shop.terminate(contract)
    yield at("2025-06-04")
    assert shop.invoices(contract)[0].status == "PAID"


def paid_past_the_provider_in_between(shop: Shop) -> Telling:
    """Declined on 1 June, a transfer on 2 June: no attempt on 4, 6 and 8 June."""
    contract = _used(shop, DECLINES)
    yield at("2025-06-03")
    shop.transfer(shop.invoices(contract)[0].id)
    yield at("2025-06-10")
    assert [status for status, _ in shop.attempts(contract, 0)] == ["failed", "failed", "succeeded"]
    assert shop.invoices(contract)[0].paid_amount == "10.00"


def a_first_payment_is_the_customers_to_make(shop: Shop) -> Telling:
    """A fee of 49.00 in advance: the page declines one card, another pays: active, 49.00 once."""
    plan = shop.plan(shop.fee("Rent", "49.00"))
    contract = shop.subscribe(plan, pays=False, auto_charge=True)
    page = shop.client.subscriptions.get(id=contract.id).payment
    assert page is not None
    url = getattr(page, "checkout_url", "")
    assert "declined" in shop.fill(url, "4000000000000002").lower()
    assert shop.client.subscriptions.get(id=contract.id).status == "pending_payment"
    assert "paid" in shop.fill(url, PAYS).lower()
    shop.await_status(contract, "active")
    yield BOUNDARY
    # The card of the first payment is saved, and pays the second month.
    assert shop.bills(contract)[:2] == ["PAID 49.00 + 0.00 = 49.00"] * 2


def paid_is_paid(shop: Shop) -> Telling:
    """A paid invoice takes no transfer, no link and no retry."""
    contract = _used(shop, PAYS)
    yield BOUNDARY
    invoice_id = shop.invoices(contract)[0].id
    with pytest.raises(errors.PaygenticError) as transferred:
        shop.transfer(invoice_id)
    with pytest.raises(errors.PaygenticError) as linked:
        shop.client.invoices_v2.record_invoice_payment(id=invoice_id, method="hosted_link")
    with pytest.raises(errors.PaygenticError) as retried:
        shop.client.invoices_v2.retry_invoice_payment(id=invoice_id)
    statuses = [each.value.status_code for each in (transferred, linked, retried)]
    assert statuses == [409, 422, 400]
    assert [status for status, _ in shop.attempts(contract, 0)] == ["succeeded"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
