"""The fast lane takes what the documented route takes, and refuses what it refuses, word by word.

The twin is the same app without the lane. Both are sent the same body, the lane first: what it
stored is a duplicate to its twin, so answers are equal, and content read otherwise is a conflict.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.organizations import CreatedMerchant
from api.app import create_app
from api.event_lane import PATH, EventLane
from api.fast_lane import Answer, Arrived
from models.database import Database
from settings import Settings
from tests.conftest import client_of
from tests.factories import a_metric, a_product

Client = httpx2.AsyncClient

USUAL: dict[str, Any] = {
    "type": "llm",
    "source": "gateway",
    "subject": "cus_1",
    "data": {"tokens": 5, "model": "large", "nested": {"list": [1, 2.50, None, True]}},
    "timestamp": "2026-03-01T00:00:00.125Z",
    "idempotencyKey": "key",
}
# Each changes some members; None takes one away.
VARIANTS: list[dict[str, Any]] = [
    {},
    {"externalSubject": "ext-1"},
    {"subject": None, "externalSubject": "ext-1"},
    {"subject": None},
    {"externalId": "e_1-2"},
    {"externalId": "no spaces"},
    {"externalId": ""},
    {"source": ""},
    {"source": "ü" * 255},
    {"source": "s" * 256},
    {"source": "a\tb"},
    {"source": "a\u00a0b"},
    {"source": "a\u2028b"},
    {"source": "\ud800"},
    {"type": "unread"},
    {"type": 5},
    {"type": None},
    {"timestamp": "2026-03-01T01:30:00+01:30"},
    {"timestamp": "2026-03-01t00:00:00z"},
    {"timestamp": "2026-03-01T00:00:00"},
    {"timestamp": "2026-03-01"},
    {"timestamp": "20260301T000000Z"},
    {"timestamp": "2026-03-01T24:00:00Z"},
    {"timestamp": "0001-01-01T00:00:00+05:00"},
    {"timestamp": "9999-12-31T23:59:59Z"},
    {"timestamp": 1767225600},
    {"timestamp": True},
    {"namespace": "org_other"},
    {"namespace": "prod_1"},
    {"idempotencyKey": ""},
    {"idempotencyKey": 7},
    {"unknown": 1},
    {"data": {}},
    {"data": []},
    {"data": "text"},
    {"data": {"tokens": "12.5"}},
    {"data": {"tokens": "1e3"}},
    {"data": {"a": "b" * 70_000}},
    {"data": {"a": "\x00"}},
    {"data": {"\x00": 1}},
    {"data": {"a": "é\u2603\U0001f600"}},
]
NUMBERS = (
    "0",
    "-0",
    "-0.0",
    "1.50",
    "1e3",
    "1E+2",
    "1e-7",
    "1e99",
    "1e100",
    "1e101",
    "12e100",
    "0.1e101",
    "1e400",
    "1e-99999",
    "NaN",
    "Infinity",
    "01",
    "1.",
    "+1",
    "1" * 89,
    "1" * 101,
    "1" * 102,
    "1" * 401,
    "0." + "1" * 300,
    "18446744073709551616",
    "12345678901234567890.123456789012345678",
)
WHOLE = (
    b"",
    b"null",
    b"[]",
    b"{",
    b"{}",
    b"\xff",
    b"\xef\xbb\xbf{}",
    json.dumps(USUAL).encode() + b"x",
    json.dumps(USUAL).encode() + b" \n",
    json.dumps(USUAL).encode().replace(b'"source": "gateway"', b'"source": "x", "source": "gate"'),
    json.dumps(USUAL, ensure_ascii=True).encode().replace(b"large", b"\\u00e9"),
    json.dumps(USUAL).encode().replace(b"large", b"\xff"),
    json.dumps(USUAL).encode().replace(b"large", b"\xc3\xa9"),
    json.dumps(USUAL).encode().replace(b'{"tokens"', b'{"a":' * 40 + b"1" + b"}" * 40 + b',"x"'),
    b'{"data": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}",
)


def corpus() -> list[bytes]:
    bodies = [
        json.dumps({k: v for k, v in {**USUAL, **changes}.items() if v is not None}).encode()
        for changes in VARIANTS
    ]
    bodies += [
        json.dumps(USUAL).encode().replace(b'"tokens": 5', b'"tokens": ' + number.encode())
        for number in NUMBERS
    ]
    return [*bodies, *WHOLE]


class Twins:
    """The lane's app and the other, with one merchant's key."""

    lane: Client
    twin: Client
    merchant_id: str

    async def compare(self, body: bytes, content_type: str = "application/json") -> int:
        """Both answer alike; the status."""
        headers = {"Content-Type": content_type, "X-Request-Id": "same"}
        mine = await self.lane.post(PATH, content=body, headers=headers)
        theirs = await self.twin.post(PATH, content=body, headers=headers)
        told = (mine.status_code, mine.headers["x-request-id"], mine.headers["content-type"])
        assert told == (
            theirs.status_code,
            theirs.headers["x-request-id"],
            theirs.headers["content-type"],
        ), (mine.text, theirs.text)
        assert _told(mine) == _told(theirs)
        return mine.status_code

    async def conflicts(self) -> int:
        answer = await self.lane.get("/internal/v1/usageConflicts")
        return int(answer.json()["pagination"]["total"])


def _told(answer: httpx2.Response) -> Any:
    """What an answer says; without a key or a timestamp each event has its own."""
    told = answer.json()
    if answer.status_code == 202 and not answer.request.content.count(b'"key"'):
        return {**told, "id": "", "idempotencyKey": "", "timestamp": ""}
    return told


@pytest.fixture
async def twins(database: Database, merchant: CreatedMerchant) -> AsyncIterator[Twins]:
    made = Twins()
    made.merchant_id = merchant.merchant_id
    async with database.transaction() as session:
        await a_metric(session, await a_product(session, merchant.merchant_id))
    app = create_app(Settings(), database=database)
    headers = {"Authorization": f"Bearer {merchant.api_key}"}
    without = httpx2.ASGITransport(app=app)
    async with client_of(app, merchant.api_key) as lane:
        async with httpx2.AsyncClient(
            transport=without, base_url="http://durabill.test", headers=headers
        ) as twin:
            made.lane, made.twin = lane, twin
            # The first event of a caller and a type always takes the other way.
            assert (await lane.post(PATH, json={**USUAL, "idempotencyKey": "0"})).status_code == 202
            yield made


async def test_the_corpus_is_taken_and_refused_alike(twins: Twins) -> None:
    statuses = set()
    for number, body in enumerate(corpus()):
        # Each has a source of its own: another variant is another event.
        own = body.replace(b'"gateway"', b'"gateway%d"' % number)
        statuses.add(await twins.compare(own))
    assert statuses == {202, 400, 403, 422}
    assert await twins.conflicts() == 0


async def test_a_content_type_that_is_not_json_is_refused_alike(twins: Twins) -> None:
    for content_type in ("text/plain", "application/xml", "application/json; charset=utf-8", ""):
        await twins.compare(json.dumps(USUAL).encode(), content_type)


tokens = st.sampled_from(
    [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u00", b"e9", b"null", b"0", b"-", b"\x7f"]
)


# One merchant for all examples: each damaged body is an event of its own, or none.
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(at=st.integers(0, 250), cut=st.integers(0, 4), put=st.one_of(tokens, st.binary(max_size=2)))
async def test_damaged_bodies_are_taken_and_refused_alike(
    twins: Twins, at: int, cut: int, put: bytes
) -> None:
    text = json.dumps(USUAL).encode()
    await twins.compare(text[:at] + put + text[at + cut :])


async def test_usual_events_do_take_the_lane(
    database: Database, app: FastAPI, client: Client, merchant: CreatedMerchant
) -> None:
    async with database.transaction() as session:
        await a_metric(session, await a_product(session, merchant.merchant_id))
    assert (await client.post(PATH, json=USUAL)).status_code == 202
    state = app.state
    lane = EventLane(state.key_ring, state.event_types, state.committer)
    headers = {
        b"content-type": b"application/json",
        b"authorization": b"Bearer " + merchant.api_key.encode(),
    }
    arrived = Arrived({}, headers, json.dumps(USUAL).encode())
    answer = await lane(arrived)
    assert isinstance(answer, Answer)
    assert json.loads(answer.body) == (await client.post(PATH, json=USUAL)).json()
    for changed in (
        {**headers, b"authorization": merchant.api_key.encode()},
        {**headers, b"authorization": b"Bearer sk_test_0000000000000000"},
        {**headers, b"content-type": b"text/plain"},
    ):
        assert isinstance(await lane(Arrived({}, changed, arrived.body)), Arrived)
