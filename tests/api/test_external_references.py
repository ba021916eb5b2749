"""External references over HTTP: who claims a code and what is sent for an entity."""

from typing import Any

from tests.api.in_process import Client, Shop, accepted
from tests.api.test_items import an_item


def reference(shop: Shop, item: str, code: str = "A1", **members: Any) -> dict[str, Any]:
    return {
        "merchantId": shop.merchant_id,
        "entityType": "item",
        "entityId": item,
        "provider": "netsuite",
        "externalId": code,
        **members,
    }


async def link(shop: Shop, item: str, code: str = "A1", **members: Any) -> Any:
    return await shop.post("/v0/externalReferences", **reference(shop, item, code, **members))


async def test_the_first_reference_claims_its_code_and_is_the_default(
    shop: Shop, living: Client
) -> None:
    item = await an_item(shop, None)
    first = await link(shop, item, externalLabel="Account 1", metadata={"sfObject": "Product2"})
    assert first["id"].startswith("xrf_")
    assert first["object"] == "externalReference"
    assert (first["isPrimary"], first["isDefault"]) == (True, True)
    assert first["metadata"] == {"sfObject": "Product2"}
    second = await link(shop, item, "A2")
    assert (second["isPrimary"], second["isDefault"]) == (True, False)
    chosen = await link(shop, item, "A3", isDefault=True, isPrimary=False)
    assert (chosen["isPrimary"], chosen["isDefault"]) == (False, True)
    path = f"/v0/externalReferences/{first['id']}"
    assert accepted(await living.get(path))["isDefault"] is False
    shown = accepted(await living.get(f"/v0/items/{item}"))["externalReferences"]
    assert [each["externalId"] for each in shown] == ["A3", "A2", "A1"]


async def test_a_claimed_code_names_its_holder_until_it_is_moved(
    shop: Shop, living: Client
) -> None:
    holder, other = await an_item(shop, None), await an_item(shop, None)
    held = await link(shop, holder)
    refused = await living.post("/v0/externalReferences", json=reference(shop, other))
    assert refused.status_code == 409
    assert refused.json()["code"] == "DUPLICATE_RESOURCE"
    assert refused.json()["details"]["entityId"] == holder
    alias = await link(shop, other, isPrimary=False)
    claim = {"isPrimary": True}
    path = f"/v0/externalReferences/{alias['id']}"
    assert (await living.patch(path, json=claim)).status_code == 409
    moved = await link(shop, await an_item(shop, None), moveClaim=True)
    assert moved["isPrimary"] is True
    was = accepted(await living.get(f"/v0/externalReferences/{held['id']}"))
    assert was["isPrimary"] is False
    accepted(await living.patch(f"/v0/externalReferences/{moved['id']}", json={"isPrimary": False}))
    assert accepted(await living.patch(path, json=claim))["isPrimary"] is True


async def test_the_same_link_twice_is_refused(shop: Shop, living: Client) -> None:
    item = await an_item(shop, None)
    await link(shop, item, isPrimary=False)
    again = await living.post("/v0/externalReferences", json=reference(shop, item, isPrimary=False))
    assert again.status_code == 409


async def test_a_code_resolves_to_its_items_claimant_first(shop: Shop, living: Client) -> None:
    alias, claimant = await an_item(shop, None), await an_item(shop, None)
    await link(shop, claimant)
    await link(shop, alias, isPrimary=False)
    code = {"provider": "netsuite", "externalId": "A1"}

    async def resolved() -> list[str]:
        answer = accepted(await living.get("/v0/items", params=code))
        return [item["id"] for item in answer["data"]]

    assert await resolved() == [claimant, alias]
    accepted(await living.patch(f"/v0/items/{claimant}", json={"archived": True}))
    assert sorted(await resolved()) == sorted([claimant, alias])
    shown = accepted(await living.get(f"/v0/items/{claimant}"))["externalReferences"]
    assert [each["isPrimary"] for each in shown] == [False]
    accepted(await living.patch(f"/v0/items/{claimant}", json={"archived": False}))
    kept = accepted(await living.get(f"/v0/items/{claimant}"))["externalReferences"]
    assert [each["isPrimary"] for each in kept] == [False]
    for alone in ("provider", "externalId"):
        refused = await living.get("/v0/items", params={alone: code[alone]})
        assert refused.status_code == 400


async def test_customers_are_linked_too_and_lists_are_narrowed(shop: Shop, living: Client) -> None:
    customer, item = await shop.customer(), await an_item(shop, None)
    linked = await link(shop, customer, "C1", entityType="customer", provider="salesforce")
    await link(shop, item, "C2")

    async def listed(**query: Any) -> list[str]:
        answer = accepted(await living.get("/v0/externalReferences", params=query))
        return [each["externalId"] for each in answer["data"]]

    assert await listed() == ["C2", "C1"]
    assert await listed(entityType="customer", entityId=customer) == ["C1"]
    assert await listed(provider="salesforce", externalId="C1") == ["C1"]
    assert await listed(provider="salesforce", externalId="C2") == []
    path = f"/v0/externalReferences/{linked['id']}"
    changed = accepted(await living.patch(path, json={"externalLabel": None, "metadata": {"a": 1}}))
    assert (changed["externalLabel"], changed["metadata"]) == (None, {"a": 1})
    assert accepted(await living.patch(path, json={"isDefault": False}))["isDefault"] is False
    assert (await living.delete(path)).status_code == 204
    assert (await living.get(path)).status_code == 404


async def test_refused_bodies_and_foreign_ids(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    item, customer = await an_item(shop, None), await shop.customer()
    for members, status in (
        ({"entityType": "invoice"}, 400),
        ({"entityType": "customer"}, 400),
        ({"entityId": customer}, 400),
        ({"entityId": "itm_1"}, 404),
        ({"provider": "Net Suite"}, 400),
        ({"externalId": "a b"}, 400),
        ({"externalLabel": "l" * 256}, 400),
        ({"isPrimary": None}, 400),
        ({"merchantId": "org_1"}, 403),
        ({"primary": True}, 400),
    ):
        answer = await living.post("/v0/externalReferences", json=reference(shop, item) | members)
        assert answer.status_code == status, members
    accepted(await living.patch(f"/v0/items/{item}", json={"archived": True}))
    late = await living.post("/v0/externalReferences", json=reference(shop, item))
    assert late.status_code == 400
    await link(shop, item, isPrimary=False)
    path = f"/v0/externalReferences/{(await link(shop, customer, entityType='customer'))['id']}"
    assert (await stranger_client.get(path)).status_code == 404
    assert (await stranger_client.patch(path, json={})).status_code == 404
    assert (await stranger_client.delete(path)).status_code == 404
