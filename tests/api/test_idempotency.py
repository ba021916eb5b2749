"""The `Idempotency-Key` header: twice the same request is one effect and one answer."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from activities.organizations import CreatedMerchant
from api.auth import KeyRing
from models.base import wall_now
from models.database import Database
from models.idempotency import IdempotencyKey
from models.organizations import User
from models.queries import idempotency
from tests.api.in_process import Client, Shop, accepted, consumer


def product(merchant: CreatedMerchant, **members: Any) -> dict[str, Any]:
    return {"merchantId": merchant.merchant_id, "name": "A", "description": "d", **members}


async def keyed(client: Client, path: str, body: Any, key: str = "key-1") -> httpx2.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def total(client: Client, path: str) -> int:
    return int(accepted(await client.get(path))["pagination"]["total"])


async def test_the_same_request_again_gives_the_first_answer(
    client: Client, merchant: CreatedMerchant
) -> None:
    first = await keyed(client, "/v0/products", product(merchant))
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers
    reordered = dict(reversed(product(merchant).items()))
    again = await keyed(client, "/v0/products", reordered)
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await total(client, "/v0/products") == 1
    assert (await keyed(client, "/v0/products", product(merchant), "key-2")).status_code == 201
    assert await total(client, "/v0/products") == 2


async def test_another_request_with_the_key_is_refused(
    client: Client, merchant: CreatedMerchant
) -> None:
    assert (await keyed(client, "/v0/products", product(merchant))).is_success
    for path, body in (
        ("/v0/products", product(merchant, name="B")),
        ("/v0/products?limit=1", product(merchant)),
        ("/v0/customers", {"merchantId": merchant.merchant_id, "consumer": consumer()}),
    ):
        refused = await keyed(client, path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert await total(client, "/v0/products") == 1


async def test_a_refused_request_is_judged_anew(client: Client, merchant: CreatedMerchant) -> None:
    fee = {
        "merchantId": merchant.merchant_id,
        "name": "F",
        "description": "d",
        "productId": "prod_1",
    }
    assert (await keyed(client, "/v0/fees", fee)).status_code == 404
    assert (await keyed(client, "/v0/fees", fee | {"name": 1})).status_code == 400
    made = accepted(await client.post("/v0/products", json=product(merchant)))
    assert (await keyed(client, "/v0/fees", fee | {"productId": made["id"]})).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "käse"])
async def test_keys_have_a_form(client: Client, merchant: CreatedMerchant, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = await client.post("/v0/products", json=product(merchant), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await total(client, "/v0/products") == 0


async def test_keys_belong_to_their_merchant(
    client: Client, merchant: CreatedMerchant, stranger: CreatedMerchant, stranger_client: Client
) -> None:
    mine = await keyed(client, "/v0/products", product(merchant))
    theirs = await keyed(stranger_client, "/v0/products", product(stranger))
    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine.json()["id"]
    nobody = await client.post(
        "/v0/products",
        json=product(merchant),
        headers={"Idempotency-Key": "key-1", "Authorization": "Bearer sk_test_0000000000000000"},
    )
    assert nobody.status_code == 401


async def test_many_at_once_have_one_effect(client: Client, merchant: CreatedMerchant) -> None:
    answers = await asyncio.gather(
        *(keyed(client, "/v0/products", product(merchant)) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await total(client, "/v0/products") == 1


async def test_what_stumbles_over_its_twin_gives_the_twins_answer(
    client: Client, merchant: CreatedMerchant
) -> None:
    made = accepted(await client.post("/v0/products", json=product(merchant)))
    feature = {
        "merchantId": merchant.merchant_id,
        "productId": made["id"],
        "key": "seats",
        "name": "Seats",
    }
    answers = await asyncio.gather(*(keyed(client, "/v0/features", feature) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = await keyed(client, "/v0/features", feature, "key-2")
    assert other.status_code == 409


async def test_the_status_of_the_first_answer_is_kept(
    client: Client, merchant: CreatedMerchant
) -> None:
    body = {"merchantId": merchant.merchant_id, "consumer": consumer()}
    first = await keyed(client, "/v0/customers", body)
    again = await keyed(client, "/v0/customers", body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (await client.post("/v0/customers", json=body)).status_code == 200


async def test_life_cycles_are_kept_too(shop: Shop, living: Client) -> None:
    plan, customer = await shop.advance_plan(), await shop.customer()
    body = {
        "name": "Sub",
        "planId": plan,
        "customerId": customer,
        "startedAt": wall_now().isoformat(),
    }
    first = await keyed(living, "/v0/subscriptions", body)
    again = await keyed(living, "/v0/subscriptions", body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    path = f"/v0/subscriptions/{first.json()['id']}/termination"
    ended = await keyed(living, path, {"reason": "over"}, "end")
    repeated = await keyed(living, path, {"reason": "over"}, "end")
    assert ended.is_success
    assert repeated.content == ended.content
    assert (await living.post(path, json={"reason": "over"})).status_code == 409


async def test_a_refused_life_cycle_frees_its_key(shop: Shop, living: Client) -> None:
    body = {
        "name": "Sub",
        "planId": "plan_1",
        "customerId": await shop.customer(),
        "startedAt": wall_now().isoformat(),
    }
    assert (await keyed(living, "/v0/subscriptions", body)).status_code == 404
    body["planId"] = await shop.advance_plan()
    assert (await keyed(living, "/v0/subscriptions", body)).status_code == 201


async def test_work_in_progress_is_told_and_taken_over_when_abandoned(
    shop: Shop, living: Client, merchant: CreatedMerchant, database: Database
) -> None:
    body = {
        "name": "Sub",
        "planId": await shop.advance_plan(),
        "customerId": await shop.customer(),
        "startedAt": wall_now().isoformat(),
    }
    made = await keyed(living, "/v0/subscriptions", body)

    async def claimed(ago: timedelta) -> None:
        async with database.transaction() as session:
            row = await idempotency.get(session, merchant.merchant_id, "key-1")
            assert row is not None
            row.sqlmodel_update({"status": None, "body": "", "claimed_at": wall_now() - ago})

    await claimed(timedelta(seconds=1))
    waiting = await keyed(living, "/v0/subscriptions", body)
    assert waiting.json()["code"] == "IDEMPOTENCY_KEY_IN_PROGRESS"
    assert waiting.status_code == 409
    other = await keyed(living, "/v0/subscriptions", body | {"name": "x"})
    assert other.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    await claimed(timedelta(seconds=61))
    taken_over = await keyed(living, "/v0/subscriptions", body)
    assert taken_over.status_code == 200
    assert taken_over.json()["id"] == made.json()["id"]


async def test_every_post_of_the_contract_documents_the_header(app: FastAPI) -> None:
    posts = {
        path: operations["post"]
        for path, operations in app.openapi()["paths"].items()
        if "post" in operations and path.startswith(("/v0/", "/v1/", "/v2/"))
    }
    assert len(posts) > 10
    for path, operation in posts.items():
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert names.count("Idempotency-Key") == 1, path


async def test_an_answer_is_kept_with_its_effect_or_not_at_all(
    client: Client, merchant: CreatedMerchant, database: Database
) -> None:
    made = await keyed(client, "/v0/products", product(merchant))
    async with database.transaction() as session:
        row = await session.get(IdempotencyKey, (merchant.merchant_id, "key-1"))
        assert row is not None
        assert (row.status, row.body) == (201, made.text)


async def test_events_are_kept_too(shop: Shop, living: Client) -> None:
    await shop.metric_price(await shop.product(), "1")
    body = {"type": "completion", "source": "s", "subject": "cus_1", "data": {"tokens": 1}}
    first = await keyed(living, "/v0/events", body)
    again = await keyed(living, "/v0/events", body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_kept_answer_is_not_told_to_who_may_no_longer_ask(
    client: Client, app: FastAPI, database: Database, merchant: CreatedMerchant
) -> None:
    """The key's user loses the permission between two requests: 403, as without the header."""
    assert (await keyed(client, "/v0/products", product(merchant))).status_code == 201
    async with database.transaction() as session:
        members = await session.exec(
            select(User).where(col(User.merchant_id) == merchant.merchant_id)
        )
        for member in members:
            member.permissions = ["products:read"]
            session.add(member)
    app.state.key_ring = KeyRing(database)
    refused = await keyed(client, "/v0/products", product(merchant))
    assert refused.status_code == 403
    assert refused.json()["requiredPermissions"] == ["products:write"]
