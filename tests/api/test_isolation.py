"""Every operation with another merchant's ids, in path, query and body: never its objects."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from activities.organizations import CreatedMerchant
from models import tables
from models.base import wall_now
from models.database import Database
from tests.api.foreign import Document, Objects, ids_in, with_one
from tests.api.in_process import CARD, InProcess, Shop, add_wallet
from tests.conftest import client_of

Client = httpx2.AsyncClient
HIDDEN = {403, 404}
# Ids of things that nobody can make yet, or that only an operator asks for.
ELSEWHERE = {"pu", "ccr"}
OWN_TAGS = {"Operations", "Internal"}
# Where an optional member is what makes a body one.
BODIES: dict[str, dict[str, Any]] = {
    "transitionPlanVersion": {"default": True},
    "editSubscriptionIntervals": {"remove": [{"id": "int_0"}]},
}


async def furnish(shop: Shop, commands: InProcess) -> None:
    """One of everything, over HTTP."""
    product = await shop.product()
    await shop.post(
        "/v0/features", merchantId=shop.merchant_id, productId=product, key="k", name="F"
    )
    fee_price = await shop.fee_price(product, "49.00")
    plan = await shop.plan(product, fee_price)
    clock = await shop.clock(wall_now().isoformat())
    await shop.subscribe(plan, testClockId=clock)
    bought = await shop.subscribe(plan)
    await shop.post(
        f"/v0/subscriptions/{bought['id']}/adjustments",
        type="percentageDiscount",
        percentageDiscount="0.5",
        effectiveFrom=wall_now().isoformat(),
    )
    page = bought["payment"]["checkoutUrl"]
    assert (await shop.client.post(page, data=CARD)).is_success
    await _agree_terms(shop, product)
    await shop.post(f"/v2/invoices/{bought['payment']['invoiceId']}/refunds")
    item = await shop.post("/v0/items", merchantId=shop.merchant_id, name="Item")
    await shop.post(
        "/v0/externalReferences",
        merchantId=shop.merchant_id,
        entityType="item",
        entityId=item["id"],
        provider="netsuite",
        externalId="NS-1",
    )
    body = {"merchantId": shop.merchant_id, "provider": "netsuite"}
    assert (await shop.client.put("/v0/merchantIntegrations", json=body)).is_success
    await _use(shop, commands, product)
    await shop.post("/v0/payments", amount="10.00", currency="USD")


async def _agree_terms(shop: Shop, product: str) -> None:
    """A rate of its own for a subscription in arrears."""
    price = await shop.fee_price(product, "1.00", paymentTerm="in_arrears")
    made = await shop.subscribe(await shop.plan(product, prices=[{"priceId": price, "key": "k"}]))
    addition = {
        "priceKey": "k",
        "unitPrice": "2.00",
        "baseQuantity": "1",
        "billingCadence": "P1M",
        "billingMode": "arrears",
        "startDate": made["startedAt"],
    }
    await shop.post(f"/v0/subscriptions/{made['id']}/intervals", add=[addition])


async def _use(shop: Shop, commands: InProcess, product: str) -> None:
    """A version 0 customer with a hold, a charged use and a dispute of it; a metered event."""
    metric, price = await shop.metric_price(product, "0.50", paymentTerm="instant")
    made = await shop.subscribe(await shop.plan(product, price, billingVersion=0))
    customer = made["customerId"]
    await add_wallet(commands, shop.merchant_id, customer, "25.00")
    data = [{"billableMetricId": metric, "quantity": 1}]
    whose = {"merchantId": shop.merchant_id, "customerId": customer}
    await shop.post("/v0/entitlements", **whose, entitlementData=data)
    use = await shop.post(
        "/v0/usage",
        **whose,
        idempotencyKey="use",
        timestamp=wall_now().isoformat(),
        properties=data,
    )
    await shop.post("/v0/disputes", usageEventId=use["id"], message="Never used by anybody")
    await shop.post(
        "/v0/events", type="completion", source="s", subject=customer, data={"tokens": 1}
    )


async def objects_of(database: Database, merchant: CreatedMerchant) -> Objects:
    """The newest of every kind, as the database knows them."""
    found = {"org": merchant.merchant_id}
    async with database.transaction() as session:
        connection = await session.connection()
        for table in tables.metadata.sorted_tables:
            if "id" not in table.columns or table.name in {"merchants", "consumers"}:
                continue
            rows = await connection.execute(
                text(f"SELECT id::text FROM {table.name} WHERE merchant_id = :m ORDER BY id"),
                {"m": merchant.merchant_id},
            )
            for (identifier,) in rows:
                prefix = identifier.partition("_")[0] if "_" in identifier else "evt"
                tail = identifier.partition("_")[2] or identifier.replace("-", "")
                found[prefix] = f"{prefix}_{tail}"
        consumer = await connection.execute(
            text("SELECT id FROM consumers WHERE merchant_id = :m ORDER BY id DESC LIMIT 1"),
            {"m": merchant.merchant_id},
        )
        return Objects(found, consumer.scalar_one())


class Walk:
    """Two furnished merchants; the first asks for what belongs to the second."""

    def __init__(self, client: Client, document: Document, own: Objects, foreign: Objects) -> None:
        self.client = client
        self.document = document
        self.own = own
        self.foreign = foreign

    async def ask(self, method: str, path: str, query: dict[str, Any], body: Any) -> Any:
        return await self.client.request(
            method,
            path,
            params=query,
            json=body,
            headers={"Idempotency-Key": wall_now().isoformat()},
        )


@pytest.fixture
async def own(shop: Shop, commands: InProcess, merchant: CreatedMerchant) -> Objects:
    """Everything of the merchant who asks."""
    await furnish(shop, commands)
    return await objects_of(commands.database, merchant)


@pytest.fixture
async def foreign(living_app: FastAPI, commands: InProcess, stranger: CreatedMerchant) -> Objects:
    """Everything of the merchant who is asked for."""
    async with client_of(living_app, stranger.api_key) as theirs:
        await furnish(Shop(theirs, stranger), commands)
    return await objects_of(commands.database, stranger)


@pytest.fixture
async def walk(living_app: FastAPI, living: Client, own: Objects, foreign: Objects) -> Walk:
    """The walk, with everything in place."""
    return Walk(living, Document(living_app.openapi()), own, foreign)


def _of_merchants(document: Document) -> list[tuple[str, str, Any]]:
    return [each for each in document.operations() if not OWN_TAGS & set(each[2]["tags"])]


async def test_there_is_one_of_everything(walk: Walk) -> None:
    kinds = walk.document.prefixes()
    assert len(kinds) > 15
    assert kinds - set(walk.foreign.by_prefix) - ELSEWHERE == set()


async def test_no_path_leads_to_another_merchant(walk: Walk) -> None:
    wrong = []
    asked = 0
    for method, path, operation in _of_merchants(walk.document):
        if "{" not in path:
            continue
        asked += 1
        address = walk.document.address(path, operation, walk.foreign)
        query = walk.document.query(operation, walk.own)
        body = walk.document.body(operation, walk.own)
        if operation["operationId"] in BODIES:
            body = BODIES[operation["operationId"]]
        answer = await walk.ask(method, address, query, body)
        if answer.status_code not in HIDDEN:
            wrong.append((operation["operationId"], answer.status_code, answer.text[:200]))
    assert wrong == []
    assert asked > 40


async def test_no_query_leads_to_another_merchant(walk: Walk) -> None:
    wrong = []
    asked = 0
    for method, path, operation in _of_merchants(walk.document):
        address = walk.document.address(path, operation, walk.own)
        for name, prefix in walk.document.queried_ids(operation):
            asked += 1
            query = walk.document.query(operation, walk.own)
            query[name] = walk.foreign.named(name, prefix)
            answer = await walk.ask(method, address, query, None)
            if answer.status_code not in HIDDEN and not _is_empty(answer):
                wrong.append(
                    (operation["operationId"], name, answer.status_code, answer.text[:200])
                )
    assert wrong == []
    assert asked > 30


def _is_empty(answer: Any) -> bool:
    """A list of nothing, or figures of zero: an id that is unknown here narrows to nothing."""
    if answer.status_code != 200:
        return False
    body = answer.json()
    rows = body.get("data", body.get("buckets", body.get("events")))
    return rows == [] or body.get("netRevenue") in {"0", "0.00"}


async def test_no_body_uses_another_merchants_objects(walk: Walk, shop: Shop) -> None:
    # Of a customer who has a plan already, a subscription is answered, not made.
    idle = walk.own.by_prefix | {"cus": await shop.customer()}
    wrong = []
    asked = 0
    for method, path, operation in _of_merchants(walk.document):
        own = walk.document.body(operation, Objects(idle, walk.own.consumer_id))
        foreign = walk.document.body(operation, walk.foreign)
        address = walk.document.address(path, operation, walk.own)
        query = walk.document.query(operation, walk.own)
        for place in ids_in(own or {}):
            asked += 1
            answer = await walk.ask(method, address, query, with_one(own, foreign, place))
            if not _refuses(answer):
                wrong.append(
                    (operation["operationId"], place, answer.status_code, answer.text[:200])
                )
    assert wrong == []
    assert asked > 20


def _refuses(answer: Any) -> bool:
    """A refusal, or a batch of which every part was refused."""
    if answer.status_code == 202:
        return all(row.get("status") == "refused" for row in answer.json().get("data", [{}]))
    return 400 <= int(answer.status_code) < 500
