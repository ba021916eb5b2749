"""Senders of events with a book of their own; they ask a server that is away again."""

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import psycopg

from tests.scenario.conftest import Addresses, durabill

SENDERS = 12
BATCH_SENDERS = 2
BATCH = 50
AWAY_SECONDS_MAX = 60


@dataclass
class Book:
    """What the senders know: every key they used, and those that were acknowledged."""

    sent: dict[str, int] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    failures: int = 0
    refusals: list[str] = field(default_factory=list)


def a_merchant(addresses: Addresses) -> dict[str, Any]:
    """A merchant of its own."""
    made = durabill(addresses, "merchant", "create", "--name", "Ingest", "--json")
    told: dict[str, Any] = json.loads(made.stdout)
    return told


def a_metric(addresses: Addresses, merchant: dict[str, Any]) -> str:
    """The sum of what the senders send."""
    headers = {"Authorization": f"Bearer {merchant['apiKey']}"}
    with httpx2.Client(base_url=addresses["apiUrl"], headers=headers) as client:
        product = client.post(
            "/v0/products",
            json={"merchantId": merchant["merchantId"], "name": "T", "description": "d"},
        ).json()
        metric = client.post(
            "/v0/billableMetrics",
            json={
                "merchantId": merchant["merchantId"],
                "productId": product["id"],
                "name": "Tokens",
                "description": "d",
                "unit": "token",
                "aggregation": "SUM",
                "eventType": "llm",
                "valueProperty": "$.tokens",
            },
        )
    assert metric.status_code == 201, metric.text
    return str(metric.json()["id"])


def _event(key: str, amount: int) -> dict[str, Any]:
    return {
        "type": "llm",
        "source": "fault",
        "subject": "cus_fault",
        "timestamp": "2026-03-01T00:00:00Z",
        "idempotencyKey": key,
        "data": {"tokens": amount},
    }


async def _send(client: httpx2.AsyncClient, book: Book, keys: list[str]) -> None:
    """Sends until it is acknowledged; a server that is away is asked again, but not for ever."""
    asked_until = time.monotonic() + AWAY_SECONDS_MAX
    path = "/v0/events" if len(keys) == 1 else "/v0/events/batch"
    events = [_event(key, book.sent[key]) for key in keys]
    body: Any = events[0] if len(keys) == 1 else events
    while time.monotonic() < asked_until:
        try:
            answer = await client.post(path, json=body)
        except httpx2.TransportError:
            book.failures += 1
            await asyncio.sleep(0.05)
            continue
        if answer.status_code == 202:
            book.acknowledged.update(keys)
            return
        book.failures += 1
        if answer.status_code not in {429, 503}:
            book.refusals.append(f"{answer.status_code} {answer.text[:200]}")
            return
        assert answer.headers["retry-after"]
        await asyncio.sleep(0.05)
    book.refusals.append(f"no answer within {AWAY_SECONDS_MAX} s")


async def _sender(
    client: httpx2.AsyncClient, book: Book, name: str, size: int, until: float
) -> None:
    number = 0
    while time.monotonic() < until:
        keys = [f"{name}-{number + each}" for each in range(size)]
        number += size
        book.sent.update({key: 1 + len(key) % 7 + number % 1000 for key in keys})
        await _send(client, book, keys)


T = TypeVar("T")


async def send_for(
    seconds: float, addresses: Addresses, api_key: str, meanwhile: Coroutine[Any, Any, T]
) -> tuple[Book, T]:
    """The book of senders that sent so long while something else happened."""
    book = Book()
    until = time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx2.AsyncClient(
        base_url=addresses["apiUrl"], headers=headers, timeout=30
    ) as client:
        senders = [_sender(client, book, f"one{number}", 1, until) for number in range(SENDERS)] + [
            _sender(client, book, f"many{number}", BATCH, until) for number in range(BATCH_SENDERS)
        ]
        happening = asyncio.create_task(meanwhile)
        await asyncio.gather(*senders)
        return book, await happening


def check_stored(
    addresses: Addresses, merchant: dict[str, Any], metric_id: str, book: Book
) -> None:
    """Everything in the book is stored once and whole, and the meter adds up to it."""
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        rows = connection.execute(
            "SELECT idempotency_key, (properties->>'tokens')::int, quantity FROM usage_events "
            "WHERE merchant_id = %s",
            [merchant["merchantId"]],
        ).fetchall()
    stored = {key: amount for key, amount, _ in rows}
    assert len(rows) == len(stored)
    assert stored == book.sent
    assert book.acknowledged == set(stored)
    assert all(quantity == amount for _, amount, quantity in rows)
    window = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    meter = httpx2.get(
        f"{addresses['apiUrl']}/v0/billableMetrics/{metric_id}/meter",
        params=window,
        headers={"Authorization": f"Bearer {merchant['apiKey']}"},
        timeout=30,
    )
    assert meter.json()["totalValue"] == sum(book.sent.values())
