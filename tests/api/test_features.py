"""Features over HTTP."""

from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.database import Database
from models.products import Product
from tests.factories import a_feature, a_metric, a_price, a_product

Client = httpx2.AsyncClient


@pytest.fixture
async def product(database: Database, merchant: CreatedMerchant) -> Product:
    async with database.transaction() as session:
        return await a_product(session, merchant.merchant_id)


def body(product: Product, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": product.merchant_id,
        "productId": product.id,
        "key": "api-calls",
        "name": "API calls",
        **members,
    }


async def test_create_get_and_list(client: Client, product: Product) -> None:
    created = await client.post("/v0/features", json=body(product, metadata={"a": "b"}))
    assert created.status_code == 201
    feature = created.json()
    assert feature["type"] == "boolean"
    assert feature["object"] == "feature"
    assert feature["metadata"] == {"a": "b"}
    assert (await client.get(f"/v0/features/{feature['id']}")).json() == feature
    for key, total in (("api-calls", 1), ("other", 0)):
        query = {"productId": product.id, "key": key}
        listed = (await client.get("/v0/features", params=query)).json()
        assert listed["pagination"]["total"] == total


async def test_a_key_is_unique_in_its_product_while_it_lives(
    client: Client, product: Product
) -> None:
    feature = (await client.post("/v0/features", json=body(product))).json()
    again = await client.post("/v0/features", json=body(product))
    assert (again.status_code, again.json()["code"]) == (409, "DUPLICATE_RESOURCE")
    other = (await client.post("/v0/features", json=body(product, key="b"))).json()
    clash = await client.patch(f"/v0/features/{other['id']}", json={"key": "api-calls"})
    assert clash.status_code == 409
    assert (await client.delete(f"/v0/features/{feature['id']}")).status_code == 204
    assert (await client.get(f"/v0/features/{feature['id']}")).status_code == 404
    assert (await client.post("/v0/features", json=body(product))).status_code == 201


@pytest.mark.parametrize("key", ["", "A", "a_b", "-a", "a-", "a--b", "a b", "k" * 256])
async def test_keys_of_the_wrong_form(client: Client, product: Product, key: str) -> None:
    answer = await client.post("/v0/features", json=body(product, key=key))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "key"


async def test_update_changes_only_what_is_sent(client: Client, product: Product) -> None:
    feature = (await client.post("/v0/features", json=body(product, metadata={"a": "b"}))).json()
    path = f"/v0/features/{feature['id']}"
    changed = (await client.patch(path, json={"type": "static", "name": "Calls"})).json()
    assert (changed["type"], changed["name"], changed["key"]) == ("static", "Calls", "api-calls")
    assert changed["metadata"] == {"a": "b"}
    assert (await client.patch(path, json={"metadata": {}})).json()["metadata"] == {}
    assert (await client.patch(path, json={"type": None})).status_code == 400


async def test_a_carried_feature_is_neither_deleted_nor_retyped(
    client: Client, database: Database, product: Product
) -> None:
    async with database.transaction() as session:
        feature = await a_feature(session, product)
        metric = await a_metric(session, product)
        price = await a_price(session, metric, feature_id=feature.id)
    for refused in (
        await client.delete(f"/v0/features/{feature.id}"),
        await client.patch(f"/v0/features/{feature.id}", json={"type": "boolean"}),
    ):
        assert refused.status_code == 409
        items = [{"id": price.id, "invoiceDisplayName": price.invoice_display_name}]
        assert refused.json()["details"]["blockers"] == [
            {"type": "prices", "count": 1, "items": items}
        ]
    assert (await client.delete(f"/v0/prices/{price.id}")).status_code == 204
    assert (await client.delete(f"/v0/features/{feature.id}")).status_code == 204


async def test_foreign_products_and_features_are_not_found(
    client: Client, stranger_client: Client, product: Product, stranger: CreatedMerchant
) -> None:
    feature = (await client.post("/v0/features", json=body(product))).json()
    path = f"/v0/features/{feature['id']}"
    for refused in (
        await stranger_client.get(path),
        await stranger_client.patch(path, json={"name": "x"}),
        await stranger_client.delete(path),
        await stranger_client.get("/v0/features", params={"productId": product.id}),
        await stranger_client.post(
            "/v0/features", json=body(product, merchantId=stranger.merchant_id)
        ),
    ):
        assert refused.status_code == 404
    assert (await stranger_client.post("/v0/features", json=body(product))).status_code == 403
    assert (await client.get("/v0/features")).status_code == 400
