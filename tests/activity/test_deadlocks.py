"""Two transactions that wait for each other: PostgreSQL ends one of them, and it is done again."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.organizations import CreatedMerchant
from models.database import Database, repeats_deadlocks
from models.queries import customers
from tests.factories import a_customer


class _Rivals:
    """Each takes two locks, the first of which the other takes second."""

    def __init__(self, database: Database, *, meetings: int) -> None:
        self._database = database
        self._meetings = meetings
        self._both = asyncio.Barrier(2)
        self.attempts = 0
        self.done: list[int] = []

    async def attempt(self, first: int, second: int) -> None:
        self.attempts += 1
        async with self._database.transaction() as session:
            await self._lock(session, first)
            if self._meetings:
                await self._both.wait()
                self._meetings -= 1
            await self._lock(session, second)
            self.done.append(first)

    @repeats_deadlocks
    async def repeated(self, first: int, second: int) -> None:
        await self.attempt(first, second)

    @staticmethod
    async def _lock(session: AsyncSession, key: int) -> None:
        connection = await session.connection()
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


async def test_the_one_that_gives_way_is_done_again(database: Database) -> None:
    rivals = _Rivals(database, meetings=2)
    await asyncio.gather(rivals.repeated(71, 72), rivals.repeated(72, 71))
    assert sorted(rivals.done) == [71, 72]
    assert rivals.attempts == 3


async def test_otherwise_its_caller_is_told(database: Database) -> None:
    rivals = _Rivals(database, meetings=2)
    answers = await asyncio.gather(
        rivals.attempt(71, 72), rivals.attempt(72, 71), return_exceptions=True
    )
    assert [type(each) for each in answers if each is not None] == [OperationalError]


async def test_another_fault_is_told_at_once() -> None:
    attempts: list[str] = []

    @repeats_deadlocks
    async def away() -> None:
        attempts.append("away")
        raise OperationalError("SELECT 1", {}, ConnectionError("away"))

    with pytest.raises(OperationalError):
        await away()
    assert attempts == ["away"]


async def test_a_locked_customer_may_be_referred_to(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A row that is locked for a change does not hold up what only points to it: no deadlock."""
    async with database.transaction() as session:
        customer_id = (await a_customer(session, merchant.merchant_id)).id
    async with database.transaction() as changing:
        await customers.get(changing, merchant.merchant_id, customer_id, lock=True)
        async with database.transaction() as referring:
            connection = await referring.connection()
            pointed = await connection.execute(
                text("SELECT 1 FROM customers WHERE id = :id FOR KEY SHARE NOWAIT"),
                {"id": customer_id},
            )
            assert pointed.scalar() == 1
