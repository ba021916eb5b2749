"""Deleting usage events that are older than their merchant keeps them; what is read stays.

The table is walked once, block by block, for all merchants: no index is needed for it, which the
writing of events would pay for, and each step is short whatever the table holds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.late_usage import LOOKED_BACK_DAYS, LOOKED_BACK_PERIODS

# Until when events may go: what the policy says, but nothing that billing may still read. That is,
# for each subscription that lives or has an invoice that is not final, everything from its oldest
# such period on, and before it as far as late usage is looked for, by whole periods, and by whole
# cycles of usage that is billed at a longer cadence than the plan's; where grants cover usage, also
# what has used them up: since a reset before that, or since they began.
_ADVANCE = """
WITH reading AS (
    SELECT s.merchant_id, s.id AS subscription_id, greatest(
            s.billing_cadence::interval,
            (SELECT max((e ->> 'cadence')::interval) FROM jsonb_array_elements(s.earlier_cycles) e)
        ) AS cadence,
        coalesce(
            min(coalesce(i.ended_from, i.period_start)) FILTER (WHERE i.status = ANY (:open)),
            max(coalesce(i.ended_from, i.period_start)),
            s.started_at
        ) AS since
    FROM subscriptions s
    LEFT JOIN invoices i ON i.merchant_id = s.merchant_id AND i.subscription_id = s.id
    GROUP BY s.merchant_id, s.id
    HAVING s.status <> 'terminated' OR bool_or(i.status = ANY (:open))
), versions AS (
    SELECT merchant_id, subscription_id, plan_version_id FROM invoices
    UNION SELECT merchant_id, subscription_id, arrears_version_id FROM invoices
), cycles AS (
    SELECT v.merchant_id, v.subscription_id, p.billing_cadence::interval AS cadence
    FROM versions v
    JOIN plan_lines l
        ON l.merchant_id = v.merchant_id AND l.plan_version_id = v.plan_version_id
    JOIN prices p ON p.merchant_id = l.merchant_id AND p.id = l.price_id
    WHERE p.billable_metric_id IS NOT NULL AND p.billing_cadence IS NOT NULL
    UNION ALL
    SELECT n.merchant_id, n.subscription_id, n.billing_cadence::interval
    FROM subscription_intervals n
    JOIN prices p ON p.merchant_id = n.merchant_id AND p.id = n.price_id
    WHERE p.billable_metric_id IS NOT NULL
), longest AS (
    SELECT merchant_id, subscription_id, max(cadence) AS cadence
    FROM cycles GROUP BY merchant_id, subscription_id
), allowed AS (
    SELECT e.merchant_id, e.subscription_id, min(e.active_from) AS begun,
        max(g.recurrence_period::interval) AS every,
        bool_or(
            g.recurrence_period IS NULL OR g.reset_max_rollover IS DISTINCT FROM 0
            OR e.template @> '{"preserveOverageAtReset": true}'
        ) AS is_carried
    FROM entitlements e
    JOIN entitlement_grants g ON g.merchant_id = e.merchant_id AND g.entitlement_id = e.id
    GROUP BY e.merchant_id, e.subscription_id
), looking AS (
    SELECT merchant_id, subscription_id, least(
        since - make_interval(days => :days), since - :periods * reading.cadence
    ) - greatest(reading.cadence, longest.cadence) AS since
    FROM reading LEFT JOIN longest USING (merchant_id, subscription_id)
), kept AS (
    SELECT looking.merchant_id, min(least(
        looking.since,
        CASE WHEN is_carried THEN begun ELSE looking.since - every END
    )) AS since
    FROM looking LEFT JOIN allowed USING (merchant_id, subscription_id)
    GROUP BY looking.merchant_id
), cutoffs AS (
    SELECT m.id AS merchant_id,
        least(:now - make_interval(months => m.usage_retention_months), kept.since) AS cutoff
    FROM merchants m LEFT JOIN kept ON kept.merchant_id = m.id
    WHERE m.usage_retention_months IS NOT NULL
), told AS (
    UPDATE merchants SET usage_deleted_before = cutoff FROM cutoffs
    WHERE merchants.id = cutoffs.merchant_id
      AND (usage_deleted_before IS NULL OR usage_deleted_before < cutoff)
), summed AS (
    DELETE FROM usage_days USING cutoffs
    WHERE usage_days.merchant_id = cutoffs.merchant_id AND day < cutoff
)
SELECT merchant_id, cutoff FROM cutoffs ORDER BY merchant_id
"""
_OPEN = ("ACTIVE", "CLOSING", "CLOSED", "CALCULATING", "DRAFT", "FAILED")

_DELETE = """
WITH gone AS (
    DELETE FROM usage_events AS event
    USING json_to_recordset(CAST(:cutoffs AS json)) AS given (m text, t timestamptz)
    WHERE event.ctid >= CAST(:first AS tid) AND event.ctid < CAST(:end AS tid)
      AND event.merchant_id = given.m AND event.timestamp < given.t
    RETURNING event.id, event.merchant_id
), conflicts AS (
    DELETE FROM usage_conflicts USING gone
    WHERE usage_conflicts.merchant_id = gone.merchant_id AND event_id = gone.id
)
SELECT merchant_id, count(*) FROM gone GROUP BY merchant_id
"""
_BLOCKS = """
SELECT pg_relation_size('usage_events') / current_setting('block_size')::integer
"""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Events of a merchant that happened before this instant may go."""

    merchant_id: str
    before: datetime


async def advance(session: AsyncSession, now: datetime) -> list[Cutoff]:
    """The cutoffs of all merchants with a policy, written down before anything is deleted."""
    connection = await session.connection()
    rows = await connection.execute(
        text(_ADVANCE),
        {
            "now": now,
            "open": list(_OPEN),
            "days": LOOKED_BACK_DAYS,
            "periods": LOOKED_BACK_PERIODS,
        },
    )
    return [Cutoff(merchant_id, before) for merchant_id, before in rows]


async def block_count(session: AsyncSession) -> int:
    """How long the walk is."""
    connection = await session.connection()
    return int((await connection.execute(text(_BLOCKS))).scalar_one())


async def delete_in(
    session: AsyncSession, cutoffs: Sequence[Cutoff], blocks: range
) -> Mapping[str, int]:
    """Deletes what these blocks hold and no one keeps; how many events, by merchant."""
    given = [{"m": each.merchant_id, "t": each.before.isoformat()} for each in cutoffs]
    connection = await session.connection()
    rows = await connection.execute(
        text(_DELETE),
        {
            "cutoffs": json.dumps(given),
            "first": f"({blocks.start},0)",
            "end": f"({blocks.stop},0)",
        },
    )
    return {merchant_id: count for merchant_id, count in rows}  # noqa: C416 - no pairs to mypy
