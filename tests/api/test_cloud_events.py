"""CloudEvents over HTTP in its three modes: structured, binary and batched."""

import json
from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.billable_metrics import BillableMetric
from models.database import Database
from tests.factories import a_metric, a_product

Client = httpx2.AsyncClient

STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "llm",
    "source": "/gateways/1",
    "id": "a-1",
    "time": "2026-03-01T00:00:00Z",
    "subject": "cus_1",
    "datacontenttype": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "externalsubject": "ext-1",
    "data": {"tokens": 5},
}
BINARY = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "llm",
    "ce-source": "/gateways/1",
    "ce-id": "a-1",
    "ce-time": "2026-03-01T00:00:00Z",
    "ce-subject": "cus_1",
    "ce-externalsubject": "ext-1",
}


@pytest.fixture
async def metric(database: Database, merchant: CreatedMerchant) -> BillableMetric:
    async with database.transaction() as session:
        return await a_metric(session, await a_product(session, merchant.merchant_id))


async def test_all_modes_are_the_same_event(client: Client, metric: BillableMetric) -> None:
    native = {
        "type": "llm",
        "source": "/gateways/1",
        "subject": "cus_1",
        "externalSubject": "ext-1",
        "timestamp": "2026-03-01T00:00:00Z",
        "idempotencyKey": "a-1",
        "data": {"tokens": 5},
    }
    first = await client.post("/v0/events", json=native)
    structured = await client.post("/v0/events", content=json.dumps(EVENT), headers=STRUCTURED)
    binary = await client.post("/v0/events", content=b'{"tokens": 5}', headers=BINARY)
    batched = await client.post(
        "/v0/events/batch",
        content=json.dumps([EVENT]),
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )
    assert first.status_code == structured.status_code == binary.status_code == 202
    assert first.json() == structured.json() == binary.json()
    assert batched.json()["data"] == [{"status": "duplicate", "event": first.json()}]
    assert (await client.get("/internal/v1/usageConflicts")).json()["data"] == []


async def test_binary_attributes_are_unescaped(client: Client, metric: BillableMetric) -> None:
    headers = {**BINARY, "ce-subject": "caf%C3%A9%20%E2%98%83", "ce-id": "b"}
    answer = await client.post("/v0/events", content=b'{"tokens": 1}', headers=headers)
    assert answer.json()["subject"] == "café ☃"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"type": None}, "type"),
        ({"source": None}, "source"),
        ({"data": None}, "data"),
        ({"data": "text"}, "data"),
        ({"time": "yesterday"}, "timestamp"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"data_base64": "e30="}, "data_base64"),
    ],
)
async def test_wrong_structured_events(
    client: Client, metric: BillableMetric, changes: dict[str, Any], field: str
) -> None:
    event = {k: v for k, v in {**EVENT, **changes}.items() if v is not None}
    answer = await client.post("/v0/events", content=json.dumps(event), headers=STRUCTURED)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    batched = await client.post(
        "/v0/events/batch",
        content=json.dumps([event]),
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )
    assert batched.json()["data"] == [{"status": "refused", "error": answer.json()}]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"ce-subject": "%ff"}, b"{}"),
        ({"Content-Type": "text/plain"}, b"{}"),
        ({"ce-specversion": "2.0"}, b"{}"),
        ({}, b"not json"),
        ({}, b""),
    ],
)
async def test_wrong_binary_events(
    client: Client, metric: BillableMetric, headers: dict[str, str], body: bytes
) -> None:
    answer = await client.post("/v0/events", content=body, headers={**BINARY, **headers})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "validation_error"


async def test_an_unknown_type_is_422_in_all_modes(client: Client, metric: BillableMetric) -> None:
    answer = await client.post(
        "/v0/events", content=json.dumps({**EVENT, "type": "unread"}), headers=STRUCTURED
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "UNKNOWN_EVENT_TYPE")
