"""The transaction of a route that only reads: all its statements see one instant."""

from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from api import deps
from models.base import new_id
from models.database import Database, tenant

COUNT = text("SELECT count(*) FROM merchants WHERE id = :id")


def _request(app: FastAPI, method: str) -> Request:
    return Request({"type": "http", "method": method, "path": "/", "headers": [], "app": app})


async def _come(database: Database, merchant_id: str) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text(
                "INSERT INTO merchants (id, name, live, legacy_billing, auto_approve, grace_period,"
                " email, address, created_at)"
                " VALUES (:id, 'Late', false, true, true, 'PT0S', '', '{}', now())"
            ),
            {"id": merchant_id},
        )


@pytest.mark.parametrize(("method", "sees"), [("GET", 0), ("HEAD", 0), ("POST", 1)])
async def test_what_comes_meanwhile_is_not_seen_by_a_reader(
    living_app: FastAPI, database: Database, method: str, sees: int
) -> None:
    async with asynccontextmanager(deps.session)(_request(living_app, method)) as session:
        connection = await session.connection()
        merchant_id = new_id("org")
        assert (await connection.execute(COUNT, {"id": merchant_id})).scalar_one() == 0
        await _come(database, merchant_id)
        assert (await connection.execute(COUNT, {"id": merchant_id})).scalar_one() == sees


async def test_a_reader_writes_nothing(living_app: FastAPI) -> None:
    with pytest.raises(InternalError, match="read-only transaction"):
        async with asynccontextmanager(deps.session)(_request(living_app, "GET")) as session:
            await (await session.connection()).execute(text("DELETE FROM merchants"))


async def test_the_connection_writes_again_afterwards(
    living_app: FastAPI, database: Database
) -> None:
    async with asynccontextmanager(deps.session)(_request(living_app, "GET")) as session:
        await (await session.connection()).execute(COUNT, {"id": new_id("org")})
    await _come(database, new_id("org"))


async def test_a_reader_is_held_to_who_is_proved_after_it_was_opened(living_app: FastAPI) -> None:
    """Its first statement says whose rows it may see, and no statement comes before that."""
    signed = text("SELECT current_setting('durabill.merchant', true)")
    async with asynccontextmanager(deps.session)(_request(living_app, "GET")) as session:
        tenant.set("org_proved")
        assert (await (await session.connection()).execute(signed)).scalar_one() == "org_proved"
    tenant.set(None)
