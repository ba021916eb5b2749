"""Items over HTTP, and the charges that are anchored to them."""

from typing import Any

from tests.api.in_process import Client, Shop, accepted


async def an_item(shop: Shop, product: str | None, **members: Any) -> str:
    body = {"merchantId": shop.merchant_id, "name": "Tokens sold", **members}
    if product is not None:
        body["catalogId"] = product
    return str((await shop.post("/v0/items", **body))["id"])


async def a_fee(shop: Shop, **members: Any) -> Any:
    body = {"merchantId": shop.merchant_id, "name": "Fee", "description": "d", **members}
    return await shop.post("/v0/fees", **body)


def metric(shop: Shop, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": shop.merchant_id,
        "name": "Calls",
        "description": "d",
        "unit": "call",
        "aggregation": "COUNT",
        "eventType": "call",
        **members,
    }


async def test_create_answers_every_required_field(shop: Shop, living: Client) -> None:
    product = await shop.product()
    item = await shop.post(
        "/v0/items",
        merchantId=shop.merchant_id,
        name="Tokens",
        catalogId=product,
        metadata={"code": {"nested": 1}},
    )
    assert item["id"].startswith("itm_")
    assert item["object"] == "item"
    assert item["catalogId"] == product
    assert item["metadata"] == {"code": {"nested": 1}}
    assert item["archivedAt"] is None
    assert item["externalReferences"] == []
    assert accepted(await living.get(f"/v0/items/{item['id']}")) == item
    unfiled = accepted(await living.get(f"/v0/items/{await an_item(shop, None)}"))
    assert unfiled["catalogId"] is None


async def test_refused_bodies_and_foreign_ids(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    body = {"merchantId": shop.merchant_id, "name": "x"}
    for members, status in (
        ({"name": ""}, 400),
        ({"catalogId": "itm_1"}, 400),
        ({"catalogId": "prod_1"}, 404),
        ({"metadata": {"a": "b" * 10_001}}, 400),
        ({"tax": 1}, 400),
        ({"merchantId": "org_1"}, 403),
    ):
        answer = await living.post("/v0/items", json=body | members)
        assert answer.status_code == status, members
    item = await an_item(shop, None)
    assert (await stranger_client.get(f"/v0/items/{item}")).status_code == 404
    assert (await stranger_client.patch(f"/v0/items/{item}", json={})).status_code == 404
    assert (await living.get("/v0/items/itm_1")).status_code == 404


async def test_lists_hide_archived_items_and_narrow_by_product(shop: Shop, living: Client) -> None:
    product = await shop.product()
    filed, other = await an_item(shop, product), await an_item(shop, None)
    retired = await an_item(shop, product)
    accepted(await living.patch(f"/v0/items/{retired}", json={"archived": True}))

    async def listed(**query: Any) -> list[str]:
        answer = accepted(await living.get("/v0/items", params=query))
        return [item["id"] for item in answer["data"]]

    assert await listed() == [other, filed]
    assert await listed(catalogId=product) == [filed]
    assert await listed(catalogId=product, includeArchived=True) == [retired, filed]
    page = accepted(await living.get("/v0/items"))
    assert page["pagination"] == {"limit": 50, "offset": 0, "total": 2}


async def test_a_charge_takes_its_product_from_its_item(shop: Shop, living: Client) -> None:
    product, other = await shop.product(), await shop.product()
    item = await an_item(shop, product)
    fee = await a_fee(shop, itemId=item)
    assert (fee["productId"], fee["itemId"]) == (product, item)
    made = await shop.post("/v0/billableMetrics", **metric(shop, itemId=item, productId=product))
    assert made["itemId"] == item
    unfiled = await an_item(shop, None)
    for members, status, code in (
        ({"itemId": item, "productId": other}, 400, "ITEM_PRODUCT_MISMATCH"),
        ({"itemId": unfiled, "productId": product}, 400, "ITEM_PRODUCT_MISMATCH"),
        ({"itemId": "itm_1", "productId": product}, 404, "NOT_FOUND"),
    ):
        answer = await living.post("/v0/billableMetrics", json=metric(shop, **members))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    neither = await living.post("/v0/billableMetrics", json=metric(shop, itemId=unfiled))
    assert neither.json()["errors"][0]["field"] == "productId"
    by_item = accepted(await living.get("/v0/fees", params={"itemId": item}))
    assert [each["id"] for each in by_item["data"]] == [fee["id"]]


async def test_a_charge_is_tagged_again_and_untagged(shop: Shop, living: Client) -> None:
    product = await shop.product()
    first, second = await an_item(shop, product), await an_item(shop, product)
    fee = await a_fee(shop, itemId=first)
    path = f"/v0/fees/{fee['id']}"
    assert accepted(await living.patch(path, json={"itemId": second}))["itemId"] == second
    foreign = await an_item(shop, await shop.product())
    refused = await living.patch(path, json={"itemId": foreign})
    assert (refused.status_code, refused.json()["code"]) == (400, "ITEM_PRODUCT_MISMATCH")
    accepted(await living.patch(f"/v0/items/{first}", json={"archived": True}))
    archived = await living.patch(path, json={"itemId": first})
    assert (archived.status_code, archived.json()["code"]) == (400, "ITEM_ARCHIVED")
    assert accepted(await living.patch(path, json={"itemId": None}))["itemId"] is None
    assert accepted(await living.patch(path, json={"name": "n"}))["itemId"] is None


async def test_an_anchored_item_is_not_archived(shop: Shop, living: Client) -> None:
    item = await an_item(shop, await shop.product())
    fee = await a_fee(shop, itemId=item)
    refused = await living.patch(f"/v0/items/{item}", json={"archived": True})
    assert refused.status_code == 400
    assert refused.json()["code"] == "ITEM_IN_USE"
    assert refused.json()["details"]["blockers"] == [
        {"type": "fees", "count": 1, "items": [{"id": fee["id"]}]}
    ]
    unfiled = await living.patch(f"/v0/items/{item}", json={"catalogId": None})
    assert unfiled.json()["code"] == "ITEM_IN_USE"
    assert (await living.delete(f"/v0/fees/{fee['id']}")).status_code == 204
    archived = accepted(await living.patch(f"/v0/items/{item}", json={"archived": True}))
    again = accepted(await living.patch(f"/v0/items/{item}", json={"archived": True}))
    assert again["archivedAt"] == archived["archivedAt"] is not None
    restored = accepted(await living.patch(f"/v0/items/{item}", json={"archived": False}))
    assert restored["archivedAt"] is None


async def test_an_item_filed_elsewhere_takes_its_charges_along(shop: Shop, living: Client) -> None:
    item, other = await an_item(shop, await shop.product()), await shop.product()
    fee = await a_fee(shop, itemId=item)
    accepted(await living.patch(f"/v0/items/{item}", json={"catalogId": other}))
    assert accepted(await living.get(f"/v0/fees/{fee['id']}"))["productId"] == other
    missing = await living.patch(f"/v0/items/{item}", json={"catalogId": "prod_1"})
    assert missing.status_code == 404
