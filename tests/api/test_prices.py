"""Prices over HTTP: the rules between their fields, and who keeps one from changing."""

from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.billable_metrics import BillableMetric
from models.database import Database
from models.features import Feature
from models.fees import Fee
from models.queries import organizations
from tests.factories import (
    a_customer,
    a_feature,
    a_fee,
    a_metric,
    a_plan,
    a_price,
    a_product,
    a_subscription,
)

Client = httpx2.AsyncClient


class Catalog:
    """What a price can hang on."""

    metric: BillableMetric
    fee: Fee
    feature: Feature


@pytest.fixture
async def catalog(database: Database, merchant: CreatedMerchant) -> Catalog:
    made = Catalog()
    async with database.transaction() as session:
        product = await a_product(session, merchant.merchant_id)
        made.metric = await a_metric(session, product)
        made.fee = await a_fee(session, product)
        made.feature = await a_feature(session, product)
    return made


def of_fee(catalog: Catalog, **members: Any) -> dict[str, Any]:
    return {
        "feeId": catalog.fee.id,
        "invoiceDisplayName": "Base",
        "paymentTerm": "in_advance",
        "billingCadence": "P1M",
        "properties": {"unitPrice": "49.00"},
        **members,
    }


def of_metric(catalog: Catalog, **members: Any) -> dict[str, Any]:
    return {
        "billableMetricId": catalog.metric.id,
        "invoiceDisplayName": "Tokens",
        "paymentTerm": "in_arrears",
        "model": "standard",
        "properties": {"unitPrice": "0.002"},
        **members,
    }


async def test_a_fees_price_answers_every_required_field(client: Client, catalog: Catalog) -> None:
    created = await client.post("/v0/prices", json=of_fee(catalog, quantity=3))
    assert created.status_code == 201
    price = created.json()
    assert price["object"] == "price"
    assert price["model"] == "standard"
    assert price["quantity"] == 3
    assert price["tax"] == {"supplyScope": "IN_SCOPE"}
    assert price["properties"] == {"unitPrice": "49.00"}
    assert price["features"] == []
    assert "billableMetricId" not in price
    assert (await client.get(f"/v0/prices/{price['id']}")).json() == price


TIERS = [{"upTo": "100", "unitPrice": "5"}, {"upTo": None, "unitPrice": "3"}]


@pytest.mark.parametrize(
    ("model", "properties"),
    [
        ("standard", {"unitPrice": "-0.01"}),
        ("volume", {"tiers": TIERS}),
        ("volume", {"tiers": [{"upTo": None, "unitPrice": "1", "flatAmount": "2"}]}),
        ("graduated", {"tiers": [{"upTo": None, "unitPrice": "1", "flatAmount": "2"}]}),
        ("package", {"packageSize": "100", "unitPrice": "2"}),
        ("dynamic", {"minPrice": "1", "maxPrice": "2"}),
        ("percentage", {"percentage": "0.03", "minCharge": "0", "maxCharge": "10"}),
    ],
)
async def test_every_model_can_price_a_metric(
    client: Client, catalog: Catalog, model: str, properties: dict[str, Any]
) -> None:
    sent = of_metric(catalog, model=model, properties=properties)
    created = await client.post("/v0/prices", json=sent)
    assert created.status_code == 201, created.text
    assert created.json()["properties"] == properties
    assert created.json()["model"] == model


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"properties": {}}, "properties.unitPrice"),
        ({"properties": {"unitPrice": 5}}, "properties.unitPrice"),
        ({"properties": {"unitPrice": "1e5"}}, "properties.unitPrice"),
        ({"properties": {"unitPrice": "1" * 21}}, "properties.unitPrice"),
        ({"properties": {"unitPrice": "1", "x": "1"}}, "properties.x"),
        ({"properties": []}, "properties"),
        ({"model": None}, "model"),
        ({"model": "spline"}, "model"),
        ({"model": "volume"}, "properties.unitPrice"),
        (
            {"model": "volume", "properties": {"tiers": [TIERS[0], TIERS[0], TIERS[1]]}},
            "properties.tiers[1].upTo",
        ),
        ({"model": "volume", "properties": {"tiers": TIERS[:1]}}, "properties.tiers[0].upTo"),
        ({"paymentTerm": "someday"}, "paymentTerm"),
        ({"billingCadence": "monthly"}, "billingCadence"),
        ({"billingCadence": "PT1S"}, "billingCadence"),
        ({"billingCadence": "P0D"}, "billingCadence"),
        ({"quantity": 2}, "quantity"),
        ({"isObligation": True}, "isObligation"),
        ({"isObligation": "true"}, "isObligation"),
        ({"tax": {"supplyScope": "OUTSIDE_SCOPE"}}, "tax.outsideScopeLabel"),
        (
            {"tax": {"supplyScope": "OUTSIDE_SCOPE", "outsideScopeLabel": "CASHBACK"}},
            "properties.unitPrice",
        ),
        ({"tax": {"supplyScope": "IN_SCOPE", "code": "x"}}, "tax.code"),
        (
            {"properties": {"unitPrice": "-1"}, "grantDiscountEnabled": True},
            "properties.unitPrice",
        ),
        ({"feeId": "fee_1"}, "billableMetricId"),
        ({"invoiceDisplayName": ""}, "invoiceDisplayName"),
    ],
)
async def test_wrong_prices_of_a_metric(
    client: Client, catalog: Catalog, members: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v0/prices", json=of_metric(catalog, **members))
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"billingCadence": None}, "billingCadence"),
        ({"model": "volume", "properties": {"tiers": TIERS}}, "model"),
        ({"properties": {"unitPrice": "-1"}}, "properties.unitPrice"),
        ({"paymentTerm": "instant"}, "paymentTerm"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 10**1000}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"grantDiscountEnabled": True}, "grantDiscountEnabled"),
        ({"rateType": "proportion"}, "rateType"),
        ({"feeId": None}, "billableMetricId"),
    ],
)
async def test_wrong_prices_of_a_fee(
    client: Client, catalog: Catalog, members: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v0/prices", json=of_fee(catalog, **members))
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_legacy_models_need_the_switch(
    client: Client, catalog: Catalog, database: Database, merchant: CreatedMerchant
) -> None:
    sent = of_metric(catalog, model="dynamic", properties={"minPrice": "1", "maxPrice": "2"})
    kept = (await client.post("/v0/prices", json=sent)).json()
    async with database.transaction() as session:
        row = await organizations.get(session, merchant.merchant_id)
        assert row is not None
        row.legacy_billing = False
    assert (await client.post("/v0/prices", json=sent)).status_code == 400
    instant = of_metric(catalog, paymentTerm="instant")
    assert (await client.post("/v0/prices", json=instant)).status_code == 400
    renamed = await client.patch(f"/v0/prices/{kept['id']}", json={"invoiceDisplayName": "D"})
    assert renamed.status_code == 200


async def test_a_feature_comes_with_or_without_an_allowance(
    client: Client, catalog: Catalog
) -> None:
    template = {"type": "metered", "isSoftLimit": True, "issueAfterReset": 100}
    feature = {"featureId": catalog.feature.id, "entitlementTemplate": template}
    price = (await client.post("/v0/prices", json=of_metric(catalog, feature=feature))).json()
    (carried,) = price["features"]
    assert carried["featureId"] == catalog.feature.id
    assert carried["entitlementTemplate"] == template
    assert carried["feature"] == {"key": "api-calls", "name": "API calls", "type": "metered"}
    path = f"/v0/prices/{price['id']}"
    renamed = (await client.patch(path, json={"invoiceDisplayName": "N"})).json()
    assert renamed["features"] == price["features"]
    assert (await client.patch(path, json={"feature": None})).json()["features"] == []
    wrong = {"featureId": catalog.feature.id, "entitlementTemplate": {"type": "static"}}
    refused = await client.patch(path, json={"feature": wrong})
    assert refused.json()["errors"][0]["field"] == "feature.entitlementTemplate.type"
    unknown = await client.patch(path, json={"feature": {"featureId": "feat_1"}})
    assert unknown.status_code == 404


async def test_a_rebate_cannot_stand_on_a_hard_limit(client: Client, catalog: Catalog) -> None:
    for template, status in (({}, 400), ({"isSoftLimit": True}, 201), (None, 201)):
        feature: dict[str, Any] = {"featureId": catalog.feature.id}
        if template is not None:
            feature["entitlementTemplate"] = template
        sent = of_metric(catalog, properties={"unitPrice": "-1"}, feature=feature)
        assert (await client.post("/v0/prices", json=sent)).status_code == status


async def test_a_price_that_a_subscription_bills_keeps_its_structure(
    client: Client, database: Database, catalog: Catalog
) -> None:
    async with database.transaction() as session:
        product = await a_product(session, catalog.fee.merchant_id)
        price = await a_price(session, catalog.fee, "49")
        plan = await a_plan(session, product, price)
        customer = await a_customer(session, product.merchant_id)
        subscription = await a_subscription(session, customer, plan)
    path = f"/v0/prices/{price.id}"
    refused = await client.patch(
        path, json={"paymentTerm": "in_arrears", "quantity": 2, "invoiceDisplayName": "New"}
    )
    assert refused.status_code == 409
    assert refused.json()["code"] == "PRICE_IN_USE"
    assert refused.json()["details"] == {
        "priceId": price.id,
        "fields": ["paymentTerm", "quantity"],
        "subscriptionCount": 1,
    }
    assert (await client.get(path)).json()["invoiceDisplayName"] == "Base fee"
    same = await client.patch(path, json={"paymentTerm": "in_advance", "invoiceDisplayName": "N"})
    assert (same.status_code, same.json()["invoiceDisplayName"]) == (200, "N")
    kept = await client.delete(path)
    assert kept.status_code == 409
    assert [(each["type"], each["count"]) for each in kept.json()["details"]["blockers"]] == [
        ("planVersions", 1),
        ("subscriptions", 1),
    ]
    assert kept.json()["details"]["blockers"][1]["items"][0]["id"] == subscription.id
    async with database.transaction() as session:
        subscription.status = "terminated"
        await session.merge(subscription)
    assert (await client.patch(path, json={"quantity": 2})).status_code == 200
    assert (await client.delete(path)).status_code == 409


async def test_an_unused_price_can_be_restructured_and_deleted(
    client: Client, catalog: Catalog
) -> None:
    price = (await client.post("/v0/prices", json=of_metric(catalog))).json()
    path = f"/v0/prices/{price['id']}"
    change = {"model": "volume", "properties": {"tiers": TIERS}, "billingCadence": "P1M"}
    changed = (await client.patch(path, json=change)).json()
    assert changed["properties"] == {"tiers": TIERS}
    assert changed["billingCadence"] == "P1M"
    assert (await client.patch(path, json={"model": "standard"})).status_code == 400
    assert (await client.patch(path, json={"billingCadence": None})).status_code == 200
    assert (await client.patch(path, json={"feeId": catalog.fee.id})).status_code == 400
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"billableMetricId": "other"}, "billableMetricId"),
        ({"billingCadence": "P1Y"}, "billingCadence"),
        ({"paymentTerm": "instant"}, "paymentTerm"),
    ],
)
async def test_an_edit_leaves_a_price_that_its_plans_can_bill(
    client: Client, database: Database, catalog: Catalog, change: dict[str, str], field: str
) -> None:
    """Twice one metric would be charged twice; nothing of a line that is refused elsewhere."""
    async with database.transaction() as session:
        product = await a_product(session, catalog.fee.merchant_id)
        metrics = [await a_metric(session, product) for _ in range(2)]
        lines = [await a_price(session, metric) for metric in metrics]
        version = 0 if field == "billingCadence" else 1
        plan = await a_plan(session, product, *lines, billing_version=version)
    sent = {k: metrics[1].id if v == "other" else v for k, v in change.items()}
    refused = await client.patch(f"/v0/prices/{lines[0].id}", json=sent)
    assert (refused.status_code, refused.json()["code"]) == (409, "PRICE_IN_USE")
    assert refused.json()["details"] == {
        "priceId": lines[0].id,
        "fields": [field],
        "planId": plan.id,
        "versionNumber": 1,
    }
    kept = {"billingCadence": "P1M", "properties": {"unitPrice": "2"}}
    assert (await client.patch(f"/v0/prices/{lines[0].id}", json=kept)).status_code == 200


async def test_foreign_metrics_fees_and_prices(
    client: Client, stranger_client: Client, catalog: Catalog
) -> None:
    for sent in (of_metric(catalog), of_fee(catalog)):
        assert (await stranger_client.post("/v0/prices", json=sent)).status_code == 404
    price = (await client.post("/v0/prices", json=of_fee(catalog))).json()
    path = f"/v0/prices/{price['id']}"
    assert (await stranger_client.get(path)).status_code == 404
    assert (await stranger_client.patch(path, json={"quantity": 1})).status_code == 404
    assert (await stranger_client.delete(path)).status_code == 404
    own = {"merchantId": catalog.fee.merchant_id}
    assert (await stranger_client.get("/v0/prices", params=own)).status_code == 403
    unknown = await stranger_client.get("/v0/prices", params={"merchantId": "org_unknown"})
    assert unknown.status_code == 404
    listed = await client.get("/v0/prices", params={"billableMetricId": catalog.metric.id})
    assert listed.json()["data"] == []
    assert (await client.get("/v0/prices", params=own)).json()["pagination"]["total"] == 1
