"""What the database records of a change: the same for each row, or once for all of a statement.

Tables that are written in sets are recorded by statement where several act in a transaction. Here
a trigger that records each row stands beside, and both must tell the same; what that is, is worked
by hand as well.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy.engine import make_url

from activities.organizations import CreatedMerchant
from models.audit import Acting

WORKFLOW = Acting("workflow:payment/inv_1", "collect", request_id="run-1")
CALLER = Acting("key:key_1", "retry", user_id="user_1", request_id="req-1")
SEVERAL = "|a=workflow:a|b=workflow:b|"
IN_SETS = ("invoices", "payment_sessions", "payment_attempts", "notifications")
BY_CALLERS_ONLY = ("invoice_lines", "plan_lines")
TOLD = (
    "merchant_id, actor, user_id, operation, request_id, change, object_type, object_id, "
    "before, after"
)
ATTEMPTS = """
INSERT INTO payment_attempts (
    id, merchant_id, collection_id, number, status, origin, amount, currency, gateway_method_id,
    attempted_at, created_at
)
SELECT 'att_' || n, :merchant, 'inv_' || n, 1, 'pending', 'automatic', 10, 'EUR', 'pm_secret',
       '2026-01-01Z', '2026-01-01Z'
FROM generate_series({first}, {last}) AS n
"""
SESSION = """
INSERT INTO payment_sessions (
    id, merchant_id, token, entity_type, entity_id, collection_id, amount, currency, status,
    save_payment_method, custom, created_at, updated_at
) VALUES (
    'ps_1', :merchant, 'hush', 'invoice', 'inv_1', 'inv_1', 10, 'EUR', 'open', false, '{}',
    '2026-01-01Z', '2026-01-01Z'
)
"""
Connection = psycopg.AsyncConnection[dict[str, Any]]


@pytest.fixture(params=["", "|a=workflow:a|", SEVERAL], ids=["nobody", "one", "several"])
async def connection(
    request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[Connection]:
    """A transaction that leaves nothing, in which each change is recorded in two ways."""
    url = make_url(database_url).set(drivername="postgresql")
    async with await psycopg.AsyncConnection.connect(
        url.render_as_string(hide_password=False), row_factory=dict_row
    ) as opened:
        for table in ("payment_attempts", "payment_sessions"):
            await opened.execute(
                f"CREATE TRIGGER each_row AFTER INSERT OR UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION record_change()"
            )
        if request.param:
            await _name_actors(opened, request.param)
        yield opened
        await opened.rollback()


async def _run(connection: Connection, merchant: CreatedMerchant, statement: str) -> None:
    told = statement.replace(":merchant", f"'{merchant.merchant_id}'")
    await connection.execute(told.encode())


def _attempts(first: int, last: int) -> str:
    return ATTEMPTS.format(first=first, last=last)


async def _sign(connection: Connection, who: Acting) -> None:
    await connection.execute("SELECT set_config('durabill.acting', %s, true)", [who.text()])


async def _name_actors(connection: Connection, actors: str) -> None:
    await connection.execute("SELECT set_config('durabill.actors', %s, true)", [actors])


async def _told(connection: Connection, merchant: CreatedMerchant) -> list[dict[str, Any]]:
    """What the test changed, each change once: it must have been recorded alike in both ways."""
    rows = await connection.execute(
        f"SELECT {TOLD} FROM audit_events WHERE merchant_id = %s "
        "AND object_type = ANY ('{payment_attempts,payment_sessions}') "
        "ORDER BY created_at, id",
        [merchant.merchant_id],
    )
    counted = Counter(json.dumps(row, sort_keys=True) for row in await rows.fetchall())
    assert all(count % 2 == 0 for count in counted.values()), counted
    return [json.loads(row) for row, count in counted.items() for _ in range(count // 2)]


async def test_a_set_is_told_row_by_row(connection: Connection, merchant: CreatedMerchant) -> None:
    await _sign(connection, CALLER)
    await _run(connection, merchant, _attempts(1, 3))
    await _run(
        connection,
        merchant,
        "UPDATE payment_attempts SET status = 'failed', message = 'n' || number, number = 1.0, "
        "gateway_method_id = 'pm_other' WHERE merchant_id = :merchant AND id <> 'att_3'",
    )
    await _run(
        connection,
        merchant,
        "DELETE FROM payment_attempts WHERE merchant_id = :merchant AND id <> 'att_1'",
    )
    told = await _told(connection, merchant)
    assert Counter((row["change"], row["object_id"]) for row in told) == Counter(
        [
            *(("insert", f"att_{n}") for n in (1, 2, 3)),
            *(("update", f"att_{n}") for n in (1, 2)),
            *(("delete", f"att_{n}") for n in (2, 3)),
        ]
    )
    for row in told:
        assert row["merchant_id"] == merchant.merchant_id
        assert (row["actor"], row["operation"]) == ("key:key_1", "retry")
        assert (row["user_id"], row["request_id"]) == ("user_1", "req-1")
        assert "pm_" not in json.dumps([row["before"], row["after"]])
    inserted, updated, deleted = (
        next(row for row in told if row["change"] == change)
        for change in ("insert", "update", "delete")
    )
    assert (inserted["before"], inserted["after"]["status"]) == (None, "pending")
    # The number is what it was, and the card is a secret.
    assert updated["before"] == {"status": "pending", "message": None}
    assert updated["after"] == {"status": "failed", "message": "n1"}
    assert (deleted["before"]["currency"], deleted["after"]) == ("EUR", None)


async def test_nothing_is_told_of_what_does_not_change(
    connection: Connection, merchant: CreatedMerchant
) -> None:
    await _run(connection, merchant, SESSION)
    for changed in (
        "updated_at = '2026-02-01Z'",
        "token = 'new', updated_at = '2026-03-01Z'",
        "status = status",
    ):
        await _run(
            connection,
            merchant,
            f"UPDATE payment_sessions SET {changed} WHERE merchant_id = :merchant",
        )
    await _run(connection, merchant, "DELETE FROM payment_sessions WHERE id = 'nobody'")
    (inserted,) = await _told(connection, merchant)
    assert (inserted["change"], inserted["actor"], inserted["operation"]) == (
        "insert",
        "system",
        "",
    )
    assert "hush" not in json.dumps(inserted)
    await _run(
        connection,
        merchant,
        "UPDATE payment_sessions SET status = 'paid', updated_at = '2026-04-01Z' "
        "WHERE merchant_id = :merchant",
    )
    updated = (await _told(connection, merchant))[-1]
    assert set(updated["after"]) == {"status", "updated_at"}


async def test_each_row_of_a_set_is_signed_by_its_own_actor(
    connection: Connection, merchant: CreatedMerchant
) -> None:
    # Attempts belong to what they collect for; the third invoice is nobody's, so the first signs.
    actors = "|inv_1=workflow:payment/inv_1|inv_2=workflow:payment/inv_2|att_3=workflow:wrong|"
    await _sign(connection, WORKFLOW)
    await _name_actors(connection, actors)
    await _run(connection, merchant, _attempts(1, 3))
    await _run(
        connection,
        merchant,
        "UPDATE payment_attempts SET status = 'succeeded' WHERE merchant_id = :merchant",
    )
    told = await _told(connection, merchant)
    assert Counter((row["change"], row["object_id"], row["actor"]) for row in told) == Counter(
        (change, f"att_{n}", f"workflow:payment/inv_{by}")
        for change in ("insert", "update")
        for n, by in ((1, 1), (2, 2), (3, 1))
    )


async def test_one_statement_may_change_a_table_in_several_ways(
    connection: Connection, merchant: CreatedMerchant
) -> None:
    await _run(connection, merchant, _attempts(1, 2))
    new = _attempts(2, 3)
    await _run(
        connection,
        merchant,
        f"{new} ON CONFLICT (id) DO UPDATE SET message = 'again', decline_code = excluded.status",
    )
    more = _attempts(4, 4)
    await _run(
        connection,
        merchant,
        "WITH gone AS (DELETE FROM payment_attempts WHERE id = 'att_1' "
        f"AND merchant_id = :merchant), come AS ({more}), failed AS ("
        "UPDATE payment_attempts SET status = 'failed' WHERE id = 'att_2' "
        "AND merchant_id = :merchant) "
        "UPDATE payment_attempts SET status = 'succeeded' WHERE id = 'att_3' "
        "AND merchant_id = :merchant",
    )
    told = await _told(connection, merchant)
    assert Counter((row["change"], row["object_id"]) for row in told) == Counter(
        [
            *(("insert", f"att_{n}") for n in (1, 2, 3, 4)),
            # Changed twice in one transaction: two changes.
            *(("update", f"att_{n}") for n in (2, 2, 3)),
            ("delete", "att_1"),
        ]
    )
    excluded, failed = (
        row["after"]
        for row in sorted(told, key=lambda row: len(row["after"] or {}), reverse=True)
        if (row["change"], row["object_id"]) == ("update", "att_2")
    )
    assert excluded == {"message": "again", "decline_code": "pending"}
    assert failed == {"status": "failed"}


async def test_a_reset_is_not_told_row_by_row(
    connection: Connection, merchant: CreatedMerchant
) -> None:
    await _run(connection, merchant, _attempts(1, 2))
    await connection.execute("SELECT set_config('durabill.reset', 'on', true)")
    await _run(
        connection,
        merchant,
        "UPDATE payment_attempts SET status = 'failed' WHERE merchant_id = :merchant",
    )
    await _run(connection, merchant, "DELETE FROM payment_attempts WHERE merchant_id = :merchant")
    assert {row["change"] for row in await _told(connection, merchant)} == {"insert"}


async def test_a_row_whose_id_changes_is_told_on_both_sides(
    connection: Connection, merchant: CreatedMerchant
) -> None:
    """Nothing in the product does so; by hand it is not lost either."""
    await _run(connection, merchant, _attempts(1, 1))
    await connection.execute("DROP TRIGGER each_row ON payment_attempts")
    await _name_actors(connection, SEVERAL)
    await _run(
        connection,
        merchant,
        "UPDATE payment_attempts SET id = 'att_9' WHERE merchant_id = :merchant",
    )
    rows = await connection.execute(
        "SELECT object_id, before->>'id' AS was, after->>'id' AS becomes FROM audit_events "
        "WHERE merchant_id = %s AND change = 'update' AND object_type = 'payment_attempts' "
        "ORDER BY object_id",
        [merchant.merchant_id],
    )
    assert await rows.fetchall() == [
        {"object_id": "att_1", "was": "att_1", "becomes": None},
        {"object_id": "att_9", "was": None, "becomes": "att_9"},
    ]


async def test_ids_keep_their_form(connection: Connection, merchant: CreatedMerchant) -> None:
    await _run(connection, merchant, _attempts(1, 20))
    rows = await connection.execute(
        "SELECT id FROM audit_events WHERE merchant_id = %s AND object_type = 'payment_attempts' "
        "ORDER BY created_at, id",
        [merchant.merchant_id],
    )
    ids = [row["id"] for row in await rows.fetchall()]
    assert len(set(ids)) == 40
    for each in ids:
        assert each.startswith("aud_")
        assert len(bytes.fromhex(each.removeprefix("aud_"))) == 16


@pytest.mark.parametrize("table", IN_SETS)
@pytest.mark.parametrize(
    ("actors", "recorded"),
    [
        (None, {"ROW"}),
        ("", {"ROW"}),
        ("|a=workflow:a|", {"ROW"}),
        (SEVERAL, {"STATEMENT"}),
        (f"{SEVERAL}c=workflow:c|", {"STATEMENT"}),
    ],
)
async def test_each_kind_of_change_is_recorded_in_exactly_one_way(
    database_url: str, table: str, actors: str | None, recorded: set[str]
) -> None:
    url = make_url(database_url).set(drivername="postgresql")
    async with await psycopg.AsyncConnection.connect(
        url.render_as_string(hide_password=False), row_factory=dict_row
    ) as connection:
        if actors is not None:
            await _name_actors(connection, actors)
        kinds = Counter[str]()
        for trigger in await _triggers(connection, table):
            events = trigger.partition(" AFTER ")[2].partition(" ON ")[0].split(" OR ")
            if await _holds(connection, trigger):
                kinds.update(events)
                assert trigger.partition(" FOR EACH ")[2].split()[0] in recorded
        assert kinds == {"INSERT": 1, "DELETE": 1, "UPDATE": 1}


async def _triggers(connection: Connection, table: str) -> list[str]:
    rows = await connection.execute(
        "SELECT pg_get_triggerdef(oid) AS told FROM pg_trigger "
        "WHERE tgrelid = %s::regclass AND tgname LIKE 'record_change%%'",
        [table],
    )
    return [row["told"] for row in await rows.fetchall()]


async def _holds(connection: Connection, trigger: str) -> bool:
    """Whether the trigger's condition, which looks at no row, holds here."""
    condition = trigger.partition(" WHEN (")[2].rpartition(") EXECUTE")[0]
    row = await (await connection.execute(f"SELECT {condition} AS holds".encode())).fetchone()
    assert row is not None
    return bool(row["holds"])


@pytest.mark.parametrize(
    ("who", "asked"),
    [
        (WORKFLOW.text(), False),
        (CALLER.text(), True),
        (None, True),
        ("", True),
        ("{}", True),
        # Written otherwise than `Acting.text` does: left to the function.
        ('{"operation":"x","actor":"workflow:y"}', True),
    ],
)
@pytest.mark.parametrize("table", BY_CALLERS_ONLY)
async def test_lines_of_a_workflow_do_not_reach_the_function(
    connection: Connection, table: str, who: str | None, *, asked: bool
) -> None:
    if who is not None:
        await connection.execute("SELECT set_config('durabill.acting', %s, true)", [who])
    (trigger,) = await _triggers(connection, table)
    assert await _holds(connection, trigger) is asked


@pytest.mark.parametrize("table", IN_SETS)
async def test_the_statement_of_a_table_names_each_of_its_columns(
    database_url: str, table: str
) -> None:
    """It was written for the columns of its day: who adds one has it written anew."""
    url = make_url(database_url).set(drivername="postgresql")
    async with await psycopg.AsyncConnection.connect(
        url.render_as_string(hide_password=False), row_factory=dict_row
    ) as connection:
        source = "SELECT prosrc FROM pg_proc WHERE proname = %s"
        written = await (
            await connection.execute(source, [f"record_differences_of_{table}"])
        ).fetchone()
        await connection.execute("SELECT write_record_differences(%s::regclass)", [table])
        anew = await (
            await connection.execute(source, [f"record_differences_of_{table}"])
        ).fetchone()
        await connection.rollback()
    assert written is not None
    assert written == anew


async def test_a_column_that_came_later_is_told_once_it_is_asked_for(
    connection: Connection, merchant: CreatedMerchant
) -> None:
    await _run(connection, merchant, _attempts(1, 2))
    await _run(connection, merchant, "ALTER TABLE payment_attempts ADD later text")
    await _run(connection, merchant, "SELECT write_record_differences('payment_attempts')")
    await _run(
        connection,
        merchant,
        "UPDATE payment_attempts SET later = 'x' || number WHERE merchant_id = :merchant",
    )
    told = [row for row in await _told(connection, merchant) if row["change"] == "update"]
    assert [(row["before"], row["after"]) for row in told] == [
        ({"later": None}, {"later": "x1"})
    ] * 2
