"""Events in: one statement for many rows, on a pipe or a connection of its own; it reads nothing.

What is new is told by the ids that come back: an event whose key is known is not stored again.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from psycopg import AsyncConnection, AsyncRawCursor

from models import packing
from models.database import Database
from models.event_rows import EventRow
from models.packing import Packed
from models.statement_pipe import StatementPipe

# OFFSET 0 keeps a subquery by itself: one look into the index for each row, whatever the planner
# knew of the table when the statement was prepared. As a join it might read the whole table.
_APPEND: Final = """
WITH paths AS (
    INSERT INTO usage_quantity_paths (merchant_id, type, path)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
    ON CONFLICT DO NOTHING
)
INSERT INTO usage_events (
    id, timestamp, created_at, checksum, merchant_id, type, subject, external_subject, source,
    idempotency_key, external_id, quantity, properties
)
SELECT i, t, clock_timestamp(), c, m, y, s, x, o, k, e, q::numeric, d
FROM unnest(
    $4::uuid[], $5::timestamptz[], $6::integer[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[], $12::text[], $13::text[], $14::text[], $15::jsonb[]
) AS given (i, t, c, m, y, s, x, o, k, e, q, d)
"""
# What PostgreSQL does for a conflict costs more than looking first, where there is none.
_WITHOUT_RIVALS: Final = f"""{_APPEND}
WHERE NOT EXISTS (SELECT FROM usage_events WHERE id = i OFFSET 0)
RETURNING id
"""
_BESIDE_RIVALS: Final = f"""{_APPEND}
ON CONFLICT DO NOTHING
RETURNING id
"""
_KNOWN: Final = """
SELECT i, stored.checksum <> c
FROM unnest($1::uuid[], $2::integer[]) AS given (i, c),
     LATERAL (SELECT checksum FROM usage_events WHERE id = i OFFSET 0) AS stored
"""
_PARAMETERS: Final = 15


def _packed(events: Iterable[EventRow]) -> list[Packed]:
    """The parameters of the statement."""
    # In the order of their ids: two statements with the same events cannot wait for each other.
    ordered = sorted(events, key=_id_of)
    merchant_ids = [event.merchant_id for event in ordered]
    types = [event.type for event in ordered]
    read_by = [event.quantity_path for event in ordered]
    paths = sorted(set(zip(merchant_ids, types, read_by, strict=True)))
    return [
        packing.texts([merchant_id for merchant_id, _, _ in paths]),
        packing.texts([kind for _, kind, _ in paths]),
        packing.texts([path for _, _, path in paths]),
        packing.uuids([event.id for event in ordered]),
        packing.instants([event.timestamp for event in ordered]),
        packing.integers([event.checksum for event in ordered]),
        packing.texts(merchant_ids),
        packing.texts(types),
        packing.texts([event.subject for event in ordered]),
        packing.texts([event.external_subject for event in ordered]),
        packing.texts([event.source for event in ordered]),
        packing.texts([event.idempotency_key for event in ordered]),
        packing.texts([event.external_id for event in ordered]),
        packing.texts([event.quantity for event in ordered]),
        packing.documents([event.properties for event in ordered]),
    ]


def _id_of(event: EventRow) -> str:
    return event.id


async def opened(database: Database) -> StatementPipe:
    """A pipe for `append`."""
    connection = await database.connect()
    return await StatementPipe.opened(connection, _WITHOUT_RIVALS.encode(), _PARAMETERS)


async def append(pipe: StatementPipe, events: Sequence[EventRow]) -> list[bool] | None:
    """Stores the events; whether each is new (its first time, also in here); None: all are new.

    Raises UniqueViolation, and stores nothing, where another stores one of them at this moment.
    """
    firsts = {event.id: event for event in reversed(events)}
    stored = await pipe.run(_packed(firsts.values()))
    if stored.ntuples == len(events):
        return None
    ids = (stored.get_value(row, 0) for row in range(stored.ntuples))
    return _first_times(events, {key.hex() for key in ids if key is not None})


async def append_beside_rivals(
    connection: AsyncConnection[Any], events: Sequence[EventRow]
) -> list[bool] | None:
    """As `append`, on any connection; where another stores one of them, this waits for it."""
    async with AsyncRawCursor(connection) as cursor:
        await cursor.execute(_BESIDE_RIVALS, _packed(events))
        if cursor.rowcount == len(events):
            return None
        return _first_times(events, {key.hex for (key,) in await cursor.fetchall()})


async def known(connection: AsyncConnection[Any], events: Sequence[EventRow]) -> dict[str, bool]:
    """Those of the events that are stored, by id; whether their content may be another."""
    ids = packing.uuids([event.id for event in events])
    checksums = packing.integers([event.checksum for event in events])
    async with AsyncRawCursor(connection) as cursor:
        await cursor.execute(_KNOWN, [ids, checksums])
        return {key.hex: differs for key, differs in await cursor.fetchall()}


def _first_times(events: Sequence[EventRow], fresh: set[str]) -> list[bool]:
    created = []
    for event in events:
        created.append(event.id in fresh)
        fresh.discard(event.id)
    return created
