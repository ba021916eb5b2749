"""Many periods that end at the same instant, through all workflows: on a test clock, in wall time.

    BENCH_WAVE=10000 python -m bench wave

Each subscription has five prices with usage. Nobody has a card, so each invoice ends as one that
waits for its page to be paid. In wall time the instant is a while after the last of them began.
"""

import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from temporalio.client import Client

from bench import crowd
from bench.crowd import Sold
from bench.parts import Parts
from local.demo import stack
from models.database import Database
from workflows.payloads import DATA_CONVERTER

COUNT = int(os.environ.get("BENCH_WAVE", "300"))
EVENTS_PER_METRIC = 10
ASKED, ASKED_IDLE = 40, 10
"""How many other subscriptions a caller changes, one after the other; before the wave."""
PACE_MARGIN = 1.6
"""How much longer than the first of them the others may take to begin, in wall time."""
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
GRACE = timedelta(hours=24)
SETTLES_WITHIN = timedelta(seconds=120) + COUNT * timedelta(seconds=0.5)
ISSUED = """
SELECT count(*) FILTER (WHERE issued_at IS NOT NULL),
       percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
           ORDER BY extract(epoch FROM updated_at - %(end)s)
       ) FILTER (WHERE issued_at IS NOT NULL)
FROM invoices WHERE subscription_id = ANY(%(subscriptions)s) AND sequence_number = 0
"""

UNSENT = "SELECT FROM outbox WHERE sent_at IS NULL LIMIT 1"


def main() -> dict[str, Any]:
    results: dict[str, Any] = {"subscriptions": COUNT}
    for name, way in WAYS.items():
        results[name] = _run(way)
        for figure, value in sorted(results[name].items()):
            print(f"{name:6} {figure:24} {value:12.2f}", flush=True)
    return results


def _run(
    way: Callable[[dict[str, str], Database], Awaitable[dict[str, float]]],
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as addresses:

        async def run() -> dict[str, float]:
            database = Database(addresses["databaseUrl"])
            try:
                return await way(addresses, database)
            finally:
                await database.close()

        return asyncio.run(run())


def _client(addresses: dict[str, str]) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {addresses['apiKey']}"}
    return httpx2.AsyncClient(base_url=addresses["apiUrl"], headers=headers, timeout=None)


async def _on_a_clock(addresses: dict[str, str], database: Database) -> dict[str, float]:
    async with _client(addresses) as client:
        plan = await crowd.catalogue(client, addresses["merchantId"], clock_at=START)
        sold = await _sold(addresses, database, plan, START)
        with _measured(sold) as figures:
            answer = await client.patch(
                f"/v0/testClocks/{sold.clock_id}",
                json={"currentTime": (END + GRACE).isoformat()},
            )
            answer.raise_for_status()
        issued, _ = _issued(addresses, sold, END)
        assert issued == COUNT, f"{issued} of {COUNT} invoices are issued"
    return figures | await _histories(addresses, sold)


async def _in_wall_time(addresses: dict[str, str], database: Database) -> dict[str, float]:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE merchants SET grace_period = 'PT0S'")
    async with _client(addresses) as client:
        plan = await crowd.catalogue(client, addresses["merchantId"], clock_at=None)
        began = datetime.now(UTC).replace(microsecond=0)
        others = await crowd.subscribed(database, plan, began, ASKED, first=COUNT)
        pace = (datetime.now(UTC) - began) / ASKED
        end = began + timedelta(seconds=40) + COUNT * PACE_MARGIN * pace
        sold = await _sold(addresses, database, plan, _a_month_before(end))
        assert datetime.now(UTC) < end, "it took longer to begin than was expected"
        idle = [await _change(client, each) for each in others.subscriptions[-ASKED_IDLE:]]
        await asyncio.sleep((end - datetime.now(UTC)).total_seconds())
        waits: list[float] = []
        with _measured(sold) as figures:
            for subscription_id in others.subscriptions[:-ASKED_IDLE]:
                waits.append(await _change(client, subscription_id))
                if _issued(addresses, sold, end)[0] == COUNT:
                    break
                await asyncio.sleep(max(0.0, 1.0 - waits[-1]))
            await _all_issued(addresses, sold, end)
        _, delays = _issued(addresses, sold, end)
    figures |= dict(zip(("delayP50", "delayP99", "delayMost"), delays, strict=True))
    figures["changeIdleMs"] = statistics.median(idle) * 1000
    figures["changeP50Ms"] = statistics.median(waits) * 1000
    figures["changeMostMs"] = max(waits) * 1000
    return figures | await _histories(addresses, sold)


async def _change(client: httpx2.AsyncClient, subscription_id: str) -> float:
    """How many seconds a caller waits for a change of another subscription."""
    began = time.perf_counter()
    answer = await client.patch(f"/v0/subscriptions/{subscription_id}", json={"paymentTermDays": 9})
    answer.raise_for_status()
    return time.perf_counter() - began


async def _all_issued(addresses: dict[str, str], sold: Sold, end: datetime) -> None:
    until = datetime.now(UTC) + SETTLES_WITHIN
    while (issued := _issued(addresses, sold, end)[0]) < COUNT:
        assert datetime.now(UTC) < until, f"{issued} of {COUNT} are issued"
        await asyncio.sleep(0.5)


WAYS = {"clock": _on_a_clock, "wall": _in_wall_time}


def _a_month_before(end: datetime) -> datetime:
    month = 12 if end.month == 1 else end.month - 1
    return end.replace(year=end.year - (end.month == 1), month=month)


async def _sold(
    addresses: dict[str, str], database: Database, plan: crowd.Plan, start: datetime
) -> Sold:
    """Everybody subscribed, with usage, and every workflow started and at rest."""
    sold = await crowd.subscribed(database, plan, start, COUNT)
    crowd.use(addresses["databaseUrl"], sold, start, events_per_metric=EVENTS_PER_METRIC)
    await asyncio.to_thread(_await_starts, addresses["databaseUrl"])
    return sold


def _await_starts(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(UNSENT).fetchone():
            time.sleep(0.2)


def _issued(addresses: dict[str, str], sold: Sold, end: datetime) -> tuple[int, list[float]]:
    """How many of the invoices are issued, and how long after the instant."""
    values = {"end": end, "subscriptions": sold.subscriptions}
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        row = connection.execute(ISSUED, values).fetchone()
    assert row is not None
    return int(row[0]), [float(each) for each in row[1] or ()]


@contextmanager
def _measured(sold: Sold) -> Iterator[dict[str, float]]:
    """CPU by part and seconds of what happens inside; the most memory of the worker."""
    parts = Parts.found()
    figures: dict[str, float] = {"workerMibBefore": parts.worker_mib()}
    peak, over = [figures["workerMibBefore"]], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            peak.append(parts.worker_mib())

    watching = threading.Thread(target=watch)
    watching.start()
    before, began = parts.cpu(), time.perf_counter()
    try:
        yield figures
    finally:
        elapsed = time.perf_counter() - began
        spent = parts.cpu_since(before)
        over.set()
        watching.join()
    closes = len(sold.subscriptions)
    figures |= {f"{name}MsPerClose": each / closes * 1000 for name, each in spent.items()}
    figures["seconds"] = elapsed
    figures["invoicesPerSecond"] = closes / elapsed
    figures["workerMibMost"] = max(peak)


async def _histories(addresses: dict[str, str], sold: Sold) -> dict[str, float]:
    """Events of Temporal's histories for one close, of all the workflows that take part."""
    client = await Client.connect(addresses["temporalAddress"], data_converter=DATA_CONVERTER)
    first = sold.subscriptions[0]

    async def events(workflow_id: str) -> float:
        described = await client.get_workflow_handle(workflow_id).describe()
        return float(described.history_length)

    return {
        "subscriptionEvents": await events(f"subscription/{first}"),
        "closeEvents": await events(f"invoice-close/{first}/0"),
    }
