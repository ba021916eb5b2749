"""What the benchmarks of usage stand on: a durable PostgreSQL, a merchant, servers, CPU time."""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from alembic import command
from alembic.config import Config

from activities.organizations import CreatedMerchant, CreateMerchant, OrganizationActivities
from local.ports import free_port
from local.postgres import running_postgres
from models.base import new_id
from models.billable_metrics import BillableMetric
from models.database import Database
from models.products import Product

ROOT = Path(__file__).parent.parent
EVENT_TYPE = "llm.completion"


@dataclass(frozen=True)
class Stage:
    """A migrated database with one merchant and one metric."""

    url: str
    merchant: CreatedMerchant
    metric: BillableMetric
    postmaster: int

    def postgres_seconds(self) -> float:
        """CPU time of all of PostgreSQL's processes that are alive."""
        return sum(cpu_seconds(pid) for pid in family(self.postmaster))


@contextmanager
def staged() -> Iterator[Stage]:
    """An embedded PostgreSQL that keeps what it commits, as the product runs it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres(Path(folder) / "postgres", fast=False) as url,
    ):
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        command.upgrade(config, "head")
        merchant, metric = asyncio.run(_filled(url))
        status = Path(folder) / "postgres" / "postgres" / "postmaster.pid"
        yield Stage(url, merchant, metric, int(status.read_text().splitlines()[0]))


async def _filled(url: str) -> tuple[CreatedMerchant, BillableMetric]:
    database = Database(url)
    merchant = await OrganizationActivities(database).create_merchant(CreateMerchant("Bench"))
    product = Product(
        id=new_id("prod"), merchant_id=merchant.merchant_id, name="Tokens", description=""
    )
    metric = BillableMetric(
        id=new_id("bm"),
        merchant_id=merchant.merchant_id,
        product_id=product.id,
        name="Tokens",
        description="",
        unit="token",
        aggregation="SUM",
        event_type=EVENT_TYPE,
        value_property="$.tokens",
    )
    async with database.transaction() as session:
        session.add(product)
        await session.flush()
        session.add(metric)
    await database.close()
    return merchant, metric


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@contextmanager
def serving(kind: str, url: str) -> Iterator[Server]:
    """`bench.server` as a child, once it answers."""
    port = free_port()
    argv = [sys.executable, "-m", "bench.server", kind, str(port), url]
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=ROOT)
    try:
        _await(port)
        yield Server(port, child.pid)
    finally:
        child.terminate()
        child.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/healthz")
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent: by how many connections, for how long, how many events a request."""

    connections: int
    seconds: float
    size: int = 1
    prefix: str = ""
    requests_max: int = 10_000_000

    def send(self, server: Server, api_key: str) -> dict[str, Any]:
        """What `bench.load` measured."""
        most = self.requests_max if self.size == 1 else min(self.requests_max, 500)
        argv = [
            *(sys.executable, "-m", "bench.load", str(server.port), api_key),
            *(str(self.connections), str(self.seconds), self.prefix or new_id("run")),
            *(str(self.size), str(most)),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            nanoseconds += int(task.read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return nanoseconds / 1e9


def family(pid: int) -> list[int]:
    """A process and its children."""
    members = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            members.append(int(stat.parent.name))
    return members


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
