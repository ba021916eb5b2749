"""The second wall: what a statement forgets to filter, the database does."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.organizations import CreatedMerchant
from models import tables
from models.base import new_id
from models.database import Database, tenant
from models.products import Product


@pytest.fixture(autouse=True)
def nobody_afterwards() -> Iterator[None]:
    """Whatever a test works for, the next one works for everybody again."""
    yield
    tenant.set(None)


async def _merchants_seen(database: Database, merchant_id: str | None) -> set[str]:
    tenant.set(merchant_id)
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.execute(text("SELECT merchant_id FROM users"))
        return set(rows.scalars())


async def test_only_the_own_rows_are_there(
    database: Database, merchant: CreatedMerchant, stranger: CreatedMerchant
) -> None:
    for each in (merchant.merchant_id, stranger.merchant_id):
        assert await _merchants_seen(database, each) == {each}
    everybody = await _merchants_seen(database, None)
    assert {merchant.merchant_id, stranger.merchant_id} <= everybody


async def test_nothing_is_changed_or_written_for_another(
    database: Database, merchant: CreatedMerchant, stranger: CreatedMerchant
) -> None:
    statement = text("UPDATE users SET first_name = 'x' WHERE merchant_id = :merchant")
    tenant.set(merchant.merchant_id)
    async with database.transaction() as session:
        connection = await session.connection()
        changed = await connection.execute(statement, {"merchant": stranger.merchant_id})
    assert changed.rowcount == 0
    row = Product(id=new_id("prod"), merchant_id=stranger.merchant_id, name="x", description="x")
    with pytest.raises(DBAPIError, match="row-level security"):
        await _add(database, row)
    tenant.set(None)
    await _add(database, row)


async def _add(database: Database, row: Product) -> None:
    async with database.transaction() as session:
        session.add(row)


async def test_every_table_has_the_wall(database: Database) -> None:
    statement = text(
        "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid "
        "WHERE c.relrowsecurity AND c.relforcerowsecurity AND p.polname = 'tenant'"
    )
    async with database.transaction() as session:
        connection = await session.connection()
        walled = set((await connection.execute(statement)).scalars())
    assert {table.name for table in tables.metadata.sorted_tables} - walled == {"merchants"}


async def test_the_role_is_not_above_it(database: Database) -> None:
    statement = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    async with database.transaction() as session:
        connection = await session.connection()
        assert (await connection.execute(statement)).scalar_one() is False
