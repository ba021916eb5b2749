"""Saved cards over HTTP."""

from datetime import timedelta

import httpx2

from models.base import wall_now
from tests.api.in_process import CARD, Shop

Client = httpx2.AsyncClient


async def test_a_setup_session_says_where_the_card_is_saved(
    shop: Shop, living: Client, visitor: Client
) -> None:
    path = f"/v0/customers/{await shop.customer()}/paymentMethods"
    empty = (await living.get(path)).json()
    assert empty == {"object": "list", "data": []}
    body = {"successRedirectUrl": "https://shop.example/ok", "metadata": {"a": [1]}}
    setup = await shop.post(path, **body)
    assert setup["object"] == "paymentSession"
    assert (setup["mode"], setup["status"]) == ("setup", "pending")
    assert setup["successRedirectUrl"] == "https://shop.example/ok"
    assert setup["metadata"] == {"a": [1]}
    bare = await living.post(path)
    assert bare.status_code == 201
    await visitor.post(setup["url"], data=CARD)
    await visitor.post(bare.json()["url"], data=CARD | {"cardNumber": "5555555555554444"})
    cards = (await living.get(path)).json()["data"]
    assert [(card["brand"], card["last4"]) for card in cards] == [
        ("mastercard", "4444"),
        ("visa", "4242"),
    ]
    assert cards[0]["object"] == "paymentMethod"
    assert (cards[0]["expMonth"], cards[0]["expYear"]) == (12, 2040)
    assert "gateway" not in str(cards)


async def test_it_lives_at_most_thirty_days(shop: Shop, living: Client) -> None:
    path = f"/v0/customers/{await shop.customer()}/paymentMethods"
    soon = (wall_now() + timedelta(days=29)).isoformat()
    assert (await living.post(path, json={"expiresAt": soon})).status_code == 201
    for days in (-1, 31):
        wrong = (wall_now() + timedelta(days=days)).isoformat()
        assert (await living.post(path, json={"expiresAt": wrong})).status_code == 400
    ftp = {"failureRedirectUrl": "ftp://x"}
    assert (await living.post(path, json=ftp)).status_code == 400


async def test_the_customer_must_be_the_merchants(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    path = f"/v0/customers/{await shop.customer()}/paymentMethods"
    assert (await stranger_client.get(path)).status_code == 404
    assert (await living.get("/v0/customers/cus_0/paymentMethods")).status_code == 404
    assert (await living.post("/v0/customers/cus_0/paymentMethods")).status_code == 404
