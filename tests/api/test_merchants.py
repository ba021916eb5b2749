"""The reset of a sandbox over HTTP."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from activities.organizations import CreatedMerchant, CreateMerchant, OrganizationActivities
from models.database import Database
from tests.api.in_process import CARD, Client, InProcess, Shop, accepted, add_wallet
from tests.conftest import client_of

LISTS = (
    "/v0/products",
    "/v0/billableMetrics",
    "/v0/fees",
    "/v0/prices",
    "/v0/plans",
    "/v0/items",
    "/v0/customers",
    "/v0/externalReferences",
    "/v0/subscriptions",
    "/v2/invoices",
    "/v0/payments",
    "/v0/testClocks",
    "/v0/merchantIntegrations",
)
START = "2026-01-31T00:00:00Z"


async def totals(client: Client) -> dict[str, int]:
    return {path: accepted(await client.get(path))["pagination"]["total"] for path in LISTS}


async def reset(client: Client, merchant_id: str, **body: Any) -> httpx2.Response:
    return await client.post(f"/v0/merchants/{merchant_id}/reset", json=body)


@pytest.fixture
async def customer(shop: Shop, living: Client, visitor: Client, commands: InProcess) -> str:
    """A customer with everything that a story leaves behind: paid, used, held and owed."""
    product = await shop.product()
    item = (await shop.post("/v0/items", merchantId=shop.merchant_id, name="I", catalogId=product))[
        "id"
    ]
    usage = (await shop.metric_price(product, "0.002"))[1]
    plan = await shop.plan(product, await shop.fee_price(product, "49.00"), usage)
    clock = await shop.clock(START)
    made = await shop.subscribe(plan, testClockId=clock, startedAt=START)
    paid = await visitor.post(made["payment"]["checkoutUrl"], data=CARD)
    assert "<h1>Paid</h1>" in paid.text
    customer_id = str(made["customerId"])
    event = {
        "type": "completion",
        "source": "test",
        "subject": customer_id,
        "timestamp": "2026-02-10T00:00:00Z",
        "data": {"tokens": 250},
    }
    assert (await living.post("/v0/events", json=event)).status_code == 202
    accepted(
        await living.patch(f"/v0/testClocks/{clock}", json={"currentTime": "2026-03-01T00:00:00Z"})
    )
    await commands.close_period(shop.merchant_id, made["id"], 1)
    await add_wallet(commands, shop.merchant_id, customer_id, "20")
    await shop.post("/v0/payments", amount="10.50", currency="USD", customerId=customer_id)
    for kind, entity, code in (("customer", customer_id, "C1"), ("item", item, "I1")):
        await shop.post(
            "/v0/externalReferences",
            merchantId=shop.merchant_id,
            entityType=kind,
            entityId=entity,
            provider="netsuite",
            externalId=code,
        )
    integration = {"merchantId": shop.merchant_id, "provider": "netsuite"}
    accepted(await living.put("/v0/merchantIntegrations", json=integration))
    return customer_id


CATALOGUE = {
    "/v0/products": 1,
    "/v0/billableMetrics": 1,
    "/v0/fees": 1,
    "/v0/prices": 2,
    "/v0/plans": 1,
    "/v0/items": 1,
}
NOTHING = dict.fromkeys(LISTS, 0) | {"/v0/merchantIntegrations": 1}


@pytest.mark.usefixtures("customer")
async def test_a_merchant_begins_again_with_his_catalogue(shop: Shop, living: Client) -> None:
    body = {"scope": "merchant", "keepCatalog": True}
    answer = await reset(living, shop.merchant_id, **body)
    assert (answer.status_code, answer.content) == (204, b"")
    left = NOTHING | CATALOGUE | {"/v0/externalReferences": 1}
    assert await totals(living) == left
    assert (await reset(living, shop.merchant_id, **body)).status_code == 204
    plan = accepted(await living.get("/v0/plans"))["data"][0]["id"]
    assert (await shop.subscribe(plan))["status"] == "pending_payment"


@pytest.mark.usefixtures("customer")
async def test_a_merchant_begins_again_from_nothing(shop: Shop, living: Client) -> None:
    answer = await reset(living, shop.merchant_id, scope="merchant", keepCatalog=False)
    assert answer.status_code == 204
    assert await totals(living) == NOTHING
    assert (await shop.product()).startswith("prod_")


async def test_one_customer_goes(shop: Shop, living: Client, customer: str) -> None:
    other = await shop.customer()
    answer = await reset(living, shop.merchant_id, scope="customer", customerId=customer)
    assert answer.status_code == 204
    left = NOTHING | CATALOGUE | {"/v0/externalReferences": 1, "/v0/customers": 1}
    assert await totals(living) == left | {"/v0/testClocks": 1}
    assert (await living.get(f"/v0/customers/{customer}")).status_code == 404
    assert (await living.get(f"/v0/customers/{other}")).status_code == 200
    gone = await reset(living, shop.merchant_id, scope="customer", customerId=customer)
    assert gone.status_code == 404


async def test_kept_answers_are_forgotten(shop: Shop, living: Client) -> None:
    body = {"merchantId": shop.merchant_id, "name": "A", "description": "d"}
    headers = {"Idempotency-Key": "k"}
    first = accepted(await living.post("/v0/products", json=body, headers=headers))
    await reset(living, shop.merchant_id, scope="merchant", keepCatalog=False)
    second = accepted(await living.post("/v0/products", json=body, headers=headers))
    assert first["id"] != second["id"]


async def test_refusals(
    shop: Shop, living: Client, living_app: FastAPI, stranger: CreatedMerchant, database: Database
) -> None:
    for body in (
        {},
        {"scope": "all"},
        {"scope": "merchant"},
        {"scope": "merchant", "keepCatalog": "yes"},
        {"scope": "customer"},
        {"scope": "customer", "customerId": "sub_1"},
        {"scope": "customer", "customerId": "cus_1", "keepCatalog": True},
    ):
        assert (await reset(living, shop.merchant_id, **body)).status_code == 400, body
    good = {"scope": "merchant", "keepCatalog": True}
    assert (await reset(living, stranger.merchant_id, **good)).status_code == 403
    assert (await reset(living, "prod_1", **good)).status_code == 404
    unknown = await reset(living, shop.merchant_id, scope="customer", customerId="cus_1")
    assert unknown.status_code == 404
    live = await OrganizationActivities(database).create_merchant(CreateMerchant("L", live=True))
    async with client_of(living_app, live.api_key) as client:
        assert (await reset(client, live.merchant_id, **good)).status_code == 403
