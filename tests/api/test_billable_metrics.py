"""Billable metrics over HTTP."""

from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.base import new_id
from models.database import Database
from models.invoices import InvoiceLine
from models.products import Product
from tests.factories import (
    START,
    a_customer,
    a_metric,
    a_plan,
    a_product,
    a_subscription,
    an_invoice,
    stored,
)

Client = httpx2.AsyncClient


@pytest.fixture
async def product(database: Database, merchant: CreatedMerchant) -> Product:
    async with database.transaction() as session:
        return await a_product(session, merchant.merchant_id)


def body(product: Product, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": product.merchant_id,
        "productId": product.id,
        "name": "Tokens",
        "description": "",
        "unit": "token",
        "aggregation": "SUM",
        "eventType": "llm",
        "valueProperty": "$.usage.tokens",
        **members,
    }


async def test_create_get_and_list(client: Client, product: Product) -> None:
    sent = body(product, groupBy={"model": "$.model"}, eventFrom="2026-01-01T02:00:00+02:00")
    created = await client.post("/v0/billableMetrics", json=sent)
    assert created.status_code == 201
    metric = created.json()
    assert metric["object"] == "billableMetric"
    assert metric["itemId"] is None
    assert metric["eventFrom"] == "2026-01-01T00:00:00Z"
    assert metric["groupBy"] == {"model": "$.model"}
    assert (await client.get(f"/v0/billableMetrics/{metric['id']}")).json() == metric
    listed = await client.get("/v0/billableMetrics", params={"productId": product.id})
    assert listed.json()["data"] == [metric]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"aggregation": "MEDIAN"}, "aggregation"),
        ({"valueProperty": None}, "valueProperty"),
        ({"valueProperty": "tokens"}, "valueProperty"),
        ({"valueProperty": "$.a[0]"}, "valueProperty"),
        ({"valueProperty": "$." + "a" * 300}, "valueProperty"),
        ({"eventType": ""}, "eventType"),
        ({"eventType": "a\nb"}, "eventType"),
        ({"eventFrom": "yesterday"}, "eventFrom"),
        ({"eventFrom": "2026-01-01"}, "eventFrom"),
        ({"eventFrom": "0000-01-01T00:00:00Z"}, "eventFrom"),
        ({"eventFrom": "9999-12-31T23:59:59-01:00"}, "eventFrom"),
        ({"eventFrom": 1767225600}, "eventFrom"),
        ({"groupBy": {"subject": "$.a"}}, "groupBy"),
        ({"groupBy": {"a": "b"}}, "groupBy.a"),
        ({"groupBy": {f"d{n}": "$.a" for n in range(21)}}, "groupBy"),
    ],
)
async def test_wrong_fields(
    client: Client, product: Product, members: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v0/billableMetrics", json=body(product, **members))
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_naive_instant_is_utc(client: Client, product: Product) -> None:
    sent = body(product, eventFrom="2026-01-01T00:00:00.5")
    metric = (await client.post("/v0/billableMetrics", json=sent)).json()
    assert metric["eventFrom"] == "2026-01-01T00:00:00.500000Z"


async def test_count_reads_no_value_and_unique_count_may(client: Client, product: Product) -> None:
    for aggregation, path in (("COUNT", None), ("UNIQUE_COUNT", "$.usage.tokens")):
        sent = body(product, aggregation=aggregation)
        metric = (await client.post("/v0/billableMetrics", json=sent)).json()
        assert metric["valueProperty"] == path
        cleared = await client.patch(
            f"/v0/billableMetrics/{metric['id']}", json={"valueProperty": None}
        )
        assert cleared.json()["valueProperty"] is None


async def test_null_clears_and_omitted_stays(client: Client, product: Product) -> None:
    sent = body(product, groupBy={"model": "$.model"}, eventFrom="2026-01-01T00:00:00Z")
    metric = (await client.post("/v0/billableMetrics", json=sent)).json()
    path = f"/v0/billableMetrics/{metric['id']}"
    changed = (await client.patch(path, json={"groupBy": None, "name": "T"})).json()
    assert changed["groupBy"] is None
    assert changed["eventFrom"] == metric["eventFrom"]
    for wrong in ({"valueProperty": None}, {"eventType": None}, {"aggregation": "MAX"}):
        assert (await client.patch(path, json=wrong)).status_code == 400
    assert (await client.get(path)).json() == changed


async def test_what_a_closed_period_billed_keeps_its_reading(
    client: Client, database: Database, product: Product
) -> None:
    async with database.transaction() as session:
        metric = await a_metric(session, product)
        plan = await a_plan(session, product)
        customer = await a_customer(session, product.merchant_id)
        subscription = await a_subscription(session, customer, plan)
        invoice = await an_invoice(session, subscription, status="ISSUED")
        line = InvoiceLine(
            id=new_id("li"),
            merchant_id=product.merchant_id,
            invoice_id=invoice.id,
            position=0,
            kind="metric",
            source_id=metric.id,
            display_name="Tokens",
            payment_term="in_arrears",
            period_start=START,
            period_end=START,
        )
        await stored(session, line)
    path = f"/v0/billableMetrics/{metric.id}"
    for change in ({"eventType": "other"}, {"valueProperty": "$.x"}):
        refused = await client.patch(path, json=change)
        assert (refused.status_code, refused.json()["code"]) == (409, "METRIC_IN_USE")
    same = await client.patch(path, json={"eventType": "llm", "unit": "k", "groupBy": {}})
    assert same.status_code == 200
    assert (await client.get(path)).json()["eventType"] == "llm"


async def test_another_merchant_sees_nothing(
    client: Client, stranger_client: Client, product: Product, stranger: CreatedMerchant
) -> None:
    metric = (await client.post("/v0/billableMetrics", json=body(product))).json()
    path = f"/v0/billableMetrics/{metric['id']}"
    window = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    for refused in (
        await stranger_client.get(path),
        await stranger_client.patch(path, json={"name": "x"}),
        await stranger_client.get(f"{path}/events", params=window),
        await stranger_client.get(f"{path}/meter", params=window),
        await stranger_client.post(
            "/v0/billableMetrics", json=body(product, merchantId=stranger.merchant_id)
        ),
    ):
        assert refused.status_code == 404
    assert (await stranger_client.get("/v0/billableMetrics")).json()["data"] == []
