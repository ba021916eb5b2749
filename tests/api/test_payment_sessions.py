"""Payment sessions over HTTP."""

from typing import Any

import httpx2

from tests.api.in_process import CARD, InProcess, Shop, accepted

Client = httpx2.AsyncClient
PATH = "/v0/paymentSessions"
START = "2026-01-01T00:00:00Z"


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


async def statuses(living: Client, **query: Any) -> list[tuple[str, str | None]]:
    """Of each session, newest first: how it stands, and when it brought its money."""
    rows = accepted(await living.get(PATH, params=query))["data"]
    return [(row["status"], row["completedAt"]) for row in rows]


async def test_a_link_lives_for_thirty_days_of_its_subscriptions_time(
    shop: Shop, living: Client, visitor: Client, commands: InProcess
) -> None:
    """31.00 of January: the invoice's page, a link in its place, and after 30 days another one."""
    product = await shop.product()
    plan = await shop.plan(
        product, await shop.fee_price(product, "31.00", paymentTerm="in_arrears")
    )
    clock = await shop.clock(START)
    made = await shop.subscribe(plan, testClockId=clock, startedAt=START)
    accepted(await living.patch(f"/v0/testClocks/{clock}", json={"advanceBy": "P1M"}))
    path = f"/v2/invoices/{await commands.close_period(shop.merchant_id, made['id'], 0)}"

    async def link() -> Any:
        return accepted(await living.post(f"{path}/payment", json={"method": "hosted_link"}))

    async def shown() -> str | None:
        url: str | None = accepted(await living.get(path))["paymentUrl"]
        return url

    own = {"subscriptionId": made["id"]}
    first = await link()
    assert await shown() == first["paymentUrl"]
    assert await statuses(living, **own) == [("pending", None), ("cancelled", None)]
    accepted(await living.patch(f"/v0/testClocks/{clock}", json={"advanceBy": "P30D"}))
    assert (await visitor.get(first["paymentUrl"])).status_code == 410
    assert await shown() is None
    (listed,) = accepted(await living.get("/v2/invoices", params=own | {"status": "ISSUED"}))[
        "data"
    ]
    assert listed["paymentUrl"] is None
    assert await statuses(living, **own, status="pending") == []
    assert await statuses(living, **own, status="expired") == [("expired", None)]
    payment = accepted(await living.get(f"/v0/payments/{first['paymentSessionId']}"))
    assert payment["status"] == "expired"
    second = await link()
    assert await shown() == second["paymentUrl"]
    assert "<h1>Paid</h1>" in (await visitor.post(second["paymentUrl"], data=CARD)).text
    assert [status for status, _ in await statuses(living, **own)] == [
        "completed", "cancelled", "cancelled",
    ]  # fmt: skip


async def test_a_charge_whose_outcome_is_not_known_is_processing(
    shop: Shop, living: Client, visitor: Client, commands: InProcess
) -> None:
    waiting = await shop.post("/v0/payments", amount="2.00", currency="USD")
    made = await shop.post("/v0/payments", amount="2.00", currency="USD")
    commands.loses_answers = True
    await visitor.post(made["paymentUrl"], data=CARD)
    path = f"/v0/payments/{made['id']}"
    assert accepted(await living.get(path)) == made | {"status": "processing"}
    for status, found in (("processing", made), ("pending", waiting)):
        rows = accepted(await living.get("/v0/payments", params={"status": status}))["data"]
        assert [row["id"] for row in rows] == [found["id"]]
        assert await statuses(living, status=status) == [(status, None)]
