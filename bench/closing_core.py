"""The core of a close: roll, then draft and issue as the activities do, without any workflow.

Each subscription has five prices: a fee, and a metric by the unit, by graduated bands, by volume
and by the package. Periods roll and invoices close alone, one after the other, or a hundred at the
same time, as the calls of one worker do; each figure is the median of three rounds. What is written
is signed by a workflow, as in a worker. `floor` reads and rates the same periods a hundred at a
time and writes nothing. `collection` is the part of a close that hands its invoice over: the page
to pay on, and the start of the workflow that collects. `core` is the rest: to read, rate, write
and book.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import httpx2
import psycopg
from sqlalchemy import Engine, event

from activities import issuing
from activities.invoices import DraftInvoice, InvoiceActivities
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from api.app import create_app
from bench import crowd, stage, within
from bench.crowd import MODELS, Sold
from billing import pricing
from local import collector
from models.audit import Acting, acting
from models.database import Database
from settings import Settings

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
SUBSCRIPTIONS = int(os.environ.get("BENCH_SUBSCRIPTIONS", "1000"))
EVENTS_PER_METRIC = int(os.environ.get("BENCH_EVENTS_PER_METRIC", "50"))
CHUNK = 100
ROUNDS = 3
ALONE = 60
SUMS = """
SELECT subject, type, sum(quantity) FROM usage_events
WHERE merchant_id = %s AND type = ANY(%s) AND subject = ANY(%s)
  AND timestamp >= %s AND timestamp < %s
GROUP BY subject, type
"""


def measure() -> dict[str, float]:
    """Micros of CPU of an invoice's steps, by process, and invoices per CPU second."""
    collector.settle(collector.WITH_CYCLES)
    with stage.staged() as here:
        return asyncio.run(_measure(here))


async def _measure(here: stage.Stage) -> dict[str, float]:
    database = Database(here.url)
    sold = await _sell(here, database)
    crowd.use(here.url, sold, START, events_per_metric=EVENTS_PER_METRIC)
    figures = await _close(here, database, sold)
    figures |= _floor(here, sold)
    await database.close()
    return figures


async def _sell(here: stage.Stage, database: Database) -> Sold:
    """The catalogue, through the API in this process, and all subscriptions."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=create_app(Settings(), database=database)),
        base_url="http://bench.test",
        headers={"Authorization": f"Bearer {here.merchant.api_key}"},
    ) as client:
        plan = await crowd.catalogue(client, here.merchant.merchant_id, clock_at=START)
    return await crowd.subscribed(database, plan, START, SUBSCRIPTIONS)


async def _close(here: stage.Stage, database: Database, sold: Sold) -> dict[str, float]:
    periods, closing = SubscriptionActivities(database), InvoiceActivities(database)
    found: dict[str, str] = {}

    async def roll(subscription_id: str) -> None:
        acting.set(Acting(f"workflow:subscription/{subscription_id}", "roll_period"))
        rolled = await periods.roll_period(
            RollPeriod(
                merchant_id=sold.merchant_id,
                subscription_id=subscription_id,
                sequence_number=0,
                now=END,
            )
        )
        assert rolled.closing is not None
        found[subscription_id] = rolled.closing.invoice_id

    async def close(subscription_id: str) -> None:
        acting.set(Acting(f"workflow:invoice-close/{subscription_id}/0", "draft_invoice"))
        drafted = await closing.draft_invoice(
            DraftInvoice(
                merchant_id=sold.merchant_id,
                invoice_id=found[subscription_id],
                now=END,
                issue=True,
            )
        )
        assert drafted.finalized is not None
        assert drafted.finalized.status == "ISSUED", drafted

    count = ROUNDS * min(ALONE, SUBSCRIPTIONS // ROUNDS // 4)
    alone = _rounds(sold.subscriptions[:count], 1)
    rest = _rounds(sold.subscriptions[count:], CHUNK)
    figures = await _spent(here, "rollAlone", roll, alone)
    figures |= await _spent(here, "roll", roll, rest)
    figures |= await _spent(here, "closeAlone", close, alone)
    with within.watched(issuing, "hand_to_collection") as collection:
        parts = {"Collection": collection}
        return figures | await _spent(here, "close", close, rest, parts)


def _rounds(members: list[str], together: int) -> list[list[list[str]]]:
    """The members in equal rounds of groups that are asked at the same time."""
    together = min(together, len(members) // ROUNDS)
    each = len(members) // ROUNDS // together * together
    return [
        [members[at : at + together] for at in range(first, first + each, together)]
        for first in range(0, ROUNDS * each, each)
    ]


async def _spent(
    here: stage.Stage,
    name: str,
    step: Callable[[str], Awaitable[None]],
    rounds: list[list[list[str]]],
    parts: Mapping[str, within.Spent] = MappingProxyType({}),
) -> dict[str, float]:
    """What a step costs for each member, and what parts of it do."""
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    event.listen(Engine, "before_cursor_execute", count)
    measured = []
    for groups in rounds:
        statements, members = 0, sum(len(group) for group in groups)
        before = {key: spent.seconds for key, spent in parts.items()}
        postgres, began, client = here.postgres_seconds(), time.perf_counter(), time.process_time()
        for group in groups:
            await asyncio.gather(*(step(member) for member in group))
        micros = (time.process_time() - client) / members * 1e6
        postgres_micros = (here.postgres_seconds() - postgres) / members * 1e6
        measured.append(
            {
                f"{name}ClientMicros": micros,
                f"{name}PostgresMicros": postgres_micros,
                f"{name}PerCpuSecond": 1e6 / (micros + postgres_micros),
                f"{name}PerSecond": members / (time.perf_counter() - began),
                f"{name}Statements": statements / members,
                **{
                    f"{name}{key}Micros": (spent.seconds - before[key]) / members * 1e6
                    for key, spent in parts.items()
                },
            }
        )
    event.remove(Engine, "before_cursor_execute", count)
    return stage.medians(measured)


def _floor(here: stage.Stage, sold: Sold) -> dict[str, float]:
    """Reading and pricing in chunks: what a set-based close could not go below."""
    with psycopg.connect(here.url, autocommit=True) as connection:
        postgres, client = here.postgres_seconds(), time.process_time()
        priced = 0
        for first in range(0, len(sold.customers), CHUNK):
            subjects = sold.customers[first : first + CHUNK]
            rows = connection.execute(
                SUMS, [sold.merchant_id, list(MODELS), subjects, START, END]
            ).fetchall()
            for _, kind, quantity in rows:
                pricing.rate(kind, MODELS[kind], Decimal(quantity))
                priced += 1
        assert priced == len(sold.customers) * len(MODELS)
        client_seconds = time.process_time() - client
        return {
            "floorClientMicros": client_seconds / len(sold.customers) * 1e6,
            "floorPostgresMicros": (here.postgres_seconds() - postgres) / len(sold.customers) * 1e6,
        }
