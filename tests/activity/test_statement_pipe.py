"""The statement pipe and the packed parameters, on a real connection."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncRawCursor

from models import packing
from models.database import Database
from models.statement_pipe import StatementPipe

INSTANTS = (
    datetime(2026, 3, 1, 12, 30, 0, 125, tzinfo=UTC),
    None,
    datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)
KEY = "00ff" * 8
QUOTIENT = b"SELECT 12 / n FROM unnest($1::integer[]) AS n"


@pytest.fixture
async def pipe(database: Database) -> AsyncIterator[StatementPipe]:
    opened = await StatementPipe.opened(await database.connect(), QUOTIENT, 1)
    yield opened
    await opened.close()


async def test_what_is_packed_arrives_as_it_was(database: Database) -> None:
    texts = ["", "a", None, 'quo"te, {brace} \\ back', "é☃😀", "a"]
    documents = [b'{"n":1.50,"s":"\\u00e9"}', b"null"]
    async with database.autocommit() as connection, AsyncRawCursor(connection) as cursor:
        await cursor.execute(
            "SELECT $1::text[], $2::uuid[], $3::timestamptz[], $4::integer[], "
            "(SELECT array_agg(d::text) FROM unnest($5::jsonb[]) AS d), $6::text[]",
            [
                packing.texts(texts),
                packing.uuids([KEY]),
                packing.instants(INSTANTS),
                packing.integers([0, -(2**31), 2**31 - 1]),
                packing.documents(documents),
                packing.texts([]),
            ],
        )
        row = await cursor.fetchone()
    assert row == (
        texts,
        [UUID(KEY)],
        list(INSTANTS),
        [0, -(2**31), 2**31 - 1],
        ['{"n": 1.50, "s": "é"}', "null"],
        [],
    )


async def _quotients(pipe: StatementPipe, divisors: list[int]) -> list[int]:
    result = await pipe.run([packing.integers(divisors)])
    values = (result.get_value(row, 0) for row in range(result.ntuples))
    return [int.from_bytes(value or b"", "big", signed=True) for value in values]


async def test_a_refusal_leaves_it_usable(pipe: StatementPipe) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await pipe.run([packing.integers([1, 0])])
    assert pipe.is_idle
    assert await _quotients(pipe, [3, -4]) == [4, -3]


async def test_more_than_the_buffers_hold_goes_both_ways(pipe: StatementPipe) -> None:
    divisors = [1 + number % 12 for number in range(300_000)]
    assert await _quotients(pipe, divisors) == [12 // each for each in divisors]


async def _break(database: Database, pipe: StatementPipe) -> None:
    async with database.autocommit() as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [pipe.backend_pid])


async def _noticed(pipe: StatementPipe) -> None:
    for _ in range(100):
        if not pipe.is_idle:
            break
        await asyncio.sleep(0.05)
    assert not pipe.is_idle


async def test_a_connection_that_breaks_says_so(database: Database, pipe: StatementPipe) -> None:
    await _break(database, pipe)
    with pytest.raises(psycopg.OperationalError):
        await _run_until_it_breaks(pipe)
    assert not pipe.is_idle


async def test_one_that_breaks_between_two_runs_is_idle_no_more(
    database: Database, pipe: StatementPipe
) -> None:
    await _break(database, pipe)
    await _noticed(pipe)
    with pytest.raises(psycopg.OperationalError):
        await pipe.run([packing.integers([1])])
    assert not pipe.is_idle


async def _run_until_it_breaks(pipe: StatementPipe) -> None:
    for _ in range(100):
        await pipe.run([packing.integers([1])])
        await asyncio.sleep(0.05)


async def test_a_run_that_was_broken_off_is_not_idle(pipe: StatementPipe) -> None:
    running = asyncio.create_task(pipe.run([packing.integers([1] * 300_000)]))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not pipe.is_idle


async def test_closing_a_broken_one_leaves_its_successor_alone(database: Database) -> None:
    """The successor's socket has the number of the broken one's, which the system gives again."""
    broken = await StatementPipe.opened(await database.connect(), QUOTIENT, 1)
    await _break(database, broken)
    await _noticed(broken)
    successors = [
        await StatementPipe.opened(await database.connect(), QUOTIENT, 1) for _ in range(3)
    ]
    assert broken.socket in [each.socket for each in successors]
    await broken.close()
    async with asyncio.timeout(10):
        assert [await _quotients(each, [4]) for each in successors] == [[3]] * 3
    for each in successors:
        await each.close()


async def test_one_that_cannot_be_prepared_leaves_nothing_behind(database: Database) -> None:
    connection = await database.connect()
    with pytest.raises(psycopg.errors.UndefinedTable):
        await StatementPipe.opened(connection, b"SELECT * FROM nowhere", 0)
    assert connection.closed
