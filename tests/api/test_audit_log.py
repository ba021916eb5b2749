"""The audit log over HTTP and in the database: complete, signed, without secrets, unchangeable."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.organizations import CreatedMerchant
from api.app import create_app
from models import tables
from models.database import Database
from settings import Settings
from tests.conftest import client_of

Client = httpx2.AsyncClient
ADMIN_KEY = "adm_" + "k" * 40
PATH = "/internal/v1/auditEvents"
# Logs themselves, and the machine's own book-keeping (migrations, "audit log").
UNAUDITED = {
    "audit_events",
    "idempotency_keys",
    "invoice_counters",
    "ledger_accounts",
    "ledger_entries",
    "ledger_transfers",
    "list_totals",
    "outbox",
    "test_clock_members",
    "usage_charge_items",
    "usage_conflicts",
    "usage_days",
    "usage_events",
    "usage_quantity_paths",
    "usage_rollups",
}


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Client]:
    """The operator."""
    app = create_app(Settings(admin_key=ADMIN_KEY), database=database)
    async with client_of(app, ADMIN_KEY) as opened:
        yield opened


async def changes(admin: Client, merchant: CreatedMerchant, **narrowed: Any) -> list[Any]:
    query = {"merchantId": merchant.merchant_id, **narrowed}
    answer = await admin.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    rows: list[Any] = answer.json()["data"]
    return rows


async def test_a_change_is_told_with_who_what_before_and_after(
    admin: Client, client: Client, merchant: CreatedMerchant
) -> None:
    body = {"merchantId": merchant.merchant_id, "name": "One", "description": "d"}
    product = (await client.post("/v0/products", json=body)).json()
    renamed = await client.patch(
        f"/v0/products/{product['id']}", json={"name": "Two"}, headers={"X-Request-Id": "req-7"}
    )
    assert renamed.status_code == 200
    update, insert = await changes(admin, merchant, objectId=product["id"])
    assert (insert["change"], insert["operation"]) == ("insert", "createProduct")
    assert insert["before"] is None
    assert insert["after"]["name"] == "One"
    assert (update["change"], update["operation"]) == ("update", "updateProduct")
    assert (update["before"]["name"], update["after"]["name"]) == ("One", "Two")
    assert "description" not in update["after"]
    assert update["actor"].startswith("key:key_")
    assert update["userId"] == merchant.user_id
    assert update["requestId"] == "req-7"
    assert update["objectType"] == "products"


async def test_it_is_narrowed_and_paged(
    admin: Client, client: Client, merchant: CreatedMerchant
) -> None:
    body = {"merchantId": merchant.merchant_id, "name": "One", "description": "d"}
    for _time in range(3):
        await client.post("/v0/products", json=body)
    created = await changes(admin, merchant, operation="createProduct", limit=2)
    assert len(created) == 2
    oldest = (await changes(admin, merchant, operation="createProduct"))[-1]["createdAt"]
    assert len(await changes(admin, merchant, operation="createProduct", to=oldest)) == 0
    since = {"from": oldest}
    assert len(await changes(admin, merchant, operation="createProduct", **since)) == 3


async def test_it_holds_no_secret(admin: Client, client: Client, merchant: CreatedMerchant) -> None:
    assert (await client.get("/v0/products")).status_code == 200
    told = await changes(admin, merchant)
    assert {row["objectType"] for row in told} >= {"merchants", "users", "apiKeys"}
    assert "digest" not in str(told)
    # That a key was used is no change of it.
    assert {row["change"] for row in told} == {"insert"}


async def test_what_is_not_done_is_not_told(
    admin: Client, client: Client, merchant: CreatedMerchant
) -> None:
    before = await changes(admin, merchant)
    body = {"merchantId": merchant.merchant_id, "name": "", "description": "d"}
    assert (await client.post("/v0/products", json=body)).status_code == 400
    assert await changes(admin, merchant) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "SET LOCAL durabill.reset = 'on'; DELETE FROM audit_events",
    ],
)
async def test_nobody_changes_it(
    database: Database, merchant: CreatedMerchant, statement: str
) -> None:
    assert merchant.merchant_id
    with pytest.raises(DBAPIError, match="append only"):
        await _execute(database, *statement.split("; "))


async def _execute(database: Database, *statements: str) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        for statement in statements:
            await connection.execute(text(statement))


async def test_every_table_is_audited_but_the_logs(database: Database, app: FastAPI) -> None:
    assert app.routes
    statement = text(
        "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'record_change'"
    )
    async with database.transaction() as session:
        connection = await session.connection()
        audited = set((await connection.execute(statement)).scalars())
    assert {table.name for table in tables.metadata.sorted_tables} - audited == UNAUDITED
