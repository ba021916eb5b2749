"""Connections that rest in the pool are used again as they are, unless their server closed them."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from models import database as under_test
from models.database import Database

LONG, NEVER = 3600.0, 0.0


async def _backend(database: Database) -> int:
    async with database.transaction() as session:
        connection = await session.connection()
        found = await connection.execute(text("SELECT pg_backend_pid()"))
        return int(found.scalar_one())


async def _questions(database: Database, file: Path) -> int:
    """How often the connection that worked last waits for its server in a transaction."""
    async with database.transaction() as session:
        raw = await (await session.connection()).get_raw_connection()
        assert raw.driver_connection is not None
        pgconn = raw.driver_connection.pgconn
    with file.open("w+") as told:
        pgconn.trace(told.fileno())
        await _backend(database)
        pgconn.untrace()
        told.seek(0)
        return told.read().count("ReadyForQuery")


async def test_one_that_has_just_worked_is_asked_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "TRUSTED_SECONDS", LONG)
    for _ in range(3):
        await _backend(database)  # Prepared by now.
    assert await _questions(database, tmp_path / "trusted") == len(["BEGIN", "SELECT", "COMMIT"])
    monkeypatch.setattr(under_test, "TRUSTED_SECONDS", NEVER)
    assert await _questions(database, tmp_path / "asked") > len(["BEGIN", "SELECT", "COMMIT"])


@pytest.mark.parametrize("trusted", [LONG, NEVER])
async def test_one_that_its_server_closed_is_made_anew(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, trusted: float
) -> None:
    monkeypatch.setattr(under_test, "TRUSTED_SECONDS", trusted)
    first = await _backend(database)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert await _backend(database) != first


async def test_one_that_rested_long_is_asked_and_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "TRUSTED_SECONDS", NEVER)
    first = await _backend(database)
    assert await _backend(database) == first
