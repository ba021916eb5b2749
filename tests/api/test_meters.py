"""Meter queries and lists of events over HTTP; the aggregation itself is a property elsewhere."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from msgspec import Raw

from activities.organizations import CreatedMerchant
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.database import Database
from models.event_rows import EventRow
from tests.activity.usage import appended
from tests.factories import a_customer, a_metric, a_product

Client = httpx2.AsyncClient

START = datetime(2026, 1, 31, 22, tzinfo=UTC)
WINDOW = {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}


class Meter:
    """A metric with two dimensions, and a customer known by an external id too."""

    metric: BillableMetric
    customer: Customer


@pytest.fixture
async def meter(database: Database, merchant: CreatedMerchant) -> Meter:
    """Three hourly events across a month's end: 1 and 2 of model a, 10 of model b."""
    made = Meter()
    async with database.transaction() as session:
        product = await a_product(session, merchant.merchant_id)
        dimensions = {"model": "$.model", "region": "$.region"}
        made.metric = await a_metric(session, product, group_by=dimensions)
        made.customer = await a_customer(session, merchant.merchant_id, external_id="ext-1")
        events = [
            an_event(made, 0, {"tokens": 1, "model": "a"}, subject=made.customer.id),
            an_event(made, 1, {"tokens": 10, "model": "b"}, external_subject="ext-1"),
            an_event(made, 2, {"tokens": 2, "model": "a"}, subject="other"),
        ]
        assert await appended(session, events) == [True, True, True]
    return made


def an_event(meter: Meter, hours: int, data: dict[str, Any], **fields: Any) -> EventRow:
    defaults: dict[str, Any] = {
        "source": "s",
        "idempotency_key": str(hours),
        "type": "llm",
        "subject": None,
        "external_subject": None,
        "external_id": None,
    }
    return EventRow(
        merchant_id=meter.metric.merchant_id,
        timestamp=START + timedelta(hours=hours),
        properties=Raw(json.dumps(data)),
        **defaults | fields,
    )


async def read(client: Client, meter: Meter, **query: Any) -> dict[str, Any]:
    path = f"/v0/billableMetrics/{meter.metric.id}/meter"
    answer = await client.get(path, params=WINDOW | query)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read


async def test_the_total(client: Client, meter: Meter) -> None:
    assert await read(client, meter) == {
        "object": "meter",
        "billableMetricId": meter.metric.id,
        "totalValue": 13,
    }


async def test_from_is_included_and_to_is_not(client: Client, meter: Meter) -> None:
    window = {"from": "2026-01-31T22:00:00", "to": "2026-02-01T01:00:00+01:00"}
    assert (await read(client, meter, **window))["totalValue"] == 11


async def test_a_subject_includes_what_its_external_id_reported(
    client: Client, meter: Meter
) -> None:
    assert (await read(client, meter, subject=meter.customer.id))["totalValue"] == 11
    assert (await read(client, meter, subject="ext-1"))["totalValue"] == 10
    assert (await read(client, meter, subject="nobody"))["totalValue"] == 0


@pytest.mark.parametrize(
    ("size", "windows"),
    [
        ("HOUR", [("2026-01-31T22:00:00Z", "2026-01-31T23:00:00Z", 1),
                  ("2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", 10),
                  ("2026-02-01T00:00:00Z", "2026-02-01T01:00:00Z", 2)]),
        ("DAY", [("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z", 11),
                 ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", 2)]),
        ("MONTH", [("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 11),
                   ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", 2)]),
    ],
)  # fmt: skip
async def test_windows_are_utc_aligned_and_empty_ones_left_out(
    client: Client, meter: Meter, size: str, windows: Sequence[tuple[str, str, int]]
) -> None:
    reading = await read(client, meter, windowSize=size)
    assert reading["totalValue"] == 13
    assert [
        (window["windowStart"], window["windowEnd"], window["value"])
        for window in reading["windowedValues"]
    ] == windows


async def test_groups_come_greatest_first(client: Client, meter: Meter) -> None:
    reading = await read(client, meter, groupBy="model")
    assert reading["groupedValues"] == [
        {"groupBy": {"model": "b"}, "value": 10, "eventCount": 1},
        {"groupBy": {"model": "a"}, "value": 3, "eventCount": 2},
    ]
    assert "groupCount" not in reading
    by_subject = await read(client, meter, groupBy="subject,region")
    assert by_subject["groupedValues"] == [
        {"groupBy": {"subject": meter.customer.id, "region": ""}, "value": 11, "eventCount": 2},
        {"groupBy": {"subject": "other", "region": ""}, "value": 2, "eventCount": 1},
    ]


async def test_group_limit_pages_and_counts(client: Client, meter: Meter) -> None:
    for offset, models in ((0, ["b"]), (1, ["a"]), (2, [])):
        reading = await read(client, meter, groupBy="model", groupLimit=1, groupOffset=offset)
        assert [group["groupBy"]["model"] for group in reading["groupedValues"]] == models
        assert reading["groupCount"] == 2
        assert reading["totalValue"] == 13


async def test_windows_and_groups_run_in_parallel(client: Client, meter: Meter) -> None:
    reading = await read(client, meter, groupBy="model", windowSize="HOUR")
    cells = zip(reading["groupedValues"], reading["windowedValues"], strict=True)
    assert [
        (group["groupBy"]["model"], window["windowStart"], group["value"], window["value"])
        for group, window in cells
    ] == [
        ("b", "2026-01-31T23:00:00Z", 10, 10),
        ("a", "2026-01-31T22:00:00Z", 1, 1),
        ("a", "2026-02-01T00:00:00Z", 2, 2),
    ]
    limited = await read(client, meter, groupBy="model", windowSize="HOUR", groupLimit=1)
    assert [group["groupBy"]["model"] for group in limited["groupedValues"]] == ["b"]
    assert limited["groupCount"] == 2
    beyond = {"groupBy": "model", "windowSize": "HOUR", "groupLimit": 1, "groupOffset": 9}
    assert (await read(client, meter, **beyond))["windowedValues"] == []


async def test_filters_narrow_the_total_too(client: Client, meter: Meter) -> None:
    for filters, total in (
        ({"model": "a"}, 3),
        ({"model": ["a", "b"], "subject": meter.customer.id}, 11),
        ({"model": []}, 0),
        ({}, 13),
    ):
        reading = await read(client, meter, filterGroupBy=json.dumps(filters))
        assert reading["totalValue"] == total


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": None}, "from"),
        ({"to": "2026-01-01T00:00:00Z"}, "to"),
        ({"to": "x"}, "to"),
        ({"windowSize": "WEEK"}, "windowSize"),
        ({"windowSize": "MINUTE", "from": "2000-01-01T00:00:00Z"}, "windowSize"),
        ({"groupBy": "nope"}, "groupBy"),
        ({"groupBy": ""}, "groupBy"),
        ({"groupLimit": 0}, "groupLimit"),
        ({"groupLimit": 501}, "groupLimit"),
        ({"groupOffset": 100_001}, "groupOffset"),
        ({"filterGroupBy": "{"}, "filterGroupBy"),
        ({"filterGroupBy": "[]"}, "filterGroupBy"),
        ({"filterGroupBy": '{"nope": "a"}'}, "filterGroupBy"),
        ({"filterGroupBy": '{"model": 1}'}, "filterGroupBy"),
        ({"filterGroupBy": '{"model": "\\u0000"}'}, "filterGroupBy"),
        ({"filterGroupBy": '{"model": "\\ud800"}'}, "filterGroupBy"),
    ],
)
async def test_wrong_queries(
    client: Client, meter: Meter, query: dict[str, Any], field: str
) -> None:
    params = {name: value for name, value in (WINDOW | query).items() if value is not None}
    answer = await client.get(f"/v0/billableMetrics/{meter.metric.id}/meter", params=params)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_events_are_listed_newest_first(client: Client, meter: Meter) -> None:
    path = f"/v0/billableMetrics/{meter.metric.id}/events"
    listed = (await client.get(path, params=WINDOW)).json()
    assert listed["object"] == "list"
    assert [event["data"]["tokens"] for event in listed["events"]] == [2, 10, 1]
    assert [event["subject"] for event in listed["events"]] == [
        "other",
        "ext-1",
        meter.customer.id,
    ]
    assert listed["pagination"] == {"limit": 20, "offset": 0, "total": 3}
    paged = (await client.get(path, params=WINDOW | {"limit": 200, "offset": 2})).json()
    assert [event["data"]["tokens"] for event in paged["events"]] == [1]
    narrowed = (await client.get(path, params=WINDOW | {"externalSubject": "ext-1"})).json()
    assert [event["data"]["tokens"] for event in narrowed["events"]] == [10]
    own = (await client.get(path, params=WINDOW | {"subject": meter.customer.id})).json()
    assert own["pagination"]["total"] == 2
    wrongs: list[dict[str, Any]] = [{"limit": 201}, {"externalId": "a b"}]
    for wrong in wrongs:
        assert (await client.get(path, params=WINDOW | wrong)).status_code == 400
