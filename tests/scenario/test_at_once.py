"""Tales of several at once: whatever is asked five times together happens once.

Each asks from five threads with clients of their own, and counts who was served.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TypeVar

from paygentic_sdk import errors

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
GRACE = "PT0S"
BOUNDARY = at("2025-06-01")
PAYS = "4242424242424242"
Answer = TypeVar("Answer")


def _five(ask: Callable[[int], Answer]) -> tuple[list[Answer], list[int]]:
    """Asks five times at once: the answers, and the states of those that were refused."""

    def tried(number: int) -> Answer | errors.PaygenticError:
        try:
            return ask(number)
        except errors.PaygenticError as refused:
            return refused

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(tried, range(5)))
    refused = [each.status_code for each in outcomes if isinstance(each, errors.PaygenticError)]
    return [each for each in outcomes if not isinstance(each, errors.PaygenticError)], refused


def _paid(shop: Shop) -> Contract:
    return shop.subscribe(shop.plan(shop.fee("Rent", "49.00"), default_tax_rate=10))


def five_subscriptions_are_one(shop: Shop) -> Telling:
    """Five requests for one customer and plan: one subscription, one invoice of 49.00."""
    plan, customer = shop.plan(shop.fee("Rent", "49.00")), shop.customer()
    served, refused = _five(lambda _: shop.subscribe(plan, customer_id=customer, pays=False))
    assert len({each.id for each in served}) == 1
    assert set(refused) <= {409}
    assert shop.bills(served[0]) == ["ISSUED 49.00 + 0.00 = 49.00"]
    yield OPENED


def five_terminations_are_one(shop: Shop) -> Telling:
    """One ends it, the others are told so; one last invoice: 31.00 x 19 / 31 = 19.00."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00", term="in_arrears")))
    yield at("2025-05-20")
    served, refused = _five(lambda _: shop.terminate(contract))
    assert len(served) >= 1
    assert set(refused) <= {409}
    assert {each.terminated_at for each in served} == {at("2025-05-20")}
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 19.00 + 0.00 = 19.00"]


def five_transfers_are_one(shop: Shop) -> Telling:
    """49.00 is recorded as paid once; four are refused with 409."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "49.00")), pays=False)
    invoice_id = shop.invoices(contract)[0].id
    served, refused = _five(lambda _: shop.transfer(invoice_id))
    assert (len(served), refused) == (1, [409] * 4)
    assert shop.invoices(contract)[0].paid_amount == "49.00"
    shop.await_status(contract, "active")
    yield OPENED


def a_page_that_is_sent_five_times(shop: Shop) -> Telling:
    """The form of the hosted page, five times at once: one charge of 49.00."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "49.00")), pays=False)
    url = str(shop.invoices(contract)[0].payment_url)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: shop.fill(url, PAYS), range(5)))
    shop.await_status(contract, "active")
    assert [status for status, _ in shop.attempts(contract, 0)] == ["succeeded"]
    assert shop.invoices(contract)[0].paid_amount == "49.00"
    yield OPENED


def five_refunds_are_one(shop: Shop) -> Telling:
    """53.90 were paid; 53.90 go back once, four are refused."""
    contract = _paid(shop)
    invoice_id = shop.invoices(contract)[0].id
    served, refused = _five(lambda _: shop.client.invoices_v2.create_invoice_refund(id=invoice_id))
    assert [each.total for each in served] == ["53.90"]
    assert refused == [400] * 4
    refunds = shop.client.invoices_v2.list_invoice_refunds(id=invoice_id).data
    assert [each.status for each in refunds] == ["ISSUED"]
    yield OPENED


def five_voids_of_a_refund_are_one(shop: Shop) -> Telling:
    """Voided once; after it one new refund is possible, and again no second."""
    contract = _paid(shop)
    invoice_id = shop.invoices(contract)[0].id
    made = shop.client.invoices_v2.create_invoice_refund(id=invoice_id)
    served, refused = _five(
        lambda _: shop.client.invoices_v2.void_invoice_refund(id=invoice_id, refund_id=made.id)
    )
    assert (len(served), refused) == (1, [400] * 4)
    served_again, refused_again = _five(
        lambda _: shop.client.invoices_v2.create_invoice_refund(id=invoice_id)
    )
    assert (len(served_again), refused_again) == (1, [400] * 4)
    yield OPENED


def one_event_from_five_senders(shop: Shop) -> Telling:
    """The same key five times at once, 7 units: 7.00 and not 35.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))

    def send(_number: int) -> str:
        sent = shop.client.events.ingest(
            request={
                "type": units.event_type,
                "source": "story",
                "subject": contract.customer_id,
                "data": {"amount": 7},
                "timestamp": at("2025-05-10"),
                "idempotency_key": "one-of-five",
            }
        )
        return str(sent.id)

    served, refused = _five(send)
    assert (len(set(served)), refused) == (1, [])
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 7.00 + 0.00 = 7.00"


def a_hundred_events_at_once(shop: Shop) -> Telling:
    """Five senders with 20 events each, 1 to 100 units: 5050.00, none lost and none twice."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))

    def send(sender: int) -> None:
        for number in range(20):
            shop.use(contract, units, sender * 20 + number + 1, "2025-05-10")

    served, refused = _five(send)
    assert (len(served), refused) == (5, [])
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 5050.00 + 0.00 = 5050.00"


def five_manual_lines_of_one_key_are_one(shop: Shop) -> Telling:
    """A line of 12.50 under one key, five times: 12.50 on the invoice, not 62.50."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    served, refused = _five(
        lambda _: shop.client.invoices_v2.create_line_item(
            display_name="Work",
            currency="USD",
            quantity=1,
            unit_price=12.5,
            subscription_id=contract.id,
            idempotency_key="work",
        )
    )
    assert (len({each.id for each in served}), refused) == (1, [])
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 12.50 + 0.00 = 12.50"


def five_voids_of_an_event_are_one(shop: Shop) -> Telling:
    """5 + 3 units; the 3 are voided five times at once: 5.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 5)
    wrong = shop.use(contract, units, 3)
    path = f"/v0/events/{wrong}/void"
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: shop.http.post(path, json={"reason": "Wrong"}), range(5)))
    assert all(each.is_success or each.status_code == 409 for each in answers)
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 5.00 + 0.00 = 5.00"


def usage_while_the_clock_moves(shop: Shop) -> Telling:
    """Events of June go in while May closes: 10 of them, 10.00, all on June's invoice."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    yield at("2025-05-31")
    with ThreadPoolExecutor(2) as pool:
        sent = pool.submit(lambda: [shop.use(contract, units, 1, "2025-06-10") for _ in range(10)])
        pool.submit(shop.advance, BOUNDARY).result()
        assert len(set(sent.result())) == 10
    yield at("2025-07-01")
    totals = [Decimal(each.grand_total) for each in shop.invoices(contract)[:2]]
    assert totals == [0, 10]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
