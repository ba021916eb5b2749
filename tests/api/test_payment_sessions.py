"""Payment sessions over HTTP."""

from typing import Any

import httpx2

from tests.api.in_process import CARD, Shop

Client = httpx2.AsyncClient
PATH = "/v0/paymentSessions"


async def test_every_page_that_takes_money_is_listed(
    shop: Shop, living: Client, visitor: Client, stranger_client: Client
) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    one_off = await shop.post("/v0/payments", amount="2.00", currency="USD")
    await shop.post(f"/v0/customers/{made['customerId']}/paymentMethods")
    await visitor.post(made["payment"]["checkoutUrl"], data=CARD)

    async def listed(**query: Any) -> list[Any]:
        answer = await living.get(PATH, params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    both = await listed()
    assert [row["entityType"] for row in both] == ["payment", "subscription"]
    assert both[0]["entityId"] == one_off["id"]
    activation = both[1]
    assert activation["id"] == made["payment"]["paymentSessionId"]
    assert activation["entityId"] == made["id"]
    assert (activation["amount"], activation["status"]) == ("53.90", "completed")
    assert activation["completedAt"].endswith("Z")
    assert activation["providerPaymentRef"]
    assert await listed(subscriptionId=made["id"]) == [activation]
    assert await listed(customerId=made["customerId"]) == [activation]
    assert await listed(status="pending") == [both[0]]
    assert await listed(entityType="payment") == [both[0]]
    assert (await living.get(PATH, params={"entityType": "setup"})).status_code == 400
    assert (await stranger_client.get(PATH)).json()["data"] == []
