"""How a closed period, or an issued invoice, gets the workflow that goes on with it; none is here.

In wall time the outbox owes the start. On a test clock the member's row says enough: an advance
under way starts whoever is due, and while the clock rests the outbox owes what is due already.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.queries.outbox import CHANNEL, WorkflowStart
from models.queries.test_clocks import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A workflow that a transaction needs; before `due_at` it has nothing to do on its clock."""

    start: WorkflowStart
    clock_id: str | None
    due_at: datetime | None = None


# The clock's row is locked against being moved until the transaction ends: a clock that is found
# on its way looks for members once more after its last step, and then finds this one.
_HAND_OVER = """
WITH owing AS (
    SELECT * FROM jsonb_to_recordset(CAST(:owing AS jsonb)) AS owing(
        workflow_id text, merchant_id text, workflow_type text, argument jsonb, clock_id text,
        due_at timestamptz
    )
), clock AS (
    SELECT id, merchant_id, "current_time" AS now, "current_time" < target_time AS moves
    FROM test_clocks WHERE id IN (SELECT clock_id FROM owing) ORDER BY id FOR SHARE
), member AS (
    INSERT INTO test_clock_members (workflow_id, merchant_id, clock_id, due_at, created_at)
    SELECT workflow_id, merchant_id, clock_id, due_at, now() FROM owing WHERE clock_id IS NOT NULL
    ON CONFLICT (workflow_id) DO UPDATE SET ended_at = NULL, due_at = excluded.due_at
), owed AS (
    INSERT INTO outbox (workflow_id, merchant_id, workflow_type, argument, created_at)
    SELECT o.workflow_id, o.merchant_id, o.workflow_type,
        o.argument || jsonb_build_object('clock_id', clock.id, 'clock_now', clock.now), now()
    FROM owing o LEFT JOIN clock ON clock.id = o.clock_id AND clock.merchant_id = o.merchant_id
    WHERE o.clock_id IS NULL
        OR NOT clock.moves AND (o.due_at IS NULL OR o.due_at <= clock.now)
    ON CONFLICT DO NOTHING
    RETURNING workflow_id
)
SELECT pg_notify(:channel, '') FROM owed
"""


async def hand_over(session: AsyncSession, handovers: Sequence[Handover]) -> None:
    """Owes these workflows' starts, each once; the relay hears of it when this commits."""
    if not handovers:
        return
    owing = [
        {
            "workflow_id": each.start.workflow_id,
            "merchant_id": each.start.merchant_id,
            "workflow_type": each.start.workflow_type,
            "argument": each.start.argument,
            "clock_id": each.clock_id,
            "due_at": None if each.due_at is None else each.due_at.isoformat(),
        }
        for each in handovers
    ]
    connection = await session.connection()
    await connection.execute(text(_HAND_OVER), {"owing": json.dumps(owing), "channel": CHANNEL})


# Whose rows still need them; for any other the clock has to look what became of it.
_STARTS = """
SELECT 'invoice-close/' || i.subscription_id || '/' || i.sequence_number, 'InvoiceClose',
    jsonb_build_object(
        'merchant_id', i.merchant_id, 'customer_id', i.customer_id, 'invoice_id', i.id,
        'subscription_id', i.subscription_id, 'grace_period_end', i.grace_period_end
    )
FROM unnest(CAST(:workflow_ids AS text[])) AS wanted(id)
JOIN invoices i ON i.subscription_id = split_part(wanted.id, '/', 2)
    AND i.sequence_number::text = split_part(wanted.id, '/', 3)
WHERE wanted.id LIKE 'invoice-close/%' AND i.merchant_id = :merchant_id
    AND i.status IN ('CLOSING', 'DRAFT')
UNION ALL
SELECT 'payment/' || i.id, 'PaymentCollection',
    jsonb_build_object(
        'merchant_id', i.merchant_id, 'customer_id', i.customer_id, 'collection_id', i.id,
        'subscription_id', i.subscription_id
    )
FROM unnest(CAST(:workflow_ids AS text[])) AS wanted(id)
JOIN invoices i ON i.id = split_part(wanted.id, '/', 2)
WHERE wanted.id LIKE 'payment/%' AND i.merchant_id = :merchant_id AND i.status = 'ISSUED'
"""


async def starts_on(
    session: AsyncSession, merchant_id: str, clock: Reading, workflow_ids: Collection[str]
) -> dict[str, WorkflowStart]:
    """How those of a clock's members are started whose rows need them; they may run already."""
    connection = await session.connection()
    rows = await connection.execute(
        text(_STARTS), {"merchant_id": merchant_id, "workflow_ids": list(workflow_ids)}
    )
    return {
        workflow_id: WorkflowStart(
            merchant_id=merchant_id,
            workflow_id=workflow_id,
            workflow_type=workflow_type,
            argument={**argument, "clock_id": clock.clock_id, "clock_now": clock.now.isoformat()},
        )
        for workflow_id, workflow_type, argument in rows
    }
