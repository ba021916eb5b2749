"""A subscription's entitlements follow its plan, and a reconciliation repairs what does not."""

from typing import Any

import httpx2
import pytest
from sqlmodel import col, delete, select

from activities.subscription_plans import ChangePlan
from models.database import Database
from models.entitlements import Entitlement, EntitlementGrant
from models.prices import Price
from tests.api.in_process import CARD, InProcess, Shop, accepted
from tests.scenario.shop import at

Client = httpx2.AsyncClient
START = "2026-01-31T00:00:00Z"
BOUNDARY = "2026-02-28T00:00:00Z"
IMMEDIATE = {"effectiveDate": "immediate", "proration": "none"}


class Entitled:
    """A plan whose fee in arrears has single sign-on, and whose meter allows 100 calls a month."""

    def __init__(self, shop: Shop, client: Client, database: Database) -> None:
        self.shop, self.client, self.database = shop, client, database
        self.plan = self.id = self.clock = self.product = ""
        self.features: dict[str, str] = {}

    async def feature(self, key: str, kind: str = "boolean") -> str:
        made = await self.shop.post(
            "/v0/features",
            merchantId=self.shop.merchant_id,
            productId=self.product,
            key=key,
            name=key,
            type=kind,
        )
        self.features[key] = made["id"]
        return str(made["id"])

    async def fee(self, key: str, template: Any = None, **members: Any) -> dict[str, str]:
        """A plan's line: a fee of 5.00 in arrears that carries the feature."""
        attached = {"featureId": self.features[key], "entitlementTemplate": template}
        options = {"paymentTerm": "in_arrears", "feature": attached} | members
        price = await self.shop.fee_price(self.product, "5.00", **options)
        return {"priceId": price, "key": key}

    async def calls(self, allowed: int, **members: Any) -> dict[str, str]:
        """A plan's line: calls at 1.00 beyond so many a month."""
        template = {
            "type": "metered",
            "isSoftLimit": True,
            "issueAfterReset": allowed,
            "usagePeriod": {"interval": "P1M"},
        }
        attached = {"featureId": self.features["calls"], "entitlementTemplate": template}
        metric, price = await self.shop.metric_price(
            self.product, "1.00", feature=attached, **members
        )
        self.features["metric"] = metric
        return {"priceId": price, "key": "calls"}

    async def open(self, **members: Any) -> "Entitled":
        self.product = await self.shop.product()
        for key, kind in (("sso", "boolean"), ("calls", "metered"), ("audit", "boolean")):
            await self.feature(key, kind)
        lines = [await self.fee("sso"), await self.calls(100)]
        self.plan = await self.shop.plan(self.product, prices=lines, **members)
        self.clock = await self.shop.clock(START)
        await self.subscribe()
        return self

    async def subscribe(self, **members: Any) -> None:
        options = {"startedAt": START, "testClockId": self.clock} | members
        self.id = (await self.shop.subscribe(self.plan, **options))["id"]

    async def mint(self, *lines: dict[str, str]) -> None:
        await self.shop.post(f"/v0/plans/{self.plan}/versions", prices=list(lines))

    async def reconcile(self, **body: Any) -> httpx2.Response:
        path = f"/v0/subscriptions/{self.id}/reconciliations"
        return await self.client.post(path, json=body)

    async def outcome(self, status: int = 201, **body: Any) -> dict[str, list[str]]:
        """Which features were added, skipped, removed, and failed, by their keys."""
        answer = await self.reconcile(**body)
        assert answer.status_code == status, answer.text
        told = answer.json()["features"]
        return {name: [each["featureKey"] for each in told[name]] for name in told}

    async def standing(self) -> dict[str, Entitlement]:
        keys = {feature_id: key for key, feature_id in self.features.items()}
        return {keys[row.feature_id]: row for row in await self.rows() if row.status == "active"}

    async def rows(self) -> list[Entitlement]:
        async with self.database.transaction() as session:
            statement = select(Entitlement).where(Entitlement.subscription_id == self.id)
            return list((await session.exec(statement.order_by(col(Entitlement.id)))).all())

    async def grants(self) -> list[tuple[str, bool]]:
        """Each grant's amount and whether it was voided, the oldest first."""
        async with self.database.transaction() as session:
            statement = (
                select(EntitlementGrant)
                .join(Entitlement, col(Entitlement.id) == col(EntitlementGrant.entitlement_id))
                .where(Entitlement.subscription_id == self.id)
                .order_by(col(EntitlementGrant.effective_at), col(EntitlementGrant.created_at))
            )
            rows = (await session.exec(statement)).all()
        return [(f"{row.amount:f}", row.voided_at is not None) for row in rows]

    async def forget(self, key: str) -> None:
        """Deletes an entitlement's row by hand."""
        row = (await self.standing())[key]
        async with self.database.transaction() as session:
            grants = delete(EntitlementGrant)
            await session.exec(grants.where(col(EntitlementGrant.entitlement_id) == row.id))
            await session.exec(delete(Entitlement).where(col(Entitlement.id) == row.id))

    async def advance(self, to: str) -> None:
        accepted(await self.client.patch(f"/v0/testClocks/{self.clock}", json={"currentTime": to}))


@pytest.fixture
async def entitled(shop: Shop, living: Client, database: Database) -> Entitled:
    return await Entitled(shop, living, database).open()


NOTHING: dict[str, list[str]] = {
    "added": [],
    "skipped": ["sso", "calls"],
    "removed": [],
    "failed": [],
}


async def test_an_active_subscription_has_what_its_plan_gives(entitled: Entitled) -> None:
    standing = await entitled.standing()
    assert set(standing) == {"sso", "calls"}
    calls = standing["calls"]
    assert (calls.active_from, calls.active_to, calls.origin) == (at(START), None, "plan")
    assert calls.billable_metric_id == entitled.features["metric"]
    assert calls.template is not None
    assert calls.template["issueAfterReset"] == 100
    assert standing["sso"].template is None
    assert await entitled.grants() == [("100", False)]
    answer = await entitled.reconcile()
    assert (answer.status_code, await entitled.outcome()) == (201, NOTHING)
    assert answer.json() == {
        "object": "subscriptionReconciliation",
        "dryRun": False,
        "features": {
            "added": [],
            "skipped": [
                {"featureId": entitled.features[key], "featureKey": key} for key in ("sso", "calls")
            ],
            "removed": [],
            "failed": [],
        },
        "lineItems": {"created": 0, "removed": 0, "syncFailed": False},
    }


async def test_rows_removed_by_hand_are_repaired_once(entitled: Entitled) -> None:
    before = (await entitled.standing())["calls"]
    await entitled.forget("calls")
    wanted = NOTHING | {"added": ["calls"], "skipped": ["sso"]}
    assert await entitled.outcome(200, dryRun=True) == wanted
    assert (set(await entitled.standing()), await entitled.grants()) == ({"sso"}, [])
    answer = accepted(await entitled.reconcile())
    (added,) = answer["features"]["added"]
    assert added == {
        "featureId": entitled.features["calls"],
        "featureKey": "calls",
        "billed": True,
    }
    assert (await entitled.standing())["calls"].id == before.id
    assert await entitled.grants() == [("100", False)]
    assert await entitled.outcome() == NOTHING
    assert await entitled.grants() == [("100", False)]


async def test_without_a_body_it_is_no_preview(entitled: Entitled) -> None:
    await entitled.forget("sso")
    path = f"/v0/subscriptions/{entitled.id}/reconciliations"
    assert (await entitled.client.post(path)).status_code == 201
    assert set(await entitled.standing()) == {"sso", "calls"}


async def test_a_boundary_takes_the_new_versions_features(
    entitled: Entitled, commands: InProcess
) -> None:
    """Version 2 has no single sign-on, an audit log, and 250 calls."""
    await entitled.mint(await entitled.fee("audit"), await entitled.calls(250))
    assert await entitled.outcome() == NOTHING
    calls = (await entitled.standing())["calls"].id
    await entitled.advance("2026-03-01T00:00:00Z")
    await commands.close_period(entitled.shop.merchant_id, entitled.id, 0)
    standing = await entitled.standing()
    assert set(standing) == {"audit", "calls"}
    assert standing["audit"].active_from == at(BOUNDARY)
    assert standing["calls"].id == calls
    assert await entitled.grants() == [("100", True), ("250", False)]
    (ended,) = [row for row in await entitled.rows() if row.status == "canceled"]
    assert (ended.feature_id, ended.active_to) == (entitled.features["sso"], at(BOUNDARY))
    assert await entitled.outcome() == NOTHING | {"skipped": ["audit", "calls"]}


async def test_a_default_that_counts_at_once_gives_at_once(
    shop: Shop, living: Client, database: Database
) -> None:
    entitled = await Entitled(shop, living, database).open(versionTransition=IMMEDIATE)
    first = entitled.id
    await entitled.subscribe(versionPolicy="pinned")
    pinned, entitled.id = entitled.id, first
    await entitled.advance("2026-02-10T00:00:00Z")
    await entitled.mint(await entitled.fee("audit"), await entitled.calls(100))
    standing = await entitled.standing()
    assert standing["audit"].active_from == at("2026-02-10T00:00:00Z")
    assert set(standing) == {"audit", "calls"}
    # Another meter carries the calls: the allowance begins anew.
    assert await entitled.grants() == [("100", True), ("100", False)]
    assert await entitled.outcome() == NOTHING | {"skipped": ["audit", "calls"]}
    entitled.id = pinned
    assert set(await entitled.standing()) == {"sso", "calls"}
    assert await entitled.outcome() == NOTHING


async def test_a_default_that_no_longer_counts_at_once_takes_back(
    entitled: Entitled, commands: InProcess
) -> None:
    """Audit came at once for single sign-on; with the transition switched it goes as it came.

    The running month is billed by the first version again, the next one by the second; whoever
    subscribed after the new default keeps what he began with.
    """
    shop, path = entitled.shop, f"/v0/plans/{entitled.plan}"
    accepted(await entitled.client.patch(path, json={"versionTransition": IMMEDIATE}))
    first = entitled.id
    await entitled.mint(await entitled.fee("audit"), await entitled.calls(300))
    await entitled.subscribe()
    assert set(await entitled.standing()) == {"audit", "calls"}
    later = {"effectiveDate": "end_of_current_period", "proration": "none"}
    accepted(await entitled.client.patch(path, json={"versionTransition": later}))
    assert await entitled.outcome() == NOTHING | {"skipped": ["audit", "calls"]}
    entitled.id = first
    assert set(await entitled.standing()) == {"sso", "calls"}
    assert await entitled.outcome() == NOTHING | {"skipped": ["sso", "calls"]}
    assert await entitled.grants() == [("100", True), ("300", True), ("100", False)]
    await entitled.advance(BOUNDARY)
    await commands.close_period(shop.merchant_id, first, 0)
    assert set(await entitled.standing()) == {"audit", "calls"}


async def test_a_default_that_came_in_a_pause_gives_when_it_is_over(
    shop: Shop, living: Client, database: Database
) -> None:
    entitled = await Entitled(shop, living, database).open(versionTransition=IMMEDIATE)
    path = f"/v0/subscriptions/{entitled.id}"
    await entitled.advance("2026-02-10T00:00:00Z")
    accepted(await living.post(f"{path}/pause"))
    await entitled.mint(await entitled.fee("sso"), await entitled.fee("audit"))
    assert set(await entitled.standing()) == {"sso", "calls"}
    await entitled.advance("2026-02-12T00:00:00Z")
    accepted(await living.post(f"{path}/resume"))
    assert set(await entitled.standing()) == {"sso", "audit"}


async def test_an_immediate_migration_gives_at_once_and_takes_back(entitled: Entitled) -> None:
    await entitled.mint(await entitled.fee("sso"), await entitled.fee("audit"))
    path = f"/v0/subscriptions/{entitled.id}/versionMigration"
    later = {"targetVersionNumber": 2, "timing": "next_period"}
    accepted(await entitled.client.post(path, json=later))
    assert set(await entitled.standing()) == {"sso", "calls"}
    accepted(await entitled.client.post(path, json=later | {"timing": "immediate"}))
    assert set(await entitled.standing()) == {"sso", "audit"}
    accepted(await entitled.client.post(path, json={"targetVersionNumber": 1}))
    assert set(await entitled.standing()) == {"sso", "calls"}
    assert await entitled.grants() == [("100", True), ("100", False)]
    assert await entitled.outcome() == NOTHING


async def test_another_plan_gives_its_own(entitled: Entitled, commands: InProcess) -> None:
    other = await entitled.shop.plan(entitled.product, prices=[await entitled.fee("audit")])
    await entitled.advance("2026-02-10T00:00:00Z")
    await commands.change_plan(
        ChangePlan(
            merchant_id=entitled.shop.merchant_id,
            subscription_id=entitled.id,
            now=at("2026-02-10T00:00:00Z"),
            plan_id=other,
            at="now",
        )
    )
    assert set(await entitled.standing()) == {"audit"}
    assert await entitled.outcome() == NOTHING | {"skipped": ["audit"]}


async def test_the_end_takes_all_back(entitled: Entitled) -> None:
    path = f"/v0/subscriptions/{entitled.id}/termination"
    accepted(await entitled.client.post(path, json={"reason": "Enough"}))
    assert await entitled.standing() == {}
    assert {row.active_to for row in await entitled.rows()} == {at(START)}
    assert await entitled.grants() == [("100", True)]
    refused = await entitled.reconcile()
    assert refused.status_code == 400
    assert refused.json()["code"] == "SUBSCRIPTION_NOT_RECONCILABLE"


async def test_nothing_is_given_before_it_is_paid(
    shop: Shop, living: Client, database: Database, visitor: Client
) -> None:
    entitled = Entitled(shop, living, database)
    entitled.product = await shop.product()
    await entitled.feature("sso")
    line = await entitled.fee("sso", paymentTerm="in_advance")
    plan = await shop.plan(entitled.product, prices=[line])
    made = await shop.subscribe(plan)
    entitled.id = made["id"]
    assert await entitled.standing() == {}
    assert (await entitled.reconcile()).json()["code"] == "SUBSCRIPTION_NOT_RECONCILABLE"
    await visitor.post(made["payment"]["checkoutUrl"], data=CARD)
    assert set(await entitled.standing()) == {"sso"}
    assert await entitled.outcome() == NOTHING | {"skipped": ["sso"]}


async def test_a_later_start_gives_later(entitled: Entitled) -> None:
    await entitled.subscribe(startedAt="2026-02-05T00:00:00Z")
    assert (await entitled.standing())["sso"].active_from == at("2026-02-05T00:00:00Z")
    assert await entitled.grants() == [("100", False)]


async def test_resets_that_miss_the_billed_window_are_told(entitled: Entitled) -> None:
    """A discount by grant on a month's meter whose allowance was stored with weekly resets."""
    await entitled.forget("calls")
    async with entitled.database.transaction() as session:
        statement = select(Price).where(Price.feature_id == entitled.features["calls"])
        price = (await session.exec(statement)).one()
        price.grant_discount_enabled = True
        price.entitlement_template = {"usagePeriod": {"interval": "P1W"}, "isSoftLimit": True}
    answer = await entitled.reconcile()
    assert answer.status_code == 200
    assert answer.json()["features"]["failed"] == [
        {
            "featureId": entitled.features["calls"],
            "featureKey": "calls",
            "reason": "reset_cycle_misaligned",
        }
    ]
    assert set(await entitled.standing()) == {"sso"}


async def test_what_was_charged_once_is_entitled_and_not_billed(
    shop: Shop, living: Client, database: Database
) -> None:
    entitled = Entitled(shop, living, database)
    entitled.product = await shop.product()
    await entitled.feature("sso")
    line = await entitled.fee("sso", billingCadence="P0D")
    entitled.plan = await shop.plan(entitled.product, prices=[line])
    entitled.clock = await shop.clock(START)
    await entitled.subscribe()
    await entitled.forget("sso")
    (added,) = accepted(await entitled.reconcile())["features"]["added"]
    assert added["billed"] is False


async def test_legacy_plans_and_strangers_have_none(entitled: Entitled, shop: Shop) -> None:
    line = await entitled.fee("audit")
    legacy = await shop.plan(entitled.product, prices=[line], billingVersion=0)
    entitled.id = (await shop.subscribe(legacy))["id"]
    assert await entitled.rows() == []
    refused = await entitled.reconcile()
    assert (refused.status_code, refused.json()["code"]) == (400, "BILLING_VERSION_MISMATCH")
    entitled.id = "sub_1"
    assert (await entitled.reconcile()).status_code == 404


async def test_a_feature_that_somebody_has_is_not_deleted(entitled: Entitled) -> None:
    """Its price is gone from the plan's next version and deleted; the running one still gives."""
    feature = entitled.features["sso"]
    async with entitled.database.transaction() as session:
        price = (await session.exec(select(Price).where(Price.feature_id == feature))).one()
        price.feature_id = None
    refused = await entitled.client.delete(f"/v0/features/{feature}")
    assert (refused.status_code, refused.json()["code"]) == (409, "FEATURE_IN_USE")
    assert await entitled.outcome() == NOTHING | {"skipped": ["calls"], "removed": ["sso"]}
    assert (await entitled.client.delete(f"/v0/features/{feature}")).status_code == 204
