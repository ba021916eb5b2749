"""Plans over HTTP: their first version, and the versions that an update makes."""

from typing import Any

import httpx2
import pytest
from sqlmodel import col, select

from activities.organizations import CreatedMerchant
from models.billable_metrics import BillableMetric
from models.database import Database
from models.fees import Fee
from models.plans import PlanLine, PlanVersion
from models.prices import Price
from models.products import Product
from models.queries import organizations
from tests.factories import a_feature, a_fee, a_metric, a_price, a_product

Client = httpx2.AsyncClient


class Catalog:
    """What a plan can hold."""

    product: Product
    metric: BillableMetric
    fee: Fee
    base: Price
    usage: Price


@pytest.fixture
async def catalog(database: Database, merchant: CreatedMerchant) -> Catalog:
    made = Catalog()
    async with database.transaction() as session:
        made.product = await a_product(session, merchant.merchant_id)
        made.metric = await a_metric(session, made.product)
        made.fee = await a_fee(session, made.product)
        feature = await a_feature(session, made.product)
        made.base = await a_price(session, made.fee, "49")
        made.usage = await a_price(session, made.metric, "0.002", feature_id=feature.id)
    return made


def body(catalog: Catalog, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": catalog.product.merchant_id,
        "productId": catalog.product.id,
        "name": "Pro",
        "currency": "USD",
        **members,
    }


async def versions(database: Database, plan_id: str) -> list[tuple[int, list[tuple[str, str]]]]:
    """Each version's number and its lines as (key, price)."""
    async with database.transaction() as session:
        statement = (
            select(PlanVersion)
            .where(PlanVersion.plan_id == plan_id)
            .order_by(col(PlanVersion.number))
        )
        found = []
        for version in (await session.exec(statement)).all():
            lines = await session.exec(
                select(PlanLine)
                .where(PlanLine.plan_version_id == version.id)
                .order_by(col(PlanLine.position))
            )
            found.append((version.number, [(line.key, line.price_id) for line in lines.all()]))
        return found


async def test_defaults_are_always_sent(client: Client, catalog: Catalog) -> None:
    created = await client.post("/v0/plans", json=body(catalog))
    assert created.status_code == 201
    plan = created.json()
    assert plan["object"] == "plan"
    assert plan["billingCadence"] == "P1M"
    assert plan["billingInterval"] == "monthly"
    assert plan["defaultTaxCode"] == "eservice"
    assert plan["defaultTaxRate"] == 0
    assert plan["taxBehavior"] == "exclusive"
    assert plan["renewalReminderDays"] == 3
    assert plan["billingVersion"] == 1
    assert plan["billingAnchor"] is None
    assert plan["stablePriceIds"] is True
    assert plan["versionTransition"] == {
        "effectiveDate": "end_of_current_period",
        "proration": "none",
    }
    assert plan["prices"] == []
    assert plan["paymentTerm"] == {"in_arrears": False, "in_advance": False}
    assert plan["defaultVersionId"].startswith("pver_")
    assert (await client.get(f"/v0/plans/{plan['id']}")).json() == plan


async def test_prices_become_version_one_with_keys(
    client: Client, catalog: Catalog, database: Database
) -> None:
    lines = [catalog.base.id, {"priceId": catalog.usage.id, "key": "tokens"}]
    created = await client.post("/v0/plans", json=body(catalog, prices=lines, defaultTaxRate=8.25))
    assert created.status_code == 201
    plan = created.json()
    assert plan["defaultTaxRate"] == 8.25
    assert [price["id"] for price in plan["prices"]] == [catalog.base.id, catalog.usage.id]
    for price in plan["prices"]:
        assert price["quantity"] == 1
        assert price["rateType"] == "amount"
        assert price["tax"] == {"supplyScope": "IN_SCOPE"}
    assert plan["prices"][1]["features"][0]["feature"]["key"] == "api-calls"
    assert plan["paymentTerm"] == {"in_arrears": True, "in_advance": True}
    assert await versions(database, plan["id"]) == [
        (1, [(catalog.base.id, catalog.base.id), ("tokens", catalog.usage.id)])
    ]
    listed = await client.get("/v0/plans", params={"productId": catalog.product.id})
    assert listed.json()["data"] == [plan]


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD", "CLF", "HUF"])
async def test_every_iso_currency(client: Client, catalog: Catalog, currency: str) -> None:
    created = await client.post("/v0/plans", json=body(catalog, currency=currency))
    assert created.json()["currency"] == currency


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"currency": "usd"}, "currency"),
        ({"currency": "XXZ"}, "currency"),
        ({"name": ""}, "name"),
        ({"billingCadence": "P1W"}, "billingCadence"),
        ({"billingInterval": "weekly"}, "billingInterval"),
        ({"defaultTaxRate": -1}, "defaultTaxRate"),
        ({"defaultTaxRate": 101}, "defaultTaxRate"),
        ({"defaultTaxRate": "10"}, "defaultTaxRate"),
        ({"defaultTaxRate": True}, "defaultTaxRate"),
        ({"defaultTaxRate": 10**1000}, "defaultTaxRate"),
        ({"renewalReminderDays": 31}, "renewalReminderDays"),
        ({"billingVersion": 2}, "billingVersion"),
        ({"billingAnchor": "9999-01-01T00:00:00Z"}, "billingAnchor"),
        ({"prices": "price_1"}, "prices"),
        ({"prices": [1]}, "prices[0]"),
        ({"prices": ["plan_1"]}, "prices[0].priceId"),
        ({"prices": [{"priceId": "price_1", "key": "A"}]}, "prices[0].key"),
        ({"prices": ["price_1"] * 101}, "prices"),
        ({"versionTransition": {"effectiveDate": "immediate"}}, "versionTransition.proration"),
    ],
)
async def test_wrong_fields(
    client: Client, catalog: Catalog, members: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v0/plans", json=body(catalog, **members))
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_cadence_beats_interval(client: Client, catalog: Catalog) -> None:
    for members, cadence, interval in (
        ({"billingInterval": "annual"}, "P1Y", "yearly"),
        ({"billingInterval": "yearly", "billingCadence": "P3M"}, "P3M", "quarterly"),
    ):
        plan = (await client.post("/v0/plans", json=body(catalog, **members))).json()
        assert (plan["billingCadence"], plan["billingInterval"]) == (cadence, interval)


async def test_lines_that_would_charge_twice_are_refused(
    client: Client, catalog: Catalog, database: Database
) -> None:
    async with database.transaction() as session:
        second = await a_price(session, catalog.metric, "1")
        yearly = await a_price(session, await a_metric(session, catalog.product), "1")
        yearly.billing_cadence = "P1Y"
        instant = await a_price(
            session, await a_metric(session, catalog.product), "1", payment_term="instant"
        )
    for lines, field in (
        ([catalog.usage.id, second.id], "prices[1]"),
        ([catalog.base.id, {"priceId": catalog.base.id, "key": "again"}], "prices[1]"),
        (
            [{"priceId": id_, "key": "k"} for id_ in (catalog.base.id, catalog.usage.id)],
            "prices[1].key",
        ),
        ([instant.id], "prices[0]"),
    ):
        refused = await client.post("/v0/plans", json=body(catalog, prices=lines))
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == field
    assert (await client.get("/v0/plans")).json()["pagination"]["total"] == 0
    legacy = body(catalog, prices=[instant.id], billingVersion=0)
    assert (await client.post("/v0/plans", json=legacy)).status_code == 201
    # Single uses accrue on an invoice, and not in a cycle of their own.
    for version, status in ((0, 400), (1, 201)):
        asked = body(catalog, prices=[yearly.id], billingVersion=version)
        assert (await client.post("/v0/plans", json=asked)).status_code == status


async def test_version_zero_needs_legacy_billing(
    client: Client, catalog: Catalog, database: Database
) -> None:
    async with database.transaction() as session:
        row = await organizations.get(session, catalog.product.merchant_id)
        assert row is not None
        row.legacy_billing = False
    refused = await client.post("/v0/plans", json=body(catalog, billingVersion=0))
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "billingVersion"


async def test_update_leaves_versions_alone_unless_prices_change(
    client: Client, catalog: Catalog, database: Database
) -> None:
    lines = [{"priceId": catalog.base.id, "key": "base"}]
    anchor = "2026-01-31T12:00:00+01:00"
    sent = body(catalog, prices=lines, billingAnchor=anchor, description="d")
    plan = (await client.post("/v0/plans", json=sent)).json()
    path = f"/v0/plans/{plan['id']}"
    same = (await client.patch(path, json={"name": "N", "prices": [catalog.base.id]})).json()
    assert same["defaultVersionId"] == plan["defaultVersionId"]
    assert (same["name"], same["description"]) == ("N", "d")
    assert same["billingAnchor"] == plan["billingAnchor"]
    assert (await client.patch(path, json={"billingAnchor": None})).json()["billingAnchor"] is None

    changed = await client.patch(path, json={"prices": [catalog.usage.id, catalog.base.id]})
    assert changed.status_code == 200
    assert changed.json()["defaultVersionId"] != plan["defaultVersionId"]
    assert [price["id"] for price in changed.json()["prices"]] == [
        catalog.usage.id,
        catalog.base.id,
    ]
    assert await versions(database, plan["id"]) == [
        (1, [("base", catalog.base.id)]),
        (2, [(catalog.usage.id, catalog.usage.id), ("base", catalog.base.id)]),
    ]
    for wrong, status in (({"prices": []}, 400), ({"prices": ["price_1"]}, 404)):
        assert (await client.patch(path, json=wrong)).status_code == status
    assert len(await versions(database, plan["id"])) == 2


async def test_foreign_products_prices_and_plans(
    client: Client,
    stranger_client: Client,
    catalog: Catalog,
    database: Database,
    stranger: CreatedMerchant,
) -> None:
    async with database.transaction() as session:
        theirs = await a_product(session, stranger.merchant_id)
        foreign = await a_price(session, await a_fee(session, theirs), "1")
    plan = (await client.post("/v0/plans", json=body(catalog))).json()
    path = f"/v0/plans/{plan['id']}"
    for refused in (
        await client.post("/v0/plans", json=body(catalog, productId=theirs.id)),
        await client.post("/v0/plans", json=body(catalog, prices=[foreign.id])),
        await client.patch(path, json={"prices": [foreign.id]}),
        await stranger_client.get(path),
        await stranger_client.patch(path, json={"name": "x"}),
    ):
        assert refused.status_code == 404
    assert (await stranger_client.get("/v0/plans")).json()["data"] == []
    listed = await stranger_client.get(
        "/v0/plans", params={"merchantId": catalog.product.merchant_id}
    )
    assert listed.status_code == 403
