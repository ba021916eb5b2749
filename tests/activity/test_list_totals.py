"""The kept totals are what counting would find, whatever is written."""

import asyncio

from sqlalchemy import text
from sqlmodel import func, select

from activities.organizations import CreatedMerchant
from models.base import wall_now
from models.customers import Customer
from models.database import Database
from models.products import Product
from models.queries import customers, list_totals, products
from models.queries.customers import CustomerFilter
from tests.factories import a_customer, a_product


async def kept_and_counted(database: Database, merchant_id: str) -> tuple[int, int]:
    async with database.transaction() as session:
        statement = products.newest_first(merchant_id).order_by(None).subquery()
        counted = (await session.exec(select(func.count()).select_from(statement))).one()
        return await list_totals.of(session, merchant_id, Product), counted


async def test_creations_at_once_are_all_counted(
    database: Database, merchant: CreatedMerchant
) -> None:
    async def create(count: int) -> None:
        async with database.transaction() as session:
            for _ in range(count):
                await a_product(session, merchant.merchant_id)

    await asyncio.gather(*(create(count) for count in (1, 2, 3, 1, 2, 3)))
    assert await kept_and_counted(database, merchant.merchant_id) == (12, 12)


async def test_what_is_taken_back_is_not_counted(
    database: Database, merchant: CreatedMerchant
) -> None:
    async with database.transaction() as session:
        await a_product(session, merchant.merchant_id)
        await session.rollback()
    assert await kept_and_counted(database, merchant.merchant_id) == (0, 0)


async def test_deletions_count_when_they_hide_a_row(
    database: Database, merchant: CreatedMerchant
) -> None:
    async with database.transaction() as session:
        rows = [await a_customer(session, merchant.merchant_id) for _ in range(3)]

    async def total() -> tuple[int, int]:
        async with database.transaction() as session:
            statement = customers.newest_first(merchant.merchant_id, CustomerFilter())
            rows = (await session.exec(statement)).all()
            return await list_totals.of(session, merchant.merchant_id, Customer), len(rows)

    assert await total() == (3, 3)
    async with database.transaction() as session:
        connection = await session.connection()
        hide = text("UPDATE customers SET deleted_at = :now WHERE id = :id")
        for _ in range(2):
            await connection.execute(hide, {"now": wall_now(), "id": rows[0].id})
        await connection.execute(
            text("UPDATE customers SET tax_id = 'x' WHERE merchant_id = :merchant"),
            {"merchant": merchant.merchant_id},
        )
    assert await total() == (2, 2)
    async with database.transaction() as session:
        connection = await session.connection()
        erase = text("DELETE FROM customers WHERE merchant_id = :merchant")
        await connection.execute(erase, {"merchant": merchant.merchant_id})
    assert await total() == (0, 0)
