"""Events in: the endpoints against the server's null handler and PostgreSQL's own ways in.

Every figure is a median of interleaved rounds of one run; judge the ratios, not the rates.
"""

import asyncio
import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from bench import stage
from bench.load import event
from bench.stage import Load
from models.database import Database
from models.event_rows import EventRow
from models.queries import usage_appends

ROUNDS = 3
SECONDS = 2.0
BATCH = 1_000
RAW_BATCHES = 40
_numbers = itertools.count()


def main() -> dict[str, Any]:
    with stage.staged() as here, stage.serving("api", here.url) as api:
        with stage.serving("null", here.url) as null, stage.serving("alone", here.url) as alone:
            _warm(here, api, alone)
            _copy_table(here)
            rounds = [_round(here, api, null, alone) for _ in range(ROUNDS)]
        figures = stage.medians(rounds)
        figures["apiMemoryMib"] = api.memory_mib()
    _print(figures)
    return {"rounds": ROUNDS, "medians": figures, "ratios": _ratios(figures)}


def _warm(here: stage.Stage, *servers: stage.Server) -> None:
    for server in servers:
        Load(connections=4, seconds=0.5).send(server, here.merchant.api_key)


def _copy_table(here: stage.Stage) -> None:
    """The same columns and indexes, without the row security that COPY does not know."""
    with psycopg.connect(here.url) as connection:
        connection.execute("CREATE TABLE copied (LIKE usage_events INCLUDING ALL)")


def _round(
    here: stage.Stage, api: stage.Server, null: stage.Server, alone: stage.Server
) -> dict[str, float]:
    found: dict[str, float] = {}
    for connections in (1, 16, 64):
        for name, server in (("null", null), ("single", api), ("alone", alone)):
            single = Load(connections=connections, seconds=SECONDS)
            found |= _load(here, server, f"{name}{connections}", single)
    found |= _load(here, api, "batch", Load(connections=2, seconds=SECONDS, size=BATCH))
    found |= _replay(here, api)
    found |= _raw(here, "insert", _insert)
    found |= _raw(here, "copy", _copy)
    return found


def _load(here: stage.Stage, server: stage.Server, name: str, load: Load) -> dict[str, float]:
    before = server.cpu_seconds(), here.postgres_seconds()
    result = load.send(server, here.merchant.api_key)
    assert set(result["statuses"]) == {"202"}, result
    events = result["requests"] * load.size
    return {
        f"{name}PerSecond": result["perSecond"] * load.size,
        f"{name}ServerMicros": (server.cpu_seconds() - before[0]) / events * 1e6,
        f"{name}PostgresMicros": (here.postgres_seconds() - before[1]) / events * 1e6,
        f"{name}P50Ms": result["p50Ms"],
        f"{name}P99Ms": result["p99Ms"],
    }


def _replay(here: stage.Stage, api: stage.Server) -> dict[str, float]:
    """The same batches twice: the second time nothing is stored."""
    prefix = f"again{next(_numbers)}"
    load = Load(connections=1, seconds=60, size=BATCH, prefix=prefix, requests_max=RAW_BATCHES)
    first = _load(here, api, "first", load)
    count = _count(here)
    again = _load(here, api, "replay", load)
    return {**first, **again, "replayStored": float(_count(here) - count)}


def _count(here: stage.Stage) -> int:
    with psycopg.connect(here.url) as connection:
        row = connection.execute("SELECT count(*) FROM usage_events").fetchone()
    return int(row[0]) if row else 0


def _rows(here: stage.Stage) -> list[EventRow]:
    prefix = f"raw{next(_numbers)}"
    rows = []
    for number in range(BATCH):
        told = msgspec.json.decode(event(prefix, number))
        rows.append(
            EventRow(
                merchant_id=here.merchant.merchant_id,
                type=told["type"],
                source=told["source"],
                idempotency_key=told["idempotencyKey"],
                subject=told["subject"],
                timestamp=msgspec.convert(told["timestamp"], type=datetime),
                quantity=str(told["data"]["tokens"]),
                quantity_path="$.tokens",
                properties=msgspec.Raw(msgspec.json.encode(told["data"])),
            )
        )
    return rows


Writer = Callable[[psycopg.AsyncConnection[Any], list[Any]], Any]


def _raw(here: stage.Stage, name: str, writer: Writer) -> dict[str, float]:
    """One connection, a thousand rows a statement, nothing in front of it."""

    async def write() -> dict[str, float]:
        database = Database(here.url)
        batches = [_rows(here) for _ in range(RAW_BATCHES)]
        prepared = [_copied(batch) for batch in batches] if name == "copy" else batches
        loop = asyncio.get_running_loop()
        async with database.autocommit() as connection:
            cpu, began = here.postgres_seconds(), loop.time()
            for batch in prepared:
                await writer(connection, batch)
            elapsed = loop.time() - began
            spent = here.postgres_seconds() - cpu
        await database.close()
        return {
            f"{name}PerSecond": BATCH * RAW_BATCHES / elapsed,
            f"{name}PostgresMicros": spent / (BATCH * RAW_BATCHES) * 1e6,
        }

    return asyncio.run(write())


async def _insert(connection: psycopg.AsyncConnection[Any], batch: list[Any]) -> None:
    await usage_appends.append_beside_rivals(connection, batch)


COLUMNS = (
    "id, timestamp, created_at, checksum, merchant_id, type, subject, source, idempotency_key, "
    "quantity, properties"
)


def _copied(batch: list[EventRow]) -> list[bytes]:
    """The text of COPY, written before the time is taken."""
    lines = [
        "\t".join(
            (
                *(row.id, str(row.timestamp), str(row.timestamp), str(row.checksum)),
                *(row.merchant_id, row.type, row.subject or "", row.source),
                *(row.idempotency_key, row.quantity or "", bytes(row.properties).decode()),
            )
        )
        for row in batch
    ]
    return ["\n".join(lines).encode() + b"\n"]


async def _copy(connection: psycopg.AsyncConnection[Any], batch: list[Any]) -> None:
    async with connection.cursor() as cursor:
        async with cursor.copy(f"COPY copied ({COLUMNS}) FROM STDIN") as copy:
            for text in batch:
                await copy.write(text)


def _ratios(figures: dict[str, float]) -> dict[str, tuple[float, str]]:
    """What was reached, and the target."""

    def cpu(name: str) -> float:
        return figures[f"{name}ServerMicros"] + figures[f"{name}PostgresMicros"]

    def rate(name: str) -> float:
        return figures[f"{name}PerSecond"]

    return {
        "single at 64 / null handler": (rate("single64") / rate("null64"), ">= 0.35"),
        "server CPU of single / of null handler": (
            figures["single64ServerMicros"] / figures["null64ServerMicros"],
            "<= 2.0",
        ),
        "single at 64 / one INSERT a request": (rate("single64") / rate("alone64"), ">= 3"),
        "single at 1 / one INSERT a request": (rate("single1") / rate("alone1"), ">= 0.95"),
        "single events a CPU second": (1e6 / cpu("single64"), ">= 8000"),
        "batch / raw COPY": (rate("batch") / rate("copy"), ">= 0.45"),
        "batch / raw INSERT ON CONFLICT": (rate("batch") / rate("insert"), ">= 0.9"),
        "batched events a CPU second": (1e6 / cpu("batch"), ">= 40000"),
        "CPU of a replayed batch / of its first time": (cpu("replay") / cpu("first"), "<= 0.7"),
        "memory of the API, MiB": (figures["apiMemoryMib"], "<= 250"),
    }


def _print(figures: dict[str, float]) -> None:
    for name, value in sorted(figures.items()):
        print(f"{name:28} {value:12.2f}")
    print()
    for name, (reached, target) in _ratios(figures).items():
        print(f"{name:46} {reached:10.2f}   {target}")
