"""The hosted checkout page, as a browser without scripts sees it."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.pages import checkout
from api.pages.cards import Unreadable, read_card
from models.base import wall_now
from models.database import Database
from models.payments import PaymentSession
from models.queries import payments
from tests.api.in_process import CARD, DECLINED, INSUFFICIENT, InProcess, Shop

Client = httpx2.AsyncClient


@pytest.fixture
async def pending(shop: Shop) -> Any:
    """A subscription that waits for 53.90 USD."""
    return await shop.subscribe(await shop.advance_plan(), autoCharge=True)


async def status_of(living: Client, subscription: Any) -> Any:
    answer = await living.get(f"/v0/subscriptions/{subscription['id']}")
    return answer.json()["status"]


async def change_session(database: Database, merchant_id: str, row_id: str, **to: Any) -> None:
    async with database.transaction() as session:
        await payments.change_session(session, merchant_id, row_id, **to)


async def test_the_form_says_what_is_paid_and_to_whom(pending: Any, visitor: Client) -> None:
    answer = await visitor.get(pending["payment"]["checkoutUrl"])
    assert answer.status_code == 200
    page = answer.text
    assert page.count("<form") == 1
    assert '<form method="post">' in page
    for name, token in (("cardNumber", "cc-number"), ("expiry", "cc-exp"), ("cvc", "cc-csc")):
        assert re.search(rf'<input id="{name}" name="{name}"[^>]*autocomplete="{token}"', page)
        assert f'<label for="{name}">' in page
    assert ">Pay 53.90 USD</button>" in page
    for shown in ("Test", "Base fee", "49.00", "4.90", "53.90 USD"):
        assert shown in page
    assert "<script" not in page
    assert "paid" not in page.lower()
    assert "declined" not in page.lower()


async def test_every_page_is_private_and_asks_no_other_host(pending: Any, visitor: Client) -> None:
    url = pending["payment"]["checkoutUrl"]
    for answer in (await visitor.get(url), await visitor.get("/checkout/nothing")):
        policy = answer.headers["content-security-policy"]
        for rule in ("default-src 'self'", "form-action 'self'", "frame-ancestors 'none'"):
            assert rule in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not re.search(r'(src|href)="(https?:)?//', answer.text)
        for address in re.findall(r'(?:src|href)="(/[^"]+)"', answer.text):
            assert (await visitor.get(address)).status_code == 200


async def test_a_card_that_pays_activates_and_is_saved(
    pending: Any, visitor: Client, living: Client
) -> None:
    answer = await visitor.post(pending["payment"]["checkoutUrl"], data=CARD)
    assert answer.status_code == 200
    assert "<h1>Paid</h1>" in answer.text
    assert "declined" not in answer.text.lower()
    assert await status_of(living, pending) == "active"
    known = (await living.get(f"/v0/subscriptions/{pending['id']}")).json()
    assert known["payment"] == {
        "status": "paid",
        "amount": "53.90",
        "invoiceId": pending["payment"]["invoiceId"],
    }
    saved = await living.get(f"/v0/customers/{pending['customerId']}/paymentMethods")
    assert [card["last4"] for card in saved.json()["data"]] == ["4242"]


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (DECLINED, "Your card was declined."),
        (INSUFFICIENT, "Your card has insufficient funds."),
        (CARD | {"cardNumber": "4242424242424241"}, "Your card number is incorrect."),
        (CARD | {"expiry": "01/20"}, "Your card has expired."),
    ],
)
async def test_a_declined_card_says_why_and_another_may_follow(
    pending: Any, visitor: Client, living: Client, card: dict[str, str], reason: str
) -> None:
    url = pending["payment"]["checkoutUrl"]
    declined = await visitor.post(url, data=card)
    assert declined.status_code == 200
    assert f"<strong>Declined:</strong> {reason}" in declined.text
    assert "paid" not in declined.text.lower()
    assert '<form method="post">' in declined.text
    assert card["cardNumber"] not in declined.text
    assert await status_of(living, pending) == "pending_payment"
    assert "<h1>Paid</h1>" in (await visitor.post(url, data=CARD)).text
    assert await status_of(living, pending) == "active"


async def test_submitting_twice_charges_once(
    pending: Any, visitor: Client, commands: InProcess
) -> None:
    url = pending["payment"]["checkoutUrl"]
    both = await asyncio.gather(visitor.post(url, data=CARD), visitor.post(url, data=CARD))
    for answer in both:
        assert answer.status_code == 200
        assert "<h1>Paid</h1>" in answer.text
    for answer in (await visitor.post(url, data=CARD), await visitor.get(url)):
        assert answer.status_code == 200
        assert "<h1>Paid</h1>" in answer.text
    charges = await commands.gateway.list_charges()
    assert [(charge.status, str(charge.amount)) for charge in charges] == [("succeeded", "53.90")]


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "12 to 19 digits"),
        (CARD | {"cardNumber": "4242"}, "12 to 19 digits"),
        (CARD | {"cardNumber": "4" * 500}, "12 to 19 digits"),
        (CARD | {"cardNumber": "<script>alert(1)</script>"}, "12 to 19 digits"),
        (CARD | {"expiry": "13/30"}, "MM/YY"),
        (CARD | {"expiry": "soon"}, "MM/YY"),
        (CARD | {"cvc": "12"}, "3 or 4 digits"),
    ],
)
async def test_unreadable_cards_name_the_field_and_are_never_shown(
    pending: Any, visitor: Client, commands: InProcess, form: dict[str, str], problem: str
) -> None:
    answer = await visitor.post(pending["payment"]["checkoutUrl"], data=form)
    assert answer.status_code == 400
    assert problem in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "value=" not in answer.text
    assert "<script" not in answer.text
    assert await commands.gateway.list_charges() == []


def test_expiries_are_read_as_people_write_them() -> None:
    for written in ("03/31", "3/31", "03 / 31", "0331", "03-31", "03/2031"):
        card = read_card(CARD | {"expiry": written})
        assert not isinstance(card, Unreadable), written
        assert (card.exp_month, card.exp_year) == (3, 2031)


async def test_unknown_tokens_are_a_page_that_says_so(visitor: Client) -> None:
    for answer in (
        await visitor.get("/checkout/nothing"),
        await visitor.post("/checkout/nothing", data=CARD),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


async def test_an_expired_session_takes_no_money(
    pending: Any, visitor: Client, shop: Shop, database: Database, commands: InProcess
) -> None:
    payment = pending["payment"]
    expired = wall_now() - timedelta(seconds=1)
    session_id = payment["paymentSessionId"]
    await change_session(database, shop.merchant_id, session_id, expires_at=expired)
    for answer in (
        await visitor.get(payment["checkoutUrl"]),
        await visitor.post(payment["checkoutUrl"], data=CARD),
    ):
        assert answer.status_code == 410
        assert "<h1>Expired</h1>" in answer.text
        assert "<form" not in answer.text
    assert await commands.gateway.list_charges() == []


async def test_on_a_test_clock_the_clock_expires_the_session(
    shop: Shop, living: Client, visitor: Client
) -> None:
    clock = await shop.clock("2030-01-31T00:00:00Z")
    made = await shop.subscribe(
        await shop.advance_plan(),
        testClockId=clock,
        startedAt="2030-01-31T00:00:00Z",
        sessionExpiryMinutes=60,
    )
    url = made["payment"]["checkoutUrl"]
    assert (await visitor.get(url)).status_code == 200
    await living.patch(f"/v0/testClocks/{clock}", json={"advanceBy": "PT59M"})
    assert (await visitor.get(url)).status_code == 200
    await living.patch(f"/v0/testClocks/{clock}", json={"advanceBy": "PT1M"})
    assert (await visitor.get(url)).status_code == 410


async def test_with_temporal_away_nothing_is_promised(
    pending: Any, visitor: Client, commands: InProcess
) -> None:
    url = pending["payment"]["checkoutUrl"]
    commands.is_away = True
    answer = await visitor.post(url, data=CARD)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "paid" not in answer.text.lower()
    assert "declined" not in answer.text.lower()
    commands.is_away = False
    assert "<h1>Paid</h1>" in (await visitor.post(url, data=CARD)).text


async def test_a_payment_without_an_outcome_is_not_paid_again(
    pending: Any, visitor: Client, living: Client, commands: InProcess
) -> None:
    """The attempt is written, the answer of the charge is lost: no form until it is known."""
    url = pending["payment"]["checkoutUrl"]
    commands.loses_answers = True
    assert (await visitor.post(url, data=CARD)).status_code == 503
    answer = await visitor.get(url)
    assert answer.status_code == 200
    assert "<h1>In progress</h1>" in answer.text
    assert "<form" not in answer.text
    invoice = await living.get(f"/v2/invoices/{pending['payment']['invoiceId']}")
    assert invoice.json()["paymentInFlight"] is True


async def test_who_sends_the_form_again_is_told_how_it_ended(
    pending: Any, visitor: Client, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second form finds an attempt under way; it waits for it, and does not try in vain."""
    url = pending["payment"]["checkoutUrl"]
    charge, is_asked, goes_on = commands.gateway.charge, asyncio.Event(), asyncio.Event()

    async def charges_slowly(*arguments: Any, **options: Any) -> Any:
        is_asked.set()
        await goes_on.wait()
        return await charge(*arguments, **options)

    monkeypatch.setattr(commands.gateway, "charge", charges_slowly)
    first = asyncio.create_task(visitor.post(url, data=CARD))
    await is_asked.wait()
    monkeypatch.setattr(checkout, "OUTCOME_LIMIT_SECONDS", 0.0)
    impatient = await visitor.post(url, data=CARD)
    assert "<h1>In progress</h1>" in impatient.text
    monkeypatch.undo()
    second = asyncio.create_task(visitor.post(url, data=CARD))
    goes_on.set()
    for answer in await asyncio.gather(first, second):
        assert (answer.status_code, "<h1>Paid</h1>" in answer.text) == (200, True)
    assert len(await commands.gateway.list_charges()) == 1


async def test_the_ways_back_are_links(shop: Shop, visitor: Client) -> None:
    urls = {"onSuccess": "https://shop.example/ok?a=1&b=2", "onFailure": "https://shop.example/no"}
    made = await shop.subscribe(await shop.advance_plan(), redirectUrls=urls)
    url = made["payment"]["checkoutUrl"]
    declined = await visitor.post(url, data=DECLINED)
    assert 'href="https://shop.example/no"' in declined.text
    paid = await visitor.post(url, data=CARD)
    assert 'href="https://shop.example/ok?a=1&amp;b=2"' in paid.text


async def test_one_off_payments_are_paid_here_too(shop: Shop, visitor: Client) -> None:
    lines = [
        {"description": "<b>Seat</b>", "amount": "5.00", "quantity": 2},
        {"description": "Set-up", "amount": "2.50"},
    ]
    made = await shop.post(
        "/v0/payments", amount="12.50", currency="EUR", lineItems=lines, reference="Order 7"
    )
    page = (await visitor.get(made["paymentUrl"])).text
    assert ">Pay 12.50 EUR</button>" in page
    assert "&lt;b&gt;Seat&lt;/b&gt;" in page
    assert "Order 7" in page
    assert "<h1>Paid</h1>" in (await visitor.post(made["paymentUrl"], data=CARD)).text
    known = await shop.client.get(f"/v0/payments/{made['id']}")
    assert known.json()["status"] == "completed"


async def test_a_card_is_saved_without_a_charge(
    shop: Shop, visitor: Client, commands: InProcess
) -> None:
    customer = await shop.customer()
    setup = await shop.post(f"/v0/customers/{customer}/paymentMethods")
    assert ">Save card</button>" in (await visitor.get(setup["url"])).text
    declined = await visitor.post(setup["url"], data=DECLINED)
    assert "<strong>Declined:</strong>" in declined.text
    attaches = CARD | {"cardNumber": "4000000000000341"}
    saved = await visitor.post(setup["url"], data=attaches)
    assert saved.status_code == 200
    assert "Card saved" in saved.text
    assert "Card saved" in (await visitor.get(setup["url"])).text
    listed = await shop.client.get(f"/v0/customers/{customer}/paymentMethods")
    assert [card["last4"] for card in listed.json()["data"]] == ["0341"]
    assert await commands.gateway.list_charges() == []


@pytest.fixture
async def session_row(pending: Any, shop: Shop, database: Database) -> PaymentSession:
    async with database.transaction() as session:
        found = await payments.get_session(
            session, shop.merchant_id, pending["payment"]["paymentSessionId"]
        )
    assert found is not None
    return found


async def test_a_token_cannot_be_guessed(session_row: PaymentSession) -> None:
    assert re.fullmatch(r"[0-9a-f]{48}", session_row.token)
    assert session_row.id not in session_row.token


async def test_who_gets_no_answer_reads_that_it_is_paid(
    pending: Any, visitor: Client, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge was made; only the answer to this request was lost."""
    pay = commands.pay

    async def pays_and_loses_the_answer(*arguments: Any, **options: Any) -> Any:
        await pay(*arguments, **options)
        commands.is_away = True
        await commands._refuse_away()

    monkeypatch.setattr(commands, "pay", pays_and_loses_the_answer)
    answer = await visitor.post(pending["payment"]["checkoutUrl"], data=CARD)
    assert answer.status_code == 200
    assert "53.90 USD was paid" in answer.text
