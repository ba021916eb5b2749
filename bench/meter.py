"""What readings cost, in a table of a million events and of ten.

    BENCH_EVENTS=1000000,10000000 python -m bench meter

A subject has 5 000 events a month in both, so its month should cost the same in both.
"""

import asyncio
import os
import statistics
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import psycopg

from bench import stage
from bench.stage import Load
from models.database import Database
from models.queries import usage

ROUNDS = 5
PER_SUBJECT = 5_000
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
CHUNK = 250_000
# A chunk has subjects of its own, each with its events spread over the month.
FILL = """
INSERT INTO usage_events (
    id, timestamp, created_at, checksum, merchant_id, type, subject, source, idempotency_key,
    quantity, properties
)
SELECT md5('bench' || n)::uuid,
       timestamptz '2026-03-01' + (n - %(first)s) / %(subjects)s * interval '530 seconds',
       now(), 0, %(merchant)s, %(type)s,
       'cus_' || md5((%(first)s + n %% %(subjects)s)::text), 'bench', 'k' || n, 1 + n %% 4000,
       jsonb_build_object('tokens', 1 + n %% 4000, 'model', 'large')
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
PATH = "INSERT INTO usage_quantity_paths VALUES (%s, %s, '$.tokens') ON CONFLICT DO NOTHING"


def main() -> dict[str, Any]:
    sizes = [int(each) for each in os.environ.get("BENCH_EVENTS", "1000000,10000000").split(",")]
    results: dict[str, Any] = {}
    with stage.staged() as here:
        filled = 0
        for size in sizes:
            _fill(here, filled, size)
            filled = size
            results[str(size)] = asyncio.run(_read(here, size))
        results["underIngest"] = _under_ingest(here)
    first, last = (results[str(size)] for size in (sizes[0], sizes[-1]))
    ratios = {
        "events a CPU second, whole month": (last["wholeEventsPerCpuSecond"], ">= 5 M"),
        "one pair of 5 000 events, ms of PostgreSQL": (last["pairMs"], "<= 1"),
        "a subject's month, greatest / smallest table": (last["pairMs"] / first["pairMs"], "<= 2"),
        "meter query p99 under ingest / idle": (results["underIngest"]["ratio"], "<= 5"),
    }
    for name, (reached, target) in ratios.items():
        print(f"{name:48} {reached:14.2f}   {target}")
    return {"sizes": results, "ratios": ratios}


def _fill(here: stage.Stage, already: int, size: int) -> None:
    """Fills up to so many events."""
    merchant_id = here.merchant.merchant_id
    with psycopg.connect(here.url, autocommit=True) as connection:
        connection.execute(PATH, [merchant_id, stage.EVENT_TYPE])
        for first in range(already, size, CHUNK):
            values = {
                "subjects": CHUNK // PER_SUBJECT,
                "merchant": merchant_id,
                "type": stage.EVENT_TYPE,
                "first": first,
                "last": min(first + CHUNK, size) - 1,
            }
            connection.execute(FILL, values)
        connection.execute("VACUUM ANALYZE usage_events")


async def _read(here: stage.Stage, size: int) -> dict[str, float]:
    database = Database(here.url)
    selection = usage.Selection(here.merchant.merchant_id, here.metric, START, END)
    pair = usage.Selection(here.merchant.merchant_id, here.metric, START, END, _subject(here))
    whole_cpu, whole_ms = await _timed(here, database, selection, ROUNDS)
    pair_cpu, _ = await _timed(here, database, pair, 200)
    await database.close()
    return {
        "events": float(size),
        "wholeMs": whole_ms,
        "wholeEventsPerCpuSecond": size / whole_cpu,
        "pairMs": pair_cpu * 1000,
    }


def _subject(here: stage.Stage) -> str:
    with psycopg.connect(here.url) as connection:
        found = connection.execute("SELECT subject FROM usage_events LIMIT 1").fetchone()
    assert found is not None
    return str(found[0])


async def _timed(
    here: stage.Stage, database: Database, selection: usage.Selection, times: int
) -> tuple[float, float]:
    """CPU seconds of PostgreSQL and milliseconds of wall time for one reading."""

    async def once() -> None:
        async with database.transaction() as session:
            assert await usage.total(session, selection) > 0

    return await _each(here, once, times)


async def _each(
    here: stage.Stage, once: Callable[[], Awaitable[None]], times: int
) -> tuple[float, float]:
    for _ in range(min(times, 10)):
        await once()
    rounds = []
    for _ in range(3):
        cpu, began = here.postgres_seconds(), time.perf_counter()
        for _ in range(times):
            await once()
        elapsed = time.perf_counter() - began
        rounds.append(((here.postgres_seconds() - cpu) / times, elapsed / times * 1000))
    return (
        statistics.median(each[0] for each in rounds),
        statistics.median(each[1] for each in rounds),
    )


def _under_ingest(here: stage.Stage) -> dict[str, float]:
    """A subject's meter query over HTTP, alone and while 16 connections send events."""
    with stage.serving("api", here.url) as api:
        idle = _p99(here, api)
        load = Load(connections=16, seconds=8)
        sending = threading.Thread(target=load.send, args=(api, here.merchant.api_key))
        sending.start()
        time.sleep(1)
        busy = _p99(here, api)
        sending.join()
    return {"idleP99Ms": idle, "busyP99Ms": busy, "ratio": busy / idle}


def _p99(here: stage.Stage, api: stage.Server) -> float:
    taken = []
    query = {"from": START.isoformat(), "to": END.isoformat(), "subject": _subject(here)}
    with httpx2.Client(headers={"Authorization": f"Bearer {here.merchant.api_key}"}) as client:
        url = f"http://127.0.0.1:{api.port}/v0/billableMetrics/{here.metric.id}/meter"
        for _ in range(300):
            began = time.perf_counter()
            assert client.get(url, params=query).status_code == 200
            taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) * 99 // 100] * 1000
