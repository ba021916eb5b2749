"""The committer: one statement for many, a bounded queue, an answer for all that fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from msgspec import Raw
from sqlalchemy import text
from starlette.exceptions import HTTPException

from activities.organizations import CreatedMerchant
from api import committer
from api.committer import Committer
from models.base import new_id, wall_now
from models.database import Database
from models.event_rows import EventRow
from tests.activity.usage import appended
from tests.conftest import client_of

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


def an_event(merchant: CreatedMerchant, key: str | None = None, **fields: object) -> EventRow:
    values: dict[str, object] = {
        "merchant_id": merchant.merchant_id,
        "type": "llm",
        "source": "s",
        "idempotency_key": key or new_id("key"),
        "subject": "cus_1",
        "timestamp": WHEN,
        "properties": Raw(b'{"tokens":1}'),
    }
    return EventRow(**{**values, **fields})  # type: ignore[arg-type]


async def stored(database: Database, merchant: CreatedMerchant) -> tuple[int, int]:
    """How many events, and by how many transactions."""
    statement = text(
        "SELECT count(*), count(DISTINCT transaction_id::text) FROM usage_events "
        "WHERE merchant_id = :merchant"
    )
    async with database.transaction() as session:
        connection = await session.connection()
        row = (await connection.execute(statement, {"merchant": merchant.merchant_id})).one()
    return row[0], row[1]


@pytest.fixture
async def away() -> AsyncIterator[Database]:
    """A database that is not there."""
    opened = Database(NOWHERE)
    yield opened
    await opened.close()


async def test_events_at_once_share_statements(
    database: Database, merchant: CreatedMerchant
) -> None:
    opened = Committer(database)
    answers = await asyncio.gather(
        *(opened.store([an_event(merchant)], live=True) for _ in range(300))
    )
    assert [outcome.status for (outcome,) in answers] == ["created"] * 300
    events, transactions = await stored(database, merchant)
    assert events == 300
    assert transactions < 10


async def test_the_same_key_at_once_is_created_once(
    database: Database, merchant: CreatedMerchant
) -> None:
    committers = [Committer(database) for _ in range(3)]
    keys = [f"k{number}" for number in range(50)]
    answers = await asyncio.gather(
        *(
            each.store([an_event(merchant, key) for key in order], live=True)
            for each in committers
            for order in (keys, keys[::-1])
        )
    )
    statuses = [outcome.status for answer in answers for outcome in answer]
    assert statuses.count("created") == 50
    assert statuses.count("duplicate") == 250
    assert (await stored(database, merchant))[0] == 50


@pytest.mark.parametrize(
    "poison", [b'{"a":"\\u0000"}', b'{"a":1e200000}', b"{no json", b'{"a":"\xff"}']
)
async def test_a_poisoned_row_is_refused_alone(
    database: Database, merchant: CreatedMerchant, poison: bytes
) -> None:
    events = [an_event(merchant) for _ in range(20)]
    events[7] = an_event(merchant, properties=Raw(poison))
    try:
        outcomes = await Committer(database).store(events, live=True)
    except UnicodeDecodeError:
        assert poison == b'{"a":"\xff"}'
        return
    assert [outcome.status for outcome in outcomes] == [
        "refused" if position == 7 else "created" for position in range(20)
    ]
    assert (await stored(database, merchant))[0] == 19


async def test_more_than_can_wait_is_told_to_come_again(
    database: Database, merchant: CreatedMerchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "WAITING_MAX", 100)
    opened = Committer(database)
    answers = await asyncio.gather(
        *(opened.store([an_event(merchant) for _ in range(40)], live=True) for _ in range(5)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, HTTPException)]
    assert [(error.status_code, error.headers) for error in refused] == [
        (429, {"Retry-After": "1"})
    ] * 3
    assert (await stored(database, merchant))[0] == 80
    (outcome,) = await opened.store([an_event(merchant)], live=True)
    assert outcome.status == "created"


async def test_a_database_that_is_away_fails_all_and_hangs_none(
    away: Database, merchant: CreatedMerchant
) -> None:
    opened = Committer(away)
    answers = await asyncio.gather(
        *(opened.store([an_event(merchant)], live=True) for _ in range(5)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [psycopg.OperationalError] * 5


async def test_a_broken_connection_is_replaced_in_the_same_request(
    database: Database, merchant: CreatedMerchant
) -> None:
    opened = Committer(database)
    await opened.store([an_event(merchant)], live=True)
    async with database.autocommit() as connection:
        pid = connection.info.backend_pid
    async with database.transaction() as session:
        killing = text("SELECT pg_terminate_backend(:pid)")
        await (await session.connection()).execute(killing, {"pid": pid})
    (outcome,) = await opened.store([an_event(merchant)], live=True)
    assert outcome.status == "created"


async def test_a_sender_that_hangs_up_loses_nothing(
    database: Database, merchant: CreatedMerchant
) -> None:
    opened = Committer(database)
    impatient = asyncio.create_task(opened.store([an_event(merchant, "gone")], live=True))
    await asyncio.sleep(0)
    impatient.cancel()
    await opened.store([an_event(merchant)], live=True)
    (again,) = await opened.store([an_event(merchant, "gone")], live=True)
    assert again.status in {"created", "duplicate"}
    assert (await stored(database, merchant))[0] == 2


async def test_a_dead_database_answers_503_over_http(away: Database) -> None:
    from api.app import create_app
    from settings import Settings

    async with client_of(create_app(Settings(), database=away), f"sk_test_{'0' * 32}") as client:
        for path in ("/v0/events", "/v0/events/batch"):
            answer = await client.post(path, json=[{}] if path.endswith("batch") else {})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_what_fell_before_now_keeps_its_time(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A sender's own timestamp is never replaced, an omitted one is now."""
    opened = Committer(database)
    before = wall_now()
    unstamped = an_event(merchant, timestamp=None)
    (past, now) = await opened.store([an_event(merchant), unstamped], live=True)
    assert past.event.timestamp == WHEN
    assert now.event.timestamp is not None
    assert before <= now.event.timestamp <= before + timedelta(minutes=5)


async def test_connections_that_were_cut_are_replaced(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A server that restarts breaks a connection that waits; the next event is stored anyway."""
    under_test = Committer(database)
    for cut in range(3):
        (outcome,) = await under_test.store([an_event(merchant)], live=False)
        assert outcome.status == "created"
        async with database.transaction() as session:
            connection = await session.connection()
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND query LIKE '%INTO usage_events%' "
                    "AND pid <> pg_backend_pid()"
                )
            )
        if cut:
            await asyncio.sleep(0.1)
    assert await stored(database, merchant) == (3, 3)


async def test_a_large_batch_that_comes_again_is_known(
    database: Database, merchant: CreatedMerchant
) -> None:
    """What is known, what is new, what says something else: each is told, and nothing is lost."""
    first = [an_event(merchant, f"k{number}") for number in range(committer.MANY_ROWS)]
    under_test = Committer(database)
    await under_test.store(first, live=True)
    other = an_event(merchant, "k7", properties=Raw(b'{"tokens":2}'))
    spelled = an_event(merchant, "k8", properties=Raw(b'{"tokens": 1.0}'))
    unstamped = an_event(merchant, "k9", timestamp=None)
    again = [an_event(merchant, event.idempotency_key) for event in first]
    again[7:10] = [other, spelled, unstamped]
    fresh = [an_event(merchant, f"new{number}") for number in (1, 2, 1)]
    outcomes = await under_test.store([*again, *fresh], live=True)
    assert [each.status for each in outcomes] == [
        *["duplicate"] * len(again),
        *("created", "created", "duplicate"),
    ]
    assert bytes(outcomes[7].event.properties) == b'{"tokens": 1}'
    assert outcomes[9].event.timestamp == WHEN
    assert await stored(database, merchant) == (len(first) + 2, 2)
    conflicts = text("SELECT idempotency_key FROM usage_conflicts WHERE merchant_id = :merchant")
    async with database.transaction() as session:
        found = await (await session.connection()).execute(
            conflicts, {"merchant": merchant.merchant_id}
        )
        assert list(found.scalars()) == ["k7"]


async def test_a_repetition_that_no_probe_sees_is_known_all_the_same(
    database: Database, merchant: CreatedMerchant
) -> None:
    under_test = Committer(database)
    await under_test.store([an_event(merchant, "k1")], live=True)
    events = [an_event(merchant, f"k{number}") for number in range(committer.MANY_ROWS)]
    outcomes = await under_test.store(events, live=True)
    assert [each.status for each in outcomes].count("duplicate") == 1
    assert outcomes[1].status == "duplicate"
    assert (await stored(database, merchant))[0] == committer.MANY_ROWS


@pytest.mark.parametrize("keys", [["k5"], [f"k{number}" for number in range(10)]], ids=len)
async def test_an_event_that_another_is_storing_is_stored_once(
    database: Database, merchant: CreatedMerchant, keys: list[str]
) -> None:
    """The other's transaction is still open when the statement looks, and commits afterwards."""
    events = [an_event(merchant, key) for key in keys]
    async with database.transaction() as session:
        assert await appended(session, [an_event(merchant, "k5")]) == [True]
        storing = asyncio.create_task(Committer(database).store(events, live=True))
        await _until_somebody_waits(database)
        assert not storing.done()
    outcomes = await storing
    assert [each.status for each in outcomes] == [
        "duplicate" if key == "k5" else "created" for key in keys
    ]
    assert (await stored(database, merchant))[0] == len(keys)


async def test_an_event_that_another_gives_up_is_stored(
    database: Database, merchant: CreatedMerchant
) -> None:
    committing = Committer(database)
    async with database.transaction() as session:
        unfinished = await session.begin_nested()
        await appended(session, [an_event(merchant, "k1")])
        storing = asyncio.create_task(committing.store([an_event(merchant, "k1")], live=True))
        await _until_somebody_waits(database)
        await unfinished.rollback()
    (outcome,) = await storing
    assert outcome.status == "created"
    assert (await stored(database, merchant))[0] == 1


async def _until_somebody_waits(database: Database) -> None:
    """Until a statement waits for another's transaction."""
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity AS there USING (pid) "
        "WHERE NOT granted AND locktype = 'transactionid' AND datname = current_database()"
    )
    async with database.autocommit() as connection:
        while True:
            row = await (await connection.execute(waiting)).fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(0.01)


async def test_large_batches_beside_each_other_are_all_stored(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Two statements run at once; the same events in another order wait for no one in a ring."""
    under_test = Committer(database)
    keys = [f"k{number}" for number in range(2 * committer.MANY_ROWS)]
    orders = (keys, keys[::-1], keys[: committer.MANY_ROWS], ["single"])
    answers = await asyncio.gather(
        *(
            under_test.store([an_event(merchant, key) for key in order], live=True)
            for order in orders
        )
    )
    statuses = [outcome.status for answer in answers for outcome in answer]
    assert statuses.count("created") == len(keys) + 1
    assert statuses.count("refused") == 0
    assert (await stored(database, merchant))[0] == len(keys) + 1
