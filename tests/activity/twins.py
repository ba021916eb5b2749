"""Copies of one database, in which the same is done in two ways, and all that they then hold."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from models import tables
from models.base import new_id
from models.database import Database

# What differs between two runs of the same: drawn, or told by the wall clock or the server.
VOLATILE = {
    "created_at", "updated_at", "token", "usage_watermark", "late_watermark", "transaction_id",
    "sent_at",
}  # fmt: skip
UNORDERED = {"audit_events": {"id"}}

CONNECTIONS = 20
"""More than close at the same time: who waits five seconds for one is refused."""


@asynccontextmanager
async def created(server: str, template: str | None = None) -> AsyncIterator[str]:
    """An empty database on this server, or a copy of that one."""
    name = new_id("db")
    copied = sql.SQL("" if template is None else " TEMPLATE {}").format(
        *([] if template is None else [sql.Identifier(str(make_url(template).database))])
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(name), copied))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database of this address, with a connection for each who closes at the same time."""
    database = Database(url, pool_size=CONNECTIONS)
    yield database
    await database.close()


@asynccontextmanager
async def twin(url: str) -> AsyncIterator[Database]:
    """A copy of a database that nobody is connected to, with its connections opened."""
    async with created(url, url) as copy, opened(copy) as database:
        await _connect(database)
        yield database


async def _connect(database: Database) -> None:
    """Opens its connections in turn: a fresh database is slow to let many in at once."""
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            session = await stack.enter_async_context(database.transaction())
            await session.connection()


async def nobody_together(_merchant_id: str, asked: Sequence[object]) -> list[Any | None]:
    """Of a `Gathering`: everybody goes alone."""
    return [None] * len(asked)


async def told_rows(database: Database) -> dict[str, list[str]]:
    """Every row of every table, without what differs from run to run."""
    async with database.transaction() as session:
        connection = await session.connection()
        return {
            table.name: sorted(
                _plain(table.name, dict(row))
                for row in (await connection.execute(table.select())).mappings()
            )
            for table in tables.metadata.sorted_tables
        }


def _plain(table: str, row: dict[str, Any]) -> str:
    left_out = VOLATILE | UNORDERED.get(table, set())
    kept = {name: value for name, value in row.items() if name not in left_out}
    if table == "audit_events":
        for side in ("before", "after"):
            told = kept[side] or {}
            kept[side] = {name: each for name, each in told.items() if name not in VOLATILE}
    if table == "invoice_lines":
        kept["origin"] = {k: v for k, v in kept["origin"].items() if k != "calculated_at"}
    return repr({name: _normal(value) for name, value in sorted(kept.items())})


def _normal(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, dict) else value
