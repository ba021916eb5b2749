"""Plan versions over HTTP: minting, pointing the default, and what subscriptions bill by them."""

from typing import Any

import pytest

from models.base import wall_now
from tests.api.in_process import Client, InProcess, Shop, accepted


class PlanFor:
    """A plan with one fee under the key `base`, to be moved from price to price."""

    def __init__(self, shop: Shop, client: Client) -> None:
        self.shop = shop
        self.client = client

    async def made(self, amount: str = "10", **members: Any) -> "PlanFor":
        self.product = await self.shop.product()
        self.first = await self.shop.fee_price(self.product, amount)
        line = {"priceId": self.first, "key": "base"}
        body = {
            "merchantId": self.shop.merchant_id,
            "productId": self.product,
            "name": "Pro",
            "currency": "USD",
            "prices": [line],
        }
        self.id = (await self.shop.post("/v0/plans", **(body | members)))["id"]
        return self

    async def price(self, amount: str) -> str:
        return await self.shop.fee_price(self.product, amount)

    async def mint(self, *lines: Any, **members: Any) -> Any:
        body = {"prices": list(lines), **members}
        return accepted(await self.client.post(f"/v0/plans/{self.id}/versions", json=body))

    async def version(self, number: int) -> Any:
        return accepted(await self.client.get(f"/v0/plans/{self.id}/versions/{number}"))

    async def make_default(self, number: int) -> Any:
        path = f"/v0/plans/{self.id}/versions/{number}"
        return accepted(await self.client.patch(path, json={"default": True}))

    async def amounts(self, number: int) -> dict[str, tuple[str, str]]:
        """The lines of a version: price id and unit price by key."""
        slots = (await self.version(number))["prices"]
        return {slot["key"]: (slot["id"], slot["properties"]["unitPrice"]) for slot in slots}


async def test_a_plan_begins_with_version_1(shop: Shop, living: Client) -> None:
    plan = await PlanFor(shop, living).made()
    listed = accepted(await living.get(f"/v0/plans/{plan.id}/versions"))
    assert listed["object"] == "list"
    assert listed["pagination"] == {"limit": 10, "offset": 0, "total": 1}
    summary = listed["data"][0]
    assert summary["object"] == "plan_version"
    assert (summary["versionNumber"], summary["status"]) == (1, "published")
    assert (summary["isDefault"], summary["subscriptionCount"]) == (True, 0)
    version = await plan.version(1)
    assert {name: version[name] for name in summary} == summary
    assert "basedOnVersionId" not in version
    slot = version["prices"][0]
    assert (slot["key"], slot["priceDeleted"]) == ("base", False)
    assert slot["tax"] == {"supplyScope": "IN_SCOPE"}


async def test_a_minted_version_is_the_default_and_keeps_price_ids(
    shop: Shop, living: Client
) -> None:
    plan = await PlanFor(shop, living).made("10")
    second = await plan.price("12")
    extra = await plan.price("1")
    minted = await plan.mint({"priceId": second, "key": "base"}, extra)
    assert (minted["versionNumber"], minted["isDefault"]) == (2, True)
    first = await plan.version(1)
    assert first["isDefault"] is False
    assert minted["basedOnVersionId"] == first["id"]
    now = await plan.amounts(2)
    assert now.pop("base") == (plan.first, "12")
    assert list(now.values()) == [(extra, "1")]
    before = (await plan.amounts(1))["base"]
    assert before[1] == "10"
    assert before[0] not in (plan.first, second)
    live = accepted(await living.get(f"/v0/prices/{plan.first}"))
    assert live["properties"] == {"unitPrice": "12"}
    untouched = accepted(await living.get(f"/v0/prices/{second}"))
    assert untouched["properties"] == {"unitPrice": "12"}
    shown = accepted(await living.get(f"/v0/plans/{plan.id}"))
    assert shown["defaultVersionId"] == minted["id"]
    assert [price["id"] for price in shown["prices"]] == [plan.first, extra]


async def test_without_stable_ids_the_new_price_goes_live(shop: Shop, living: Client) -> None:
    plan = await PlanFor(shop, living).made("10", stablePriceIds=False)
    second = await plan.price("12")
    await plan.mint({"priceId": second, "key": "base"})
    assert await plan.amounts(2) == {"base": (second, "12")}
    assert await plan.amounts(1) == {"base": (plan.first, "10")}


async def test_a_price_of_another_plan_is_never_rewritten(shop: Shop, living: Client) -> None:
    plan = await PlanFor(shop, living).made("10")
    other = await shop.plan(plan.product, plan.first)
    second = await plan.price("12")
    await plan.mint({"priceId": second, "key": "base"})
    assert await plan.amounts(2) == {"base": (second, "12")}
    theirs = accepted(await living.get(f"/v0/plans/{other}"))["prices"][0]
    assert (theirs["id"], theirs["properties"]) == (plan.first, {"unitPrice": "10"})


async def test_the_default_goes_back_and_forth(shop: Shop, living: Client) -> None:
    plan = await PlanFor(shop, living).made("10")
    await plan.mint({"priceId": await plan.price("12"), "key": "base"})
    await plan.mint({"priceId": await plan.price("15"), "key": "base"})
    back = await plan.make_default(1)
    assert (back["versionNumber"], back["isDefault"]) == (1, True)
    again = await plan.make_default(1)
    assert again == back
    amounts = {number: (await plan.amounts(number))["base"] for number in (1, 2, 3)}
    assert [amount for _, amount in amounts.values()] == ["10", "12", "15"]
    assert amounts[1][0] == plan.first
    assert len({price for price, _ in amounts.values()}) == 3
    await plan.make_default(3)
    assert await plan.amounts(3) == {"base": (plan.first, "15")}
    assert (await plan.amounts(1))["base"][1] == "10"
    listed = accepted(await living.get(f"/v0/plans/{plan.id}/versions"))["data"]
    assert [each["versionNumber"] for each in listed] == [3, 2, 1]
    assert [each["isDefault"] for each in listed] == [True, False, False]


async def test_lines_that_trade_their_prices_keep_their_ids(shop: Shop, living: Client) -> None:
    plan = await PlanFor(shop, living).made("10")
    extra = await plan.price("1")
    await plan.mint({"priceId": plan.first, "key": "base"}, {"priceId": extra, "key": "extra"})
    await plan.mint({"priceId": extra, "key": "base"}, {"priceId": plan.first, "key": "extra"})
    assert await plan.amounts(3) == {"base": (plan.first, "1"), "extra": (extra, "10")}
    before = await plan.amounts(2)
    assert (before["base"][1], before["extra"][1]) == ("10", "1")
    assert (await plan.amounts(1))["base"][1] == "10"


async def test_the_version_that_was_read_must_still_be_current(shop: Shop, living: Client) -> None:
    plan = await PlanFor(shop, living).made()
    first = (await plan.version(1))["id"]
    line = {"priceId": await plan.price("12"), "key": "base"}
    await plan.mint(line, basedOnVersionId=first)
    body = {"prices": [line], "basedOnVersionId": first}
    stale = await living.post(f"/v0/plans/{plan.id}/versions", json=body)
    assert (stale.status_code, stale.json()["code"]) == (409, "PLAN_VERSION_STALE")


async def test_refusals(shop: Shop, living: Client, stranger_client: Client) -> None:
    plan = await PlanFor(shop, living).made()
    path = f"/v0/plans/{plan.id}/versions"
    for body, status in (
        ({"prices": []}, 400),
        ({}, 400),
        ({"prices": ["price_1"]}, 404),
        ({"prices": ["fee_1"]}, 400),
        ({"prices": [{"priceId": plan.first, "key": "No Key"}]}, 400),
        ({"prices": [plan.first, plan.first]}, 400),
        ({"prices": [plan.first], "addPrices": []}, 400),
        ({"prices": [plan.first], "basedOnVersionId": "pver_1"}, 409),
    ):
        assert (await living.post(path, json=body)).status_code == status, body
    for number in ("2", "0", "x", "99999999999"):
        assert (await living.get(f"{path}/{number}")).status_code == 404
    changes: tuple[dict[str, Any], ...] = ({}, {"default": False}, {"default": 1}, {"x": True})
    for change in changes:
        assert (await living.patch(f"{path}/1", json=change)).status_code == 400
    assert (await living.patch(f"{path}/2", json={"default": True})).status_code == 404
    for refused in (
        await stranger_client.get(path),
        await stranger_client.get(f"{path}/1"),
        await stranger_client.post(path, json={"prices": [plan.first]}),
        await stranger_client.patch(f"{path}/1", json={"default": True}),
    ):
        assert refused.status_code == 404


@pytest.mark.parametrize(
    ("effective", "billed"),
    [("end_of_current_period", ["10.00", "12.00"]), ("immediate", ["12.00", "12.00"])],
)
async def test_subscriptions_bill_a_new_version_when_its_transition_says(
    shop: Shop, living: Client, commands: InProcess, effective: str, billed: list[str]
) -> None:
    """A fee in arrears goes from 10 to 12 within the first month; pinned it stays at 10."""
    plan = PlanFor(shop, living)
    plan.product = await shop.product()
    plan.first = await shop.fee_price(plan.product, "10", paymentTerm="in_arrears")
    plan.id = await shop.plan(
        plan.product,
        plan.first,
        defaultTaxRate=0,
        billingAnchor=None,
        name="Arrears",
        versionTransition={"effectiveDate": effective, "proration": "none"},
    )
    clock = await shop.clock("2026-01-01T00:00:00Z")
    members = {"testClockId": clock, "startedAt": "2026-01-01T00:00:00Z"}
    floating = await shop.subscribe(plan.id, **members)
    pinned = await shop.subscribe(plan.id, versionPolicy="pinned", **members)
    counted = accepted(await living.get(f"/v0/plans/{plan.id}/versions"))["data"]
    assert counted[0]["subscriptionCount"] == 2
    key = (await plan.version(1))["prices"][0]["key"]
    dearer = await shop.fee_price(plan.product, "12", paymentTerm="in_arrears")
    await plan.mint({"priceId": dearer, "key": key})
    totals: dict[str, list[str]] = {floating["id"]: [], pinned["id"]: []}
    for number, instant in ((0, "2026-02-01T00:00:00Z"), (1, "2026-03-01T00:00:00Z")):
        accepted(await living.patch(f"/v0/testClocks/{clock}", json={"currentTime": instant}))
        for subscription, amounts in totals.items():
            invoice = await commands.close_period(shop.merchant_id, subscription, number)
            shown = accepted(await living.get(f"/v2/invoices/{invoice}"))
            amounts.append(shown["grandTotal"])
    assert totals == {floating["id"]: billed, pinned["id"]: ["10.00", "10.00"]}
    counted = accepted(await living.get(f"/v0/plans/{plan.id}/versions"))["data"]
    assert [each["subscriptionCount"] for each in counted] == [0, 2]


async def test_available_plans_leave_out_products_that_are_subscribed(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    taken, free = await PlanFor(shop, living).made(), await PlanFor(shop, living).made()
    sibling = await shop.plan(taken.product, taken.first, name="Sibling")
    customer = await shop.customer()

    async def offered(**query: Any) -> list[str]:
        params = {"customerId": customer, **query}
        answer = accepted(await living.get("/v0/plans/available", params=params))
        return [plan["id"] for plan in answer["data"]]

    assert await offered() == [sibling, free.id, taken.id]
    assert await offered(search="sIB") == [sibling]
    assert await offered(productId=free.product) == [free.id]
    made = await shop.subscribe(taken.id, customerId=customer, startedAt=wall_now().isoformat())
    assert await offered() == [free.id]
    end = {"reason": "over"}
    accepted(await living.post(f"/v0/subscriptions/{made['id']}/termination", json=end))
    assert await offered() == [sibling, free.id, taken.id]
    path = "/v0/plans/available"
    assert (await living.get(path)).status_code == 400
    assert (await living.get(path, params={"customerId": "cus_1"})).status_code == 404
    foreign = await stranger_client.get(path, params={"customerId": customer})
    assert foreign.status_code == 404
