"""Merchant integrations over HTTP."""

from typing import Any

from tests.api.in_process import Client, Shop, accepted

PATH = "/v0/merchantIntegrations"


async def connect(shop: Shop, client: Client, **members: Any) -> Any:
    body = {"merchantId": shop.merchant_id, "provider": "salesforce", **members}
    return accepted(await client.put(PATH, json=body))


async def test_connecting_twice_is_one_connection(shop: Shop, living: Client) -> None:
    made = await connect(shop, living, externalId="inst-1", config={"a": 1}, metadata={"b": 2})
    assert made["id"].startswith("mint_")
    assert made["object"] == "merchantIntegration"
    assert made["capabilities"] == {"resolvesItemCodes": True, "sendsItemCodes": False}
    assert (made["status"], made["disconnectedAt"]) == ("active", None)
    assert (made["config"], made["metadata"]) == ({"a": 1}, {"b": 2})
    again = await connect(shop, living)
    assert again["id"] == made["id"]
    assert again["connectedAt"] == made["connectedAt"]
    assert (again["externalId"], again["config"]) == ("inst-1", {"a": 1})
    assert accepted(await living.get(f"{PATH}/{made['id']}")) == again


async def test_disconnecting_is_soft_and_can_be_undone(shop: Shop, living: Client) -> None:
    made = await connect(shop, living, externalId="inst-1")
    path = f"{PATH}/{made['id']}/disconnect"
    gone = accepted(await living.patch(path))
    assert gone["status"] == "disconnected"
    assert gone["disconnectedAt"] is not None
    assert gone["externalId"] == "inst-1"
    assert accepted(await living.patch(path)) == gone
    back = await connect(shop, living)
    assert (back["status"], back["disconnectedAt"]) == ("active", None)
    assert back["connectedAt"] > made["connectedAt"]


async def test_lists_are_narrowed_by_provider(shop: Shop, living: Client) -> None:
    await connect(shop, living)
    await connect(shop, living, provider="netsuite")

    async def listed(**query: Any) -> list[str]:
        answer = accepted(await living.get(PATH, params=query))
        return [each["provider"] for each in answer["data"]]

    assert await listed() == ["netsuite", "salesforce"]
    assert await listed(provider="salesforce") == ["salesforce"]
    assert (await living.get(PATH, params={"provider": "sap"})).status_code == 400


async def test_refusals(shop: Shop, living: Client, stranger_client: Client) -> None:
    for members, status in (
        ({"provider": "sap"}, 400),
        ({"status": "gone"}, 400),
        ({"config": []}, 400),
        ({"merchantId": "org_1"}, 403),
    ):
        body = {"merchantId": shop.merchant_id, "provider": "netsuite", **members}
        assert (await living.put(PATH, json=body)).status_code == status
    made = await connect(shop, living)
    assert (await stranger_client.get(f"{PATH}/{made['id']}")).status_code == 404
    gone = await stranger_client.patch(f"{PATH}/{made['id']}/disconnect")
    assert gone.status_code == 404


async def test_salesforce_accounts_are_none(shop: Shop, living: Client) -> None:
    path = "/v0/integrations/salesforce/accounts"
    answer = accepted(await living.get(path, params={"merchantId": shop.merchant_id, "q": "a"}))
    assert answer == {"data": [], "totalSize": 0, "done": True}
    assert (await living.get(path)).status_code == 400
    assert (await living.get(path, params={"merchantId": "org_1"})).status_code == 403
