"""Statements on usage conflicts: keys that came again with other content, which is not stored."""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg import AsyncConnection
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.event_rows import EventRow
from models.usage import UsageConflict

_NOTE = """
INSERT INTO usage_conflicts (
    event_id, checksum, merchant_id, source, idempotency_key, timestamp, type, subject,
    external_subject, external_id, properties, times_seen, first_seen_at, last_seen_at
)
SELECT id, checksum, merchant_id, source, idempotency_key, timestamp, type, subject,
    external_subject, external_id, properties, 1, clock_timestamp(), clock_timestamp()
FROM json_to_recordset(%(rows)s::json) AS given (
    id uuid, checksum integer, merchant_id text, source text, idempotency_key text,
    timestamp timestamptz, type text, subject text, external_subject text, external_id text,
    properties jsonb
)
ON CONFLICT (event_id, checksum) DO UPDATE
SET times_seen = usage_conflicts.times_seen + 1, last_seen_at = EXCLUDED.last_seen_at
"""


async def note(connection: AsyncConnection[Any], refused: Sequence[EventRow]) -> None:
    """Remembers the contents that were not stored; the same content again is counted."""
    once = {(event.id, event.checksum): event for event in refused}
    ordered = [once[key] for key in sorted(once)]
    await connection.execute(_NOTE, {"rows": msgspec.json.encode(ordered).decode()})


def newest_first(merchant_id: str) -> SelectOfScalar[UsageConflict]:
    """A merchant's conflicts, the one that was seen last before all others."""
    return (
        select(UsageConflict)
        .where(UsageConflict.merchant_id == merchant_id)
        .order_by(
            col(UsageConflict.last_seen_at).desc(),
            col(UsageConflict.event_id).desc(),
            col(UsageConflict.checksum).desc(),
        )
    )
