"""Products over HTTP."""

from typing import Any

import httpx2

from activities.organizations import CreatedMerchant

Client = httpx2.AsyncClient


def body(merchant: CreatedMerchant, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": merchant.merchant_id,
        "name": "Tokens",
        "description": "By the token",
        **members,
    }


async def test_create_answers_every_required_field(
    client: Client, merchant: CreatedMerchant
) -> None:
    answer = await client.post("/v0/products", json=body(merchant, metadata={"team": "a"}))
    assert answer.status_code == 201
    product = answer.json()
    assert product["id"].startswith("prod_")
    assert product["object"] == "product"
    assert product["metadata"] == {"team": "a"}
    assert product["createdAt"].endswith("Z")
    assert (await client.get(f"/v0/products/{product['id']}")).json() == product


async def test_list_is_newest_first_and_counts_all(
    client: Client, merchant: CreatedMerchant
) -> None:
    for name in ("one", "two", "three"):
        await client.post("/v0/products", json=body(merchant, name=name))
    answer = await client.get("/v0/products", params={"limit": 2, "offset": 1})
    assert [product["name"] for product in answer.json()["data"]] == ["two", "one"]
    assert answer.json()["pagination"] == {"limit": 2, "offset": 1, "total": 3}
    assert answer.json()["object"] == "list"
    beyond = await client.get("/v0/products", params={"offset": 2_147_483_647})
    assert beyond.json()["data"] == []
    for query in ({"limit": 0}, {"limit": 101}, {"offset": -1}, {"offset": 2**31}, {"limit": "x"}):
        refused = await client.get("/v0/products", params=query)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == next(iter(query))


async def test_update_leaves_what_is_omitted(client: Client, merchant: CreatedMerchant) -> None:
    product = (await client.post("/v0/products", json=body(merchant))).json()
    answer = await client.patch(f"/v0/products/{product['id']}", json={"name": "Calls"})
    assert answer.status_code == 200
    assert answer.json()["name"] == "Calls"
    assert answer.json()["description"] == product["description"]
    assert answer.json()["updatedAt"] > product["updatedAt"]
    wrong: list[dict[str, Any]] = [{"name": None}, {"name": ""}, {"metadata": {}}, {"id": "prod_1"}]
    for change in wrong:
        refused = await client.patch(f"/v0/products/{product['id']}", json=change)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == next(iter(change))


async def test_wrong_bodies_name_their_field(client: Client, merchant: CreatedMerchant) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": 1}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"description": "d" * 5001}, "description"),
        ({"merchantId": "prod_1"}, "merchantId"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": None}, "metadata"),
        ({"merchant_id": merchant.merchant_id}, "merchant_id"),
        ({"tax": {}}, "tax"),
    ]
    for members, field in wrong:
        answer = await client.post("/v0/products", json=body(merchant, **members))
        assert answer.status_code == 400, members
        assert answer.json()["error"] == "validation_error"
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_another_merchant_is_403_and_its_product_404(
    client: Client, merchant: CreatedMerchant, stranger: CreatedMerchant, stranger_client: Client
) -> None:
    product = (await client.post("/v0/products", json=body(merchant))).json()
    path = f"/v0/products/{product['id']}"
    assert (await stranger_client.get(path)).status_code == 404
    assert (await stranger_client.patch(path, json={"name": "x"})).status_code == 404
    created = await client.post("/v0/products", json=body(stranger))
    listed = await client.get("/v0/products", params={"merchantId": stranger.merchant_id})
    for refused in (created, listed):
        assert refused.status_code == 403
        assert refused.json()["reason"] == "not_member"
    assert (await client.get("/v0/products/plan_1")).status_code == 404
    assert (await client.get("/v0/products/prod_%20")).status_code == 404
