"""Fees over HTTP."""

from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.database import Database
from models.products import Product
from tests.factories import a_fee, a_price, a_product

Client = httpx2.AsyncClient


@pytest.fixture
async def product(database: Database, merchant: CreatedMerchant) -> Product:
    async with database.transaction() as session:
        return await a_product(session, merchant.merchant_id)


def body(product: Product, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": product.merchant_id,
        "productId": product.id,
        "name": "Base",
        "description": "Monthly",
        **members,
    }


async def test_create_get_update_and_list(client: Client, product: Product) -> None:
    fee = (await client.post("/v0/fees", json=body(product))).json()
    assert fee["object"] == "fee"
    assert fee["itemId"] is None
    changed = await client.patch(f"/v0/fees/{fee['id']}", json={"name": "New", "itemId": None})
    assert changed.json()["name"] == "New"
    assert changed.json()["description"] == "Monthly"
    listed = await client.get("/v0/fees", params={"productId": product.id})
    assert [row["id"] for row in listed.json()["data"]] == [fee["id"]]
    nothing = await client.get("/v0/fees", params={"itemId": "itm_1"})
    assert nothing.json()["pagination"]["total"] == 0


async def test_a_product_is_needed_and_items_are_unknown(client: Client, product: Product) -> None:
    without = body(product)
    del without["productId"]
    answer = await client.post("/v0/fees", json=without)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "productId"
    assert (await client.post("/v0/fees", json=body(product, itemId="itm_1"))).status_code == 404


async def test_a_fee_is_deleted_only_without_prices(
    client: Client, database: Database, product: Product
) -> None:
    async with database.transaction() as session:
        fee = await a_fee(session, product)
        price = await a_price(session, fee)
    refused = await client.delete(f"/v0/fees/{fee.id}")
    assert refused.status_code == 409
    assert refused.json()["error"] == "conflict"
    assert refused.json()["details"]["blockers"] == [
        {
            "type": "prices",
            "count": 1,
            "items": [{"id": price.id, "invoiceDisplayName": "Base fee"}],
        }
    ]
    assert (await client.delete(f"/v0/prices/{price.id}")).status_code == 204
    assert (await client.delete(f"/v0/fees/{fee.id}")).status_code == 204
    assert (await client.get(f"/v0/fees/{fee.id}")).status_code == 404
    assert (await client.delete(f"/v0/fees/{fee.id}")).status_code == 404


async def test_another_merchant_sees_nothing(
    client: Client, stranger_client: Client, product: Product
) -> None:
    fee = (await client.post("/v0/fees", json=body(product))).json()
    path = f"/v0/fees/{fee['id']}"
    assert (await stranger_client.get(path)).status_code == 404
    assert (await stranger_client.patch(path, json={"name": "x"})).status_code == 404
    assert (await stranger_client.delete(path)).status_code == 404
    assert (await stranger_client.get("/v0/fees")).json()["data"] == []
    foreign = await stranger_client.get("/v0/fees", params={"merchantId": product.merchant_id})
    assert foreign.status_code == 403
