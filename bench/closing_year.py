"""A year of a hundred paid subscriptions on one test clock, through all workflows.

Beside it, in the same run, the smallest workflow with one activity: the ratio of the two counts.
"""

import asyncio
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from paygentic_sdk import Paygentic
from temporalio.client import Client
from temporalio.worker import Worker

from bench import trivial
from bench.parts import Parts
from local.demo import stack
from local.story import PAYING_CARD, Numbers, Story
from workflows.payloads import DATA_CONVERTER

START = datetime(2026, 1, 1, tzinfo=UTC)
QUARTERS = [
    datetime(2026, 4, 1, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
    datetime(2026, 10, 1, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
]
MEMBERS = int(os.environ.get("BENCH_MEMBERS", "100"))
PERIODS = 12
TRIVIAL = 400
AT_ONCE = 20


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as addresses:
        members = _members(Story(addresses, Numbers(start=START), lambda _step: None))
        figures = asyncio.run(_trivial(addresses))
        figures |= _year(addresses, members)
        figures |= asyncio.run(_histories(addresses, members))
    return figures


@dataclass(frozen=True)
class Members:
    """The clock and who lives on it."""

    clock_id: str
    subscriptions: list[str]
    client: Paygentic


def _members(story: Story) -> Members:
    """A fee in advance and tokens in arrears; each pays the first invoice by card and keeps it."""
    catalogue = story.set_up_catalogue()
    clock_id = story.create_clock()

    def join(number: int) -> str:
        customer_id = story.create_customer(f"Member {number}")
        subscription = story.subscribe(catalogue, customer_id, clock_id)
        page = getattr(subscription.payment, "checkout_url", "")
        story.pay(page, PAYING_CARD)
        story.use_tokens(customer_id, [500] * 3, first=START, prefix=f"use-{number}")
        return subscription.id

    with ThreadPoolExecutor(4) as pool:
        joined = list(pool.map(join, range(MEMBERS)))
    for subscription_id in joined:
        story.await_status(subscription_id, "active")
    return Members(clock_id, joined, story.client)


def _year(addresses: dict[str, str], members: Members) -> dict[str, float]:
    parts = Parts.found()
    before, began = parts.cpu(), time.perf_counter()
    memory = [parts.worker_mib()]
    for quarter in QUARTERS:
        members.client.test_clocks.advance(
            id=members.clock_id, request_body={"current_time": quarter}, timeout_ms=1_200_000
        )
        memory.append(parts.worker_mib())
    elapsed = time.perf_counter() - began
    spent = parts.cpu_since(before)
    _check(addresses, members)
    closes = MEMBERS * PERIODS
    figures = {f"{name}MsPerClose": seconds / closes * 1000 for name, seconds in spent.items()}
    return {
        **figures,
        "yearSeconds": elapsed,
        "yearCpuSeconds": sum(spent.values()),
        "msPerClose": sum(
            figures[f"{name}MsPerClose"] for name in ("worker", "temporal", "postgres")
        ),
        "workerMibAtStart": memory[0],
        "workerMibAfterThreeMonths": memory[1],
        "workerMibAfterTheYear": memory[-1],
    }


def _check(addresses: dict[str, str], members: Members) -> None:
    """All paid, and nothing more or less than there should be."""
    with httpx2.Client(
        base_url=addresses["apiUrl"], headers={"Authorization": f"Bearer {addresses['apiKey']}"}
    ) as client:
        for subscription_id in members.subscriptions[:: max(1, MEMBERS // 10)]:
            query = {"subscriptionId": subscription_id, "limit": "100"}
            rows = client.get("/v2/invoices", params=query).json()["data"]
            paid = [each for each in rows if each["status"] == "PAID"]
            # The first at the start, and one a boundary whose grace is over.
            assert len(paid) == PERIODS, [each["status"] for each in rows]


async def _trivial(addresses: dict[str, str]) -> dict[str, float]:
    """CPU of the smallest workflow: this process, as its worker and client, and Temporal."""
    client = await Client.connect(addresses["temporalAddress"], data_converter=DATA_CONVERTER)
    parts = Parts.found()
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            await client.execute_workflow(
                trivial.Trivial.run, "x", id=f"trivial/{number}", task_queue=trivial.QUEUE
            )

    async with Worker(
        client,
        task_queue=trivial.QUEUE,
        workflows=[trivial.Trivial],
        activities=[trivial.nothing],
    ):
        await asyncio.gather(*(one(-number) for number in range(1, AT_ONCE + 1)))
        before, mine = parts.cpu(), time.process_time()
        await asyncio.gather(*(one(number) for number in range(TRIVIAL)))
        spent = parts.cpu_since(before)
        own = time.process_time() - mine
    return {
        "trivialWorkerMs": own / TRIVIAL * 1000,
        "trivialTemporalMs": spent["temporal"] / TRIVIAL * 1000,
        "trivialMs": (own + spent["temporal"]) / TRIVIAL * 1000,
    }


async def _histories(addresses: dict[str, str], members: Members) -> dict[str, float]:
    """Events of a subscription's history by closed period, and of one close and one collection."""
    client = await Client.connect(addresses["temporalAddress"], data_converter=DATA_CONVERTER)

    async def events(workflow_id: str) -> float:
        """Of its newest run: a year fits into one."""
        described = await client.get_workflow_handle(workflow_id).describe()
        return float(described.history_length)

    lengths = [await events(f"subscription/{each}") for each in members.subscriptions[:5]]
    first = members.subscriptions[0]
    invoices = members.client.invoices_v2.list(
        request={"subscription_id": first, "limit": 100}
    ).data
    second = next(each for each in invoices if each.sequence_number == 1)
    return {
        "subscriptionEventsPerPeriod": sum(lengths) / len(lengths) / PERIODS,
        "closeEvents": await events(f"invoice-close/{first}/1"),
        "collectionEvents": await events(f"payment/{second.id}"),
    }
