"""Batches of events over HTTP: one entry an event, in order; what is refused is refused alone."""

import gzip
import json
from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from api import event_batches
from models.billable_metrics import BillableMetric
from models.database import Database
from tests.factories import a_metric, a_product

Client = httpx2.AsyncClient

PATH = "/v0/events/batch"
YEAR = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}


@pytest.fixture
async def metric(database: Database, merchant: CreatedMerchant) -> BillableMetric:
    async with database.transaction() as session:
        return await a_metric(session, await a_product(session, merchant.merchant_id))


def event(number: int, **members: Any) -> dict[str, Any]:
    return {
        "type": "llm",
        "source": "gateway",
        "subject": "cus_1",
        "data": {"tokens": number},
        "timestamp": "2026-03-01T00:00:00Z",
        "idempotencyKey": f"key-{number}",
        **members,
    }


async def send(client: Client, events: Any, **headers: str) -> list[dict[str, Any]]:
    content = events if isinstance(events, bytes) else json.dumps(events).encode()
    answer = await client.post(
        PATH, content=content, headers={"Content-Type": "application/json", **headers}
    )
    assert answer.status_code == 202, answer.text
    entries: list[dict[str, Any]] = answer.json()["data"]
    return entries


async def total(client: Client, metric: BillableMetric) -> Any:
    answer = await client.get(f"/v0/billableMetrics/{metric.id}/meter", params=YEAR)
    return answer.json()["totalValue"]


async def test_each_event_has_its_entry_in_order(client: Client, metric: BillableMetric) -> None:
    """1 + 2 + 4 are counted: the third is a duplicate, the fourth and fifth are refused."""
    events = [
        event(1),
        event(2, externalId="e_2"),
        event(1),
        event(3, type="unread"),
        event(5, extra=True),
        event(4),
    ]
    entries = await send(client, events)
    assert [entry["status"] for entry in entries] == [
        "created",
        "created",
        "duplicate",
        "refused",
        "refused",
        "created",
    ]
    assert entries[0]["event"] == entries[2]["event"]
    alone = await client.post("/v0/events", json=event(2))
    assert entries[1]["event"] == alone.json()
    for position in (3, 4):
        refused = await client.post("/v0/events", json=events[position])
        assert entries[position]["error"] == refused.json()
    assert await total(client, metric) == 7


async def test_a_batch_again_changes_nothing(client: Client, metric: BillableMetric) -> None:
    events = [event(number) for number in range(500)]
    first = await send(client, events)
    again = await send(client, list(reversed(events)))
    assert {entry["status"] for entry in first} == {"created"}
    assert {entry["status"] for entry in again} == {"duplicate"}
    assert [entry["event"] for entry in again] == [entry["event"] for entry in reversed(first)]
    assert await total(client, metric) == sum(range(500))


async def test_lines_and_gzip(client: Client, metric: BillableMetric) -> None:
    lines = b"\n".join(json.dumps(event(number)).encode() for number in (1, 2)) + b"\n\n"
    entries = await send(
        client,
        gzip.compress(lines, mtime=0),
        **{"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    )
    assert [entry["status"] for entry in entries] == ["created", "created"]
    broken = await send(
        client, lines + b"{no json}", **{"Content-Type": "application/x-ndjson; charset=utf-8"}
    )
    assert [entry["status"] for entry in broken] == ["duplicate", "duplicate", "refused"]
    assert broken[2]["error"]["error"] == "validation_error"
    assert await total(client, metric) == 3


async def test_ten_thousand_and_no_more(client: Client, metric: BillableMetric) -> None:
    events = [event(number) for number in range(event_batches.EVENTS_MAX)]
    entries = await send(client, events)
    assert len(entries) == event_batches.EVENTS_MAX
    assert await total(client, metric) == sum(range(event_batches.EVENTS_MAX))
    answer = await client.post(PATH, json=[*events, event(10_000)])
    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b"{}", {}, 400),
        (b"[{}", {}, 400),
        (b"[1,]", {}, 400),
        (b"\xff", {}, 400),
        (b"[]", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"[{}]", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * (17 * 2**20)), {"Content-Encoding": "gzip"}, 413),
        (b"[]", {"Content-Encoding": "br"}, 415),
        (b" " * (16 * 2**20 + 1), {}, 413),
        (b"[]", {"Authorization": "Bearer sk_test_0000000000000000"}, 401),
    ],
)
async def test_what_is_no_batch_is_refused_whole(
    client: Client, metric: BillableMetric, body: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    answer = await client.post(PATH, content=body, headers=sent)
    assert answer.status_code == status, answer.text
    assert len(answer.content) < 1000
    assert answer.headers["x-request-id"]


async def test_odd_entries_do_not_spoil_their_neighbors(
    client: Client, metric: BillableMetric
) -> None:
    odd = [
        b"null",
        b"7",
        b'"text"',
        json.dumps(event(2, data={"a": "\x00"})).encode(),
        json.dumps(event(3)).replace('"tokens": 3', '"tokens": 1e999').encode(),
        json.dumps(event(4, data={"a": "b" * 70_000})).encode(),
        json.dumps(event(5, namespace="org_other")).encode(),
        json.dumps(event(6, source="\ud83d\ude00")).encode(),
    ]
    body = b"[" + b",".join([json.dumps(event(1)).encode(), *odd, json.dumps(event(9)).encode()])
    entries = await send(client, body + b"]")
    statuses = [entry["status"] for entry in entries]
    assert statuses == ["created", *["refused"] * 7, "created", "created"]
    assert entries[7]["error"]["reason"] == "not_member"
    assert all(entry["error"]["message"] for entry in entries if entry["status"] == "refused")
    assert await total(client, metric) == 16


async def test_the_same_key_with_other_content_is_told_to_the_merchant(
    client: Client, stranger_client: Client, metric: BillableMetric
) -> None:
    (first,) = await send(client, [event(1)])
    other = event(1, data={"tokens": 100}, timestamp="2026-04-01T00:00:00Z")
    entries = [*await send(client, [other]), *await send(client, [other])]
    assert [entry["status"] for entry in entries] == ["duplicate", "duplicate"]
    assert [entry["event"] for entry in entries] == [first["event"]] * 2
    respelled = (await client.post("/v0/events", json=event(1))).json()
    assert respelled == first["event"]
    listed = (await client.get("/internal/v1/usageConflicts")).json()
    (conflict,) = listed["data"]
    assert conflict["eventId"] == first["event"]["id"]
    assert (conflict["data"], conflict["timesSeen"]) == ({"tokens": 100}, 2)
    assert conflict["timestamp"] == "2026-04-01T00:00:00Z"
    assert (await stranger_client.get("/internal/v1/usageConflicts")).json()["data"] == []
    assert await total(client, metric) == 1


async def test_without_timestamps_the_first_time_is_answered(
    client: Client, metric: BillableMetric
) -> None:
    unstamped = event(1)
    del unstamped["timestamp"]
    (first,) = await send(client, [unstamped])
    (again,) = await send(client, [unstamped])
    assert first["status"], again["status"] == ("created", "duplicate")
    assert first["event"] == again["event"]
    assert (await client.get("/internal/v1/usageConflicts")).json()["data"] == []
