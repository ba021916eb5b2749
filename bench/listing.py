"""Page 1 of a list of 100 000 products against one of 100: the same answer in the same time.

The ratio counts, not the milliseconds. The plans of both statements are printed.
"""

import asyncio
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import httpx2
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from activities.organizations import CreatedMerchant, CreateMerchant, OrganizationActivities
from api.app import create_app
from local.postgres import running_postgres
from models.database import Database
from models.list_totals import ListTotal
from models.queries import products
from settings import Settings

Figures = dict[str, float]

ROOT = Path(__file__).parent.parent
LENGTHS = (100, 100_000)
ROUNDS = 9
REQUESTS_PER_ROUND = 20
FILL = """
INSERT INTO products (id, merchant_id, name, description, custom, created_at, updated_at)
SELECT 'prod_' || lpad(n::text, 32, '0') || :tail, :merchant, 'Product ' || n, '', '{}',
       now() + n * interval '1 millisecond', now()
FROM generate_series(1, :length) AS n
"""


def main() -> Figures:
    """Fills an embedded PostgreSQL, measures and prints."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres(Path(folder) / "postgres", fast=True) as url,
    ):
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        command.upgrade(config, "head")
        return asyncio.run(_measure(url))


async def _measure(url: str) -> Figures:
    database = Database(url)
    merchants = [await _filled(database, length) for length in LENGTHS]
    for length, merchant in zip(LENGTHS, merchants, strict=True):
        await _explain(database, merchant.merchant_id, length)
    app = create_app(Settings(), database=database)
    clients = [
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://bench.test",
            headers={"Authorization": f"Bearer {merchant.api_key}"},
        )
        for merchant in merchants
    ]
    # Interleaved: what disturbs the machine disturbs both.
    rounds = [[await _round(client) for client in clients] for _ in range(ROUNDS)]
    for client in clients:
        await client.aclose()
    await database.close()
    return _figures(rounds)


async def _filled(database: Database, length: int) -> CreatedMerchant:
    merchant = await OrganizationActivities(database).create_merchant(CreateMerchant("Bench"))
    async with database.transaction() as session:
        connection = await session.connection()
        filled = {"merchant": merchant.merchant_id, "length": length, "tail": f"x{length}"}
        await connection.execute(text(FILL), filled)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("ANALYZE products"))
        kept = await session.get(ListTotal, (merchant.merchant_id, "products"))
        assert kept is not None
        assert kept.total == length
    return merchant


async def _explain(database: Database, merchant_id: str, length: int) -> None:
    statement = products.newest_first(merchant_id).limit(10)
    spelled = statement.compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    async with database.transaction() as session:
        connection = await session.connection()
        lines = await connection.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {spelled}"))
        plan = [str(line[0]) for line in lines]
    assert any("ix_products_newest" in line for line in plan), plan
    print(f"\nthe first page of {length} products:")
    print("\n".join(plan))


async def _round(client: httpx2.AsyncClient) -> float:
    """Milliseconds of one request, as the median of some."""
    times = []
    for _ in range(REQUESTS_PER_ROUND):
        began = perf_counter()
        answer = await client.get("/v0/products")
        times.append((perf_counter() - began) * 1000)
        assert len(answer.raise_for_status().json()["data"]) == 10
    return statistics.median(times)


def _figures(rounds: Sequence[Sequence[float]]) -> Figures:
    short, long = (statistics.median(each) for each in zip(*rounds, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in rounds)
    figures: Figures = {
        "short": LENGTHS[0],
        "long": LENGTHS[1],
        "shortMilliseconds": round(short, 2),
        "longMilliseconds": round(long, 2),
        "ratio": round(ratio, 2),
    }
    print(json.dumps(figures))
    return figures


if __name__ == "__main__":
    main()
