"""One-off payments over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import CARD, Shop

Client = httpx2.AsyncClient
PATH = "/v0/payments"


def body(**members: Any) -> dict[str, Any]:
    return {"amount": "10.50", "currency": "GBP", **members}


async def test_create_answers_where_to_pay(shop: Shop, living: Client) -> None:
    customer = await shop.customer()
    made = await shop.post(
        PATH,
        **body(
            customerId=customer,
            reference="Order 7",
            metadata={"a": "b"},
            lineItems=[
                {"description": "Seat", "amount": "4.00", "quantity": 2},
                {"description": "Fee", "amount": "2.5"},
            ],
        ),
    )
    assert made["id"].startswith("pay_")
    assert made["object"] == "payment"
    assert (made["amount"], made["currency"], made["status"]) == ("10.50", "GBP", "pending")
    assert made["paymentUrl"].startswith("http://durabill.test/checkout/")
    assert made["lineItems"][1] == {"description": "Fee", "amount": "2.5", "quantity": 1}
    assert made["metadata"] == {"a": "b"}
    assert (await living.get(f"{PATH}/{made['id']}")).json() == made
    sessions = (await living.get("/v0/paymentSessions", params={"entityType": "payment"})).json()
    by_session = await living.get(f"{PATH}/{sessions['data'][0]['id']}")
    assert by_session.json() == made


async def test_the_same_key_again_is_the_first_payment(living: Client) -> None:
    first = await living.post(PATH, json=body(idempotencyKey="k"))
    again = await living.post(PATH, json=body(idempotencyKey="k"))
    other = await living.post(PATH, json=body(idempotencyKey="k", amount="11.00"))
    assert [first.status_code, again.status_code, other.status_code] == [201, 200, 409]
    assert first.json() == again.json()


async def test_a_repeated_key_is_answered_whatever_came_since(shop: Shop, living: Client) -> None:
    """The first answer was lost, and the customer was deleted before the request came again."""
    wanted = body(customerId=await shop.customer(), idempotencyKey="k")
    first = await shop.post(PATH, **wanted)
    assert (await living.delete(f"/v0/customers/{wanted['customerId']}")).status_code == 204
    again = await living.post(PATH, json=wanted)
    assert (again.status_code, again.json()) == (200, first)
    assert (await living.post(PATH, json=wanted | {"amount": "11.00"})).status_code == 409
    assert (await living.post(PATH, json=wanted | {"idempotencyKey": "new"})).status_code == 404


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"amount": "0.99"}, "amount"),
        ({"amount": "5000.01"}, "amount"),
        ({"amount": "1.001"}, "amount"),
        ({"amount": "-5.00"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": 10}, "amount"),
        ({"currency": "JPY"}, "currency"),
        ({"customerId": "org_1"}, "customerId"),
        ({"idempotencyKey": "k" * 256}, "idempotencyKey"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"lineItems": [{"description": "d", "amount": "10.49"}]}, "lineItems"),
        ({"lineItems": [{"description": "d", "amount": "1.00", "quantity": 0}]}, None),
        ({"lineItems": [{"description": "d", "amount": "0.01"}] * 101}, "lineItems"),
        ({"expiresIn": "P32D"}, "expiresIn"),
        ({"expiresIn": "P0D"}, "expiresIn"),
        ({"expiresIn": "P9999Y"}, "expiresIn"),
        ({"expiresIn": "soon"}, "expiresIn"),
        ({"successRedirectUrl": "javascript:alert(1)"}, "successRedirectUrl"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"tip": "1.00"}, "tip"),
    ],
)
async def test_wrong_bodies_name_their_field(
    living: Client, members: dict[str, Any], field: str | None
) -> None:
    answer = await living.post(PATH, json=body(**members))
    assert answer.status_code == 400, answer.text
    assert field in (None, answer.json()["errors"][0]["field"])


async def test_the_customer_must_be_the_merchants(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    missing = await living.post(PATH, json=body(customerId="cus_0"))
    assert missing.status_code == 404
    foreign = await living.post(PATH, json=body(merchantId="org_0"))
    assert foreign.status_code == 403
    made = await shop.post(PATH, **body())
    assert (await stranger_client.get(f"{PATH}/{made['id']}")).status_code == 404
    assert (await living.get(f"{PATH}/inv_1")).status_code == 404


async def test_the_list_is_narrowed(shop: Shop, living: Client, visitor: Client) -> None:
    customer = await shop.customer()
    paid = await shop.post(PATH, **body(customerId=customer))
    waiting = await shop.post(PATH, **body())
    await visitor.post(paid["paymentUrl"], data=CARD)

    async def listed(**query: Any) -> list[str]:
        answer = await living.get(PATH, params=query)
        return [row["id"] for row in answer.json()["data"]]

    assert await listed() == [waiting["id"], paid["id"]]
    assert await listed(status="completed") == [paid["id"]]
    assert await listed(customerId=customer) == [paid["id"]]
    assert await listed(status="expired") == []
    assert (await living.get(PATH, params={"status": "late"})).status_code == 400


async def test_a_subscriptions_session_is_a_payment_too(shop: Shop, living: Client) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    pending = made["payment"]
    answer = (await living.get(f"{PATH}/{pending['paymentSessionId']}")).json()
    assert answer["amount"] == "53.90"
    assert answer["paymentUrl"] == pending["checkoutUrl"]
    setup = await shop.post(f"/v0/customers/{made['customerId']}/paymentMethods")
    assert (await living.get(f"{PATH}/{setup['id']}")).status_code == 404
