"""Reservations of funds over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import InProcess, Shop, add_wallet

Client = httpx2.AsyncClient


@pytest.fixture
async def wallet(shop: Shop, commands: InProcess) -> Any:
    """A customer with 25.00 on the wallet and a version 0 plan at 0.50 a unit plus 10 %."""
    product = await shop.product()
    metric, price = await shop.metric_price(product, "0.50")
    made = await shop.subscribe(await shop.plan(product, price, billingVersion=0))
    await add_wallet(commands, shop.merchant_id, made["customerId"], "25.00")
    return {"metric": metric, "product": product, "subscription": made}


def body(shop: Shop, wallet: Any, quantity: Any = 10, **members: Any) -> dict[str, Any]:
    data = [{"billableMetricId": wallet["metric"], "quantity": quantity}]
    return {
        "merchantId": shop.merchant_id,
        "customerId": wallet["subscription"]["customerId"],
        "entitlementData": data,
        **members,
    }


async def test_a_hold_takes_its_cost_from_the_wallet(
    shop: Shop, living: Client, wallet: Any
) -> None:
    answer = await living.post("/v0/entitlements", json=body(shop, wallet, maxUses=3))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"].startswith("ent_")
    assert made["object"] == "entitlement"
    assert made["remainingBalance"] == "19500000000"
    assert (made["maxUses"], made["usedCount"], made["region"]) == (3, 0, "global")
    assert made["billableMetrics"] == [
        {"billableMetricId": wallet["metric"], "quantity": 10, "price": None}
    ]
    query = {"customerId": wallet["subscription"]["customerId"]}
    listed = (await living.get("/v0/entitlements/activeEntitlements", params=query)).json()
    assert listed["pagination"]["total"] == 1
    active = listed["data"][0]
    assert active["id"] == made["id"]
    assert active["billableMetrics"] == [wallet["metric"]]
    assert active["subscriptionId"] == wallet["subscription"]["id"]
    assert active["productId"] == wallet["product"]
    other = query | {"productId": await shop.product()}
    narrowed = await living.get("/v0/entitlements/activeEntitlements", params=other)
    assert narrowed.json()["data"] == []


async def test_more_than_the_wallet_holds_is_refused_and_holds_nothing(
    shop: Shop, living: Client, wallet: Any
) -> None:
    refused = await living.post("/v0/entitlements", json=body(shop, wallet, 46))
    assert refused.status_code == 400
    assert refused.json()["code"] == "INSUFFICIENT_FUNDS"
    granted = await living.post("/v0/entitlements", json=body(shop, wallet, 45))
    assert granted.json()["remainingBalance"] == "250000000"


async def test_wrong_bodies_are_refused(shop: Shop, living: Client, wallet: Any) -> None:
    good = body(shop, wallet)
    wrong: list[dict[str, Any]] = [
        {"entitlementData": []},
        {"entitlementData": [{"billableMetricId": wallet["metric"], "quantity": -1}]},
        {"entitlementData": [{"billableMetricId": wallet["metric"], "quantity": "1"}]},
        {"entitlementData": [{"billableMetricId": "bm_0", "quantity": 1}]},
        {"maxUses": 0},
        {"maxUses": 1001},
        {"region": "local"},
    ]
    for members in (*wrong, body(shop, wallet, 0)):
        answer = await living.post("/v0/entitlements", json=good | members)
        assert answer.status_code == 400, members
    missing = await living.post("/v0/entitlements", json=good | {"customerId": "cus_0"})
    assert missing.status_code == 404


async def test_only_version_zero_holds_funds(
    shop: Shop, living: Client, commands: InProcess
) -> None:
    product = await shop.product()
    metric, price = await shop.metric_price(product, "0.50")
    made = await shop.subscribe(await shop.plan(product, price))
    await add_wallet(commands, shop.merchant_id, made["customerId"], "25.00")
    wallet = {"metric": metric, "subscription": made}
    answer = await living.post("/v0/entitlements", json=body(shop, wallet))
    assert answer.status_code == 400


async def test_another_merchant_sees_no_hold(
    shop: Shop, living: Client, wallet: Any, stranger_client: Client
) -> None:
    await living.post("/v0/entitlements", json=body(shop, wallet))
    query = {"customerId": wallet["subscription"]["customerId"]}
    listed = await stranger_client.get("/v0/entitlements/activeEntitlements", params=query)
    assert listed.json()["data"] == []
