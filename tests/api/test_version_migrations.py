"""Moving a subscription to another version of its plan, over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import InProcess, Shop, accepted

Client = httpx2.AsyncClient
START = "2026-01-31T00:00:00Z"
BOUNDARY = "2026-02-28T00:00:00Z"


class Moving:
    """A plan of seats in arrears at 10.00 and a fee in advance at 5.00; version 2 doubles both."""

    def __init__(self, shop: Shop, client: Client) -> None:
        self.shop, self.client = shop, client
        self.plan = self.id = self.clock = self.product = ""

    async def open(self, **members: Any) -> "Moving":
        self.product = await self.shop.product()
        first = await self._lines("10.00")
        self.plan = await self.shop.plan(self.product, defaultTaxRate=0, prices=first)
        self.clock = await self.shop.clock(START)
        made = await self.shop.subscribe(
            self.plan, startedAt=START, testClockId=self.clock, **members
        )
        self.id = made["id"]
        return self

    async def _lines(self, amount: str, **members: Any) -> list[dict[str, str]]:
        seats = await self.shop.fee_price(self.product, amount, paymentTerm="in_arrears", **members)
        return [{"priceId": seats, "key": "seats"}]

    async def mint(self, amount: str, **members: Any) -> int:
        body = {"prices": await self._lines(amount, **members)}
        made = await self.shop.post(f"/v0/plans/{self.plan}/versions", **body)
        return int(made["versionNumber"])

    async def move(self, number: int, timing: str | None = None) -> httpx2.Response:
        body: dict[str, Any] = {"targetVersionNumber": number}
        body |= {} if timing is None else {"timing": timing}
        return await self.client.post(f"/v0/subscriptions/{self.id}/versionMigration", json=body)

    async def totals(self) -> list[str]:
        query: dict[str, str | int] = {"subscriptionId": self.id, "limit": 100}
        found = accepted(await self.client.get("/v2/invoices", params=query))["data"]
        return [row["subtotal"] for row in sorted(found, key=lambda row: row["sequenceNumber"])]

    async def advance(self, to: str) -> None:
        accepted(await self.client.patch(f"/v0/testClocks/{self.clock}", json={"currentTime": to}))


@pytest.fixture
async def moving(shop: Shop, living: Client) -> Moving:
    return await Moving(shop, living).open(versionPolicy="pinned")


async def test_a_move_waits_for_the_next_period(moving: Moving, commands: InProcess) -> None:
    number = await moving.mint("20.00")
    moved = accepted(await moving.move(number))
    assert moved["migration"] == {
        "fromVersionNumber": 1,
        "toVersionNumber": 2,
        "effectiveAt": BOUNDARY,
        "entitlementsEffectiveAt": BOUNDARY,
        "changed": True,
    }
    assert moved["lineItems"] == {"syncFailed": False}
    assert moved["subscription"]["versionPolicy"] == "pinned"
    assert await moving.totals() == ["10.00"]
    await moving.advance("2026-03-01T00:00:00Z")
    await commands.close_period(moving.shop.merchant_id, moving.id, 0)
    assert await moving.totals() == ["10.00", "20.00"]
    again = accepted(await moving.move(2))
    assert again["migration"] == {
        "fromVersionNumber": 2,
        "toVersionNumber": 2,
        "effectiveAt": None,
        "entitlementsEffectiveAt": None,
        "changed": False,
    }


async def test_an_immediate_move_bills_the_running_arrears(moving: Moving) -> None:
    await moving.mint("20.00")
    await moving.advance("2026-02-10T00:00:00Z")
    moved = accepted(await moving.move(2, "immediate"))["migration"]
    assert moved["effectiveAt"] == BOUNDARY
    assert moved["entitlementsEffectiveAt"] == "2026-02-10T00:00:00Z"
    assert await moving.totals() == ["20.00"]


async def test_a_second_move_replaces_the_first(moving: Moving, commands: InProcess) -> None:
    await moving.mint("20.00")
    await moving.mint("30.00")
    accepted(await moving.move(2, "immediate"))
    moved = accepted(await moving.move(3, "next_period"))["migration"]
    assert (moved["fromVersionNumber"], moved["toVersionNumber"]) == (1, 3)
    assert await moving.totals() == ["10.00"]
    back = accepted(await moving.move(1))["migration"]
    assert (back["changed"], back["effectiveAt"]) == (False, None)
    accepted(await moving.move(3))
    await moving.advance("2026-03-01T00:00:00Z")
    await commands.close_period(moving.shop.merchant_id, moving.id, 0)
    assert await moving.totals() == ["10.00", "30.00"]


async def test_the_plans_transition_is_the_default(shop: Shop, living: Client) -> None:
    moving = await Moving(shop, living).open()
    await moving.mint("20.00")
    transition = {"effectiveDate": "immediate", "proration": "none"}
    path = f"/v0/plans/{moving.plan}"
    accepted(await living.patch(path, json={"versionTransition": transition}))
    assert await moving.totals() == ["20.00"]
    # Pinned to what runs: neither the plan's default nor its transition moves it any more.
    stays = accepted(await moving.move(1))["migration"]
    assert (stays["changed"], stays["effectiveAt"]) == (True, None)
    moved = accepted(await moving.move(2))["migration"]
    assert moved["entitlementsEffectiveAt"] == START
    accepted(await moving.move(2, "next_period"))
    await moving.mint("40.00")
    projected = accepted(
        await living.get(
            "/v2/invoices/projected",
            params={"subscriptionId": moving.id, "to": "2026-04-01T00:00:00Z"},
        )
    )["data"]
    assert [each["subtotal"] for each in projected] == ["20.00", "20.00"]


async def test_what_does_not_move(
    moving: Moving, stranger_client: Client, commands: InProcess
) -> None:
    await moving.mint("20.00")
    assert (await moving.move(3)).status_code == 404
    assert (await moving.move(0)).status_code == 400
    assert (await moving.move(2, "yesterday")).status_code == 400
    path = f"/v0/subscriptions/{moving.id}/versionMigration"
    assert (await moving.client.post(path, json={})).status_code == 400
    moving.id, held = "sub_0", moving.id
    assert (await moving.move(2)).status_code == 404
    moving.id = held
    await moving.advance(BOUNDARY)
    due = await moving.move(2)
    assert (due.status_code, due.json()["code"]) == (409, "BOUNDARY_DUE")
    await commands.close_period(moving.shop.merchant_id, moving.id, 0)
    await moving.client.post(
        f"/v0/subscriptions/{moving.id}/termination", json={"reason": "Enough"}
    )
    ended = await moving.move(2)
    assert (ended.status_code, ended.json()["code"]) == (409, "SUBSCRIPTION_NOT_LIVE")


async def test_an_end_before_the_boundary_stands_against_it(shop: Shop, living: Client) -> None:
    moving = await Moving(shop, living).open(endingAt=BOUNDARY)
    await moving.mint("20.00")
    answer = await moving.move(2)
    assert (answer.status_code, answer.json()["code"]) == (
        409, "SUBSCRIPTION_ENDS_BEFORE_BOUNDARY",
    )  # fmt: skip


async def test_an_allowance_is_not_moved_to_other_resets(shop: Shop, living: Client) -> None:
    moving = Moving(shop, living)
    product = await shop.product()
    feature = await shop.post(
        "/v0/features",
        merchantId=shop.merchant_id,
        productId=product,
        key="tokens",
        name="Tokens",
        type="metered",
    )

    async def metered(interval: str) -> str:
        template = {"usagePeriod": {"interval": interval}, "isSoftLimit": True}
        attached = {"featureId": feature["id"], "entitlementTemplate": template}
        return (await shop.metric_price(product, "1.00", feature=attached))[1]

    first = [{"priceId": await metered("P1M"), "key": "tokens"}]
    moving.plan = await shop.plan(product, prices=first)
    second = [{"priceId": await metered("P1W"), "key": "tokens"}]
    moving.id = (await shop.subscribe(moving.plan, versionPolicy="pinned"))["id"]
    await shop.post(f"/v0/plans/{moving.plan}/versions", prices=second)
    answer = await moving.move(2)
    assert (answer.status_code, answer.json()["code"]) == (409, "FEATURE_CHANGED")


async def test_a_rate_of_its_own_stands_against_another_meaning(moving: Moving) -> None:
    """Version 2 sells seats by the quarter; a rate by the month would be asked for a quarter."""
    await moving.mint("20.00", billingCadence="P3M")
    addition = {
        "priceKey": "seats",
        "unitPrice": "8.00",
        "baseQuantity": "1",
        "billingCadence": "P1M",
        "billingMode": "arrears",
        "startDate": BOUNDARY,
    }
    path = f"/v0/subscriptions/{moving.id}/intervals"
    agreed = accepted(await moving.client.post(path, json={"add": [addition]}))
    answer = await moving.move(2)
    assert (answer.status_code, answer.json()["code"]) == (409, "OVERRIDE_CHANGES_MEANING")
    own = {"id": agreed["intervalChange"]["intervals"][0]["intervalId"]}
    accepted(await moving.client.post(path, json={"remove": [own]}))
    assert (await moving.move(2)).status_code == 200


async def test_a_version_does_not_sell_what_an_interval_bills(moving: Moving) -> None:
    more = await moving.shop.fee_price(moving.product, "3.00")
    lines = await moving._lines("20.00")
    body = {"prices": [*lines, {"priceId": more, "key": "support"}]}
    await moving.shop.post(f"/v0/plans/{moving.plan}/versions", **body)
    addition = {
        "priceKey": "support",
        "priceId": more,
        "unitPrice": None,
        "baseQuantity": "1",
        "billingCadence": "P1M",
        "billingMode": "advance",
        "startDate": BOUNDARY,
    }
    path = f"/v0/subscriptions/{moving.id}/intervals"
    accepted(await moving.client.post(path, json={"add": [addition]}))
    answer = await moving.move(2)
    assert (answer.status_code, answer.json()["code"]) == (409, "INTERVAL_COVERS_PRICE")
