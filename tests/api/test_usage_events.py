"""Charged uses over HTTP: paid from wallet or hold, or accrued; once; disputed and refunded."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from activities.organizations import CreatedMerchant
from models.base import wall_now
from tests.api.in_process import InProcess, Shop, add_wallet
from tests.conftest import client_of

Client = httpx2.AsyncClient
NANO = 10**9


class Legacy:
    """A customer with 25.00 on the wallet and a version 0 plan: 0.50 a call, plus 10 %."""

    def __init__(self, shop: Shop, client: Client, commands: InProcess) -> None:
        self.shop, self.client, self.commands = shop, client, commands
        self.metric = self.customer = self.subscription = self.plan = ""

    async def open(self, model: str = "standard", **price: Any) -> "Legacy":
        product = await self.shop.product()
        members = {"paymentTerm": "instant", "model": model} | price
        self.metric, price_id = await self.shop.metric_price(product, "0.50", **members)
        self.plan = await self.shop.plan(product, price_id, billingVersion=0)
        made = await self.shop.subscribe(self.plan)
        self.customer, self.subscription = made["customerId"], made["id"]
        await add_wallet(self.commands, self.shop.merchant_id, self.customer, "25.00")
        return self

    def body(self, quantity: Any = 10, key: str = "use-1", **members: Any) -> dict[str, Any]:
        item = {"billableMetricId": self.metric, "quantity": quantity}
        if "price" in members:
            item["price"] = members.pop("price")
        return {
            "idempotencyKey": key,
            "customerId": self.customer,
            "merchantId": self.shop.merchant_id,
            "timestamp": wall_now().isoformat(),
            "properties": [item],
        } | members

    async def use(self, *arguments: Any, **members: Any) -> httpx2.Response:
        return await self.client.post("/v0/usage", json=self.body(*arguments, **members))

    async def hold(self, quantity: int, max_uses: int = 1) -> str:
        answer = await self.client.post(
            "/v0/entitlements",
            json={
                "merchantId": self.shop.merchant_id,
                "customerId": self.customer,
                "entitlementData": [{"billableMetricId": self.metric, "quantity": quantity}],
                "maxUses": max_uses,
            },
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def left(self) -> int:
        """What a hold of one call leaves of the wallet, in nano-units, beside that call's 0.55."""
        answer = await self.client.post(
            "/v0/entitlements",
            json={
                "merchantId": self.shop.merchant_id,
                "customerId": self.customer,
                "entitlementData": [{"billableMetricId": self.metric, "quantity": 1}],
            },
        )
        return int(answer.json()["remainingBalance"])


@pytest.fixture
def legacy(shop: Shop, living: Client, commands: InProcess) -> Legacy:
    return Legacy(shop, living, commands)


async def test_a_use_is_paid_from_the_wallet_at_once(legacy: Legacy) -> None:
    """10 x 0.50 = 5.00, tax 0.50: 25.00 - 5.50 - 0.55 held = 18.95."""
    await legacy.open()
    answer = await legacy.use(metadata={"job": "7"})
    assert answer.status_code == 201, answer.text
    event = answer.json()
    assert event["id"].startswith("usg_")
    assert event["object"] == "usageEvent"
    assert event["subscriptionId"] == legacy.subscription
    assert event["metadata"] == {"job": "7"}
    assert event["properties"] == [{"billableMetricId": legacy.metric, "quantity": 10}]
    assert event["billing"]["price"] == 5 * NANO
    assert event["billing"]["totalTax"] == NANO // 2
    assert event["billing"]["totalAmount"] == 5_500_000_000
    assert event["billing"]["currency"] == "USD"
    assert "refund" not in event
    assert await legacy.left() == 18_950_000_000
    got = await legacy.client.get(f"/v0/usage/{event['id']}")
    assert got.json() == event


async def test_the_same_key_is_charged_once(legacy: Legacy) -> None:
    await legacy.open()
    answers = await asyncio.gather(*(legacy.use() for _ in range(5)))
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["id"] for each in answers}) == 1
    again = await legacy.use(20)
    assert again.status_code == 201
    assert again.json()["properties"][0]["quantity"] == 10
    assert await legacy.left() == 18_950_000_000


async def test_a_wallet_never_goes_below_zero(legacy: Legacy) -> None:
    """46 calls cost 25.30; parallel uses of 20 (11.00 each) fit twice into 25.00."""
    await legacy.open()
    refused = await legacy.use(46)
    assert refused.status_code == 400
    assert refused.json()["code"] == "INSUFFICIENT_FUNDS"
    answers = await asyncio.gather(*(legacy.use(20, key=f"k{n}") for n in range(4)))
    assert sorted(each.status_code for each in answers) == [201, 201, 400, 400]
    assert await legacy.left() == 2_450_000_000
    # A refused key is free again.
    retried = await legacy.use(1, key="use-1")
    assert retried.status_code == 201


async def test_a_hold_pays_and_its_last_use_gives_the_rest_back(legacy: Legacy) -> None:
    """A hold of 20 calls is 11.00; 5.50 is used, 5.50 returns: 25.00 - 5.50 - 0.55."""
    await legacy.open()
    held = await legacy.hold(20)
    answer = await legacy.use(entitlementId=held)
    assert answer.status_code == 201, answer.text
    assert answer.json()["entitlementId"] == held
    assert await legacy.left() == 18_950_000_000
    spent = await legacy.use(1, key="use-2", entitlementId=held)
    assert spent.status_code == 400
    assert spent.json()["errors"][0]["field"] == "entitlementId"


async def test_the_same_key_from_a_spent_hold_is_the_first_use(legacy: Legacy) -> None:
    await legacy.open()
    held = await legacy.hold(20)
    answers = await asyncio.gather(*(legacy.use(entitlementId=held) for _ in range(4)))
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["id"] for each in answers}) == 1


async def test_older_names_of_holds_are_understood(legacy: Legacy) -> None:
    await legacy.open()
    held = (await legacy.hold(20)).replace("ent_", "com_")
    answer = await legacy.use(entitlementId=held)
    assert answer.status_code == 201, answer.text


async def test_what_a_hold_does_not_cover_comes_from_the_wallet(legacy: Legacy) -> None:
    """5 calls held (2.75) of 10 (5.50): 2.75 from the wallet. 46 calls more do not fit."""
    await legacy.open()
    held = await legacy.hold(5, max_uses=2)
    assert (await legacy.use(entitlementId=held)).status_code == 201
    refused = await legacy.use(46, key="use-2", entitlementId=held)
    assert refused.json()["code"] == "INSUFFICIENT_FUNDS"
    assert await legacy.left() == 18_950_000_000


async def test_a_refund_is_for_good(legacy: Legacy) -> None:
    await legacy.open()
    event = (await legacy.use()).json()
    path = f"/v0/usage/{event['id']}"
    answer = await legacy.client.patch(path, json={"refunded": True, "reason": "Wrong"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["refund"]["reason"] == "Wrong"
    again = await legacy.client.patch(path, json={"refunded": True})
    assert (again.status_code, again.json()["code"]) == (422, "ALREADY_REFUNDED")
    assert await legacy.left() == 24_450_000_000
    bad = await legacy.client.patch(path, json={"refunded": False})
    assert bad.status_code == 400


async def test_a_refund_goes_back_into_its_hold(legacy: Legacy) -> None:
    """A hold of 11.00 for 3 uses: 5.50 used, refunded, and 11.00 can be used again."""
    await legacy.open()
    held = await legacy.hold(20, max_uses=3)
    event = (await legacy.use(entitlementId=held)).json()
    await legacy.client.patch(f"/v0/usage/{event['id']}", json={"refunded": True})
    wallet = await legacy.left()
    assert wallet == 13_450_000_000
    assert (await legacy.use(20, key="use-2", entitlementId=held)).status_code == 201
    assert await legacy.left() == wallet - 550_000_000


async def test_dynamic_uses_bring_their_price(legacy: Legacy) -> None:
    await legacy.open("dynamic", properties={"minPrice": "0.10", "maxPrice": "2"})
    answer = await legacy.use(4, price="1.25")
    assert answer.json()["billing"]["price"] == 5 * NANO
    assert answer.json()["properties"][0]["price"] == "1.25"
    for price in ("0.09", "2.01"):
        refused = await legacy.use(4, key=price, price=price)
        assert refused.status_code == 400, refused.text
    missing = await legacy.use(4, key="none")
    assert missing.status_code == 400


async def test_percentages_are_clamped_use_by_use(legacy: Legacy) -> None:
    """3 % of 10 is 0.30, at least 0.50; of 100 is 3.00; of 1000 is 30.00, at most 4.00."""
    await legacy.open(
        "percentage", properties={"percentage": "0.03", "minCharge": "0.5", "maxCharge": "4"}
    )
    for quantity, price in ((10, 500_000_000), (100, 3 * NANO), (1000, 4 * NANO)):
        answer = await legacy.use(quantity, key=f"q{quantity}")
        assert answer.json()["billing"]["price"] == price, answer.text


async def test_standard_billing_has_no_charged_uses(legacy: Legacy, shop: Shop) -> None:
    product = await shop.product()
    metric, price = await shop.metric_price(product, "0.50")
    made = await shop.subscribe(await shop.plan(product, price))
    legacy.metric, legacy.customer = metric, made["customerId"]
    answer = await legacy.use()
    assert answer.status_code == 400
    assert answer.json()["code"] == "BILLING_VERSION_MISMATCH"


async def test_a_use_lies_in_an_open_period(legacy: Legacy) -> None:
    await legacy.open()
    for shift in (timedelta(minutes=6), timedelta(days=-1)):
        answer = await legacy.use(timestamp=(wall_now() + shift).isoformat())
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "timestamp"
    soon = await legacy.use(timestamp=(wall_now() + timedelta(minutes=4)).isoformat())
    assert soon.status_code == 201


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("idempotencyKey", None),
        ("idempotencyKey", ""),
        ("idempotencyKey", "a\x00b"),
        ("customerId", "org_1"),
        ("timestamp", "yesterday"),
        ("properties", []),
        ("properties", [{"billableMetricId": "bm_1", "quantity": 0}]),
        ("properties", [{"billableMetricId": "bm_1", "quantity": 1.5}]),
        ("properties", [{"billableMetricId": "bm_1", "quantity": 10**30}]),
        ("properties", [{"billableMetricId": "bm_1", "quantity": 1, "price": "-1"}]),
        ("properties", [{"billableMetricId": "bm_unknown", "quantity": 1}]),
        ("entitlementId", "res_1"),
        ("entitlementId", "ent_unknown"),
        ("metadata", {"a": 1}),
        ("unknown", 1),
    ],
)
async def test_bad_uses_are_refused(legacy: Legacy, member: str, value: Any) -> None:
    await legacy.open()
    body = legacy.body() | {member: value}
    if value is None:
        del body[member]
    answer = await legacy.client.post("/v0/usage", json=body)
    assert answer.status_code == 400, answer.text


async def test_strangers_see_and_charge_nothing(
    legacy: Legacy, stranger_client: Client, living: Client
) -> None:
    await legacy.open()
    event = (await legacy.use()).json()
    assert (await stranger_client.get(f"/v0/usage/{event['id']}")).status_code == 404
    window = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2100-01-01T00:00:00Z"}
    query = window | {"customerId": legacy.customer}
    assert (await stranger_client.get("/v0/usage", params=query)).json()["data"] == []
    query = window | {"merchantId": legacy.shop.merchant_id}
    assert (await stranger_client.get("/v0/usage", params=query)).status_code == 403
    unknown = await living.post("/v0/usage", json=legacy.body(customerId="cus_unknown", key="x"))
    assert unknown.status_code == 404


async def test_a_batch_judges_each_event_alone(legacy: Legacy) -> None:
    """5.50, then 25.30 which is too much, then nonsense, then 5.50 again under the first key."""
    await legacy.open()
    events = [
        legacy.body(10, key="a"),
        legacy.body(46, key="b"),
        legacy.body(10, key="c") | {"properties": "none"},
        {"idempotencyKey": 7},
        legacy.body(10, key="a"),
    ]
    answer = await legacy.client.post("/v0/usage/batch", json={"events": events})
    assert answer.status_code == 207, answer.text
    body = answer.json()
    assert body["object"] == "batchUsageEvents"
    assert body["summary"] == {"total": 5, "successful": 2, "failed": 3}
    assert [(each["index"], each["idempotencyKey"]) for each in body["failed"]] == [
        (1, "b"),
        (2, "c"),
        (3, ""),
    ]
    assert all(each["error"] for each in body["failed"])
    assert {each["idempotencyKey"] for each in body["successful"]} == {"a"}
    assert await legacy.left() == 18_950_000_000
    whole = await legacy.client.post("/v0/usage/batch", json={"events": [legacy.body(1, key="d")]})
    assert whole.status_code == 201
    assert (await legacy.client.post("/v0/usage/batch", json={"events": []})).status_code == 400


async def test_lists_have_a_window_and_an_owner(legacy: Legacy) -> None:
    await legacy.open()
    for key in ("a", "b", "c"):
        await legacy.use(1, key=key)
    window = {
        "startTime": (wall_now() - timedelta(hours=1)).isoformat(),
        "endTime": (wall_now() + timedelta(hours=1)).isoformat(),
    }
    owner = {"subscriptionId": legacy.subscription}
    listed = await legacy.client.get("/v0/usage", params=window | owner | {"limit": 2})
    assert [each["idempotencyKey"] for each in listed.json()["data"]] == ["c", "b"]
    assert listed.json()["pagination"] == {"limit": 2, "offset": 0, "total": 3}
    consumer = listed.json()["data"][0]["consumerId"]
    for whose in ({"consumerId": consumer}, {"customerId": legacy.customer}):
        found = await legacy.client.get("/v0/usage", params=window | whose)
        assert found.json()["pagination"]["total"] == 3
    assert (await legacy.client.get("/v0/usage", params=window)).status_code == 400
    assert (await legacy.client.get("/v0/usage", params=owner)).status_code == 400
    empty = {"startTime": window["endTime"], "endTime": window["endTime"]}
    assert (await legacy.client.get("/v0/usage", params=empty | owner)).status_code == 400


async def test_an_accepted_dispute_refunds_the_event(legacy: Legacy) -> None:
    await legacy.open()
    event = (await legacy.use()).json()
    body = {"usageEventId": event["id"], "message": "I never made these calls"}
    opened = await legacy.client.post("/v0/disputes", json=body)
    assert opened.status_code == 201, opened.text
    dispute = opened.json()
    assert (dispute["status"], dispute["disputedAmount"]) == ("pending", "5.50")
    assert (await legacy.client.post("/v0/disputes", json=body)).status_code == 409
    path = f"/v0/disputes/{dispute['id']}"
    accepted = await legacy.client.post(f"{path}/accept", json={"message": "Sorry"})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["merchantMessage"] == "Sorry"
    assert accepted.json()["resolvedAt"] is not None
    assert (await legacy.client.post(f"{path}/accept", json={})).status_code == 200
    assert (await legacy.client.post(f"{path}/decline", json={})).status_code == 409
    got = (await legacy.client.get(f"/v0/usage/{event['id']}")).json()
    assert got["refund"]["refundedAt"] is not None
    assert await legacy.left() == 24_450_000_000


async def test_disputes_are_listed_with_their_customer(
    legacy: Legacy, living_app: FastAPI, stranger: CreatedMerchant
) -> None:
    await legacy.open()
    stranger_client = client_of(living_app, stranger.api_key)
    for key in ("a", "b"):
        event = (await legacy.use(1, key=key)).json()
        body = {"usageEventId": event["id"], "message": "Not by me, not then"}
        assert (await stranger_client.post("/v0/disputes", json=body)).status_code == 404
        made = (await legacy.client.post("/v0/disputes", json=body)).json()
    declined = await legacy.client.post(f"/v0/disputes/{made['id']}/decline", json={})
    assert declined.json()["status"] == "declined"
    older = legacy.customer.replace("cus_", "cust_")
    listed = await legacy.client.get("/v0/disputes", params={"customerId": older, "limit": 1})
    assert listed.json()["pagination"] == {"limit": 1, "offset": 0, "total": 2, "hasMore": True}
    assert listed.json()["data"][0]["customer"]["name"] == "Ada"
    query = {"merchantId": legacy.shop.merchant_id, "status": "pending"}
    pending = (await legacy.client.get("/v0/disputes", params=query)).json()
    assert [each["disputedAmount"] for each in pending["data"]] == ["0.55"]
    assert pending["pagination"]["hasMore"] is False
    assert (await legacy.client.get("/v0/disputes")).status_code == 400
    short = {"usageEventId": made["usageEventId"], "message": "short"}
    assert (await legacy.client.post("/v0/disputes", json=short)).status_code == 400


async def test_a_fee_has_its_price_in_the_subscription(shop: Shop, living: Client) -> None:
    product = await shop.product()
    price = await shop.fee_price(product, "49.00")
    fee = (await living.get(f"/v0/prices/{price}")).json()["feeId"]
    made = await shop.subscribe(await shop.plan(product, price))
    answer = await living.get(f"/v0/fees/{fee}/price/{made['id']}")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "id": price,
        "feeId": fee,
        "model": "standard",
        "paymentTerm": "in_advance",
        "invoiceDisplayName": "Base fee",
        "properties": {"unitPrice": "49.00"},
        "taxRate": 10.0,
    }
    other = (await living.get(f"/v0/prices/{await shop.fee_price(product, '1')}")).json()["feeId"]
    assert (await living.get(f"/v0/fees/{other}/price/{made['id']}")).status_code == 404
    assert (await living.get(f"/v0/fees/{fee}/price/sub_unknown")).status_code == 404
