"""Which invoices have to be read alone, because they bill more than prices and usage; few do.

A question too many costs one invoice a transaction of its own, and never an amount: what is asked
here is wider than what rating then finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models import packing
from models.invoices import Invoice
from models.queries.billed_windows import looked_back_to
from models.queries.terms import Terms

_DEALS = """
SELECT asked.invoice_id
FROM unnest(CAST(:invoice_ids AS text[]), CAST(:subscription_ids AS text[]))
    AS asked(invoice_id, subscription_id)
WHERE EXISTS (
    SELECT FROM adjustments WHERE merchant_id = :merchant_id
    AND subscription_id = asked.subscription_id AND deleted_at IS NULL
) OR EXISTS (
    SELECT FROM subscription_intervals WHERE merchant_id = :merchant_id
    AND subscription_id = asked.subscription_id AND removed_at IS NULL
) OR EXISTS (
    SELECT FROM manual_lines WHERE merchant_id = :merchant_id
    AND subscription_id = asked.subscription_id AND billed_on IS NULL
) OR EXISTS (
    SELECT FROM entitlements WHERE merchant_id = :merchant_id
    AND subscription_id = asked.subscription_id
    AND (template IS NOT NULL OR earlier_terms <> '[]')
) OR EXISTS (
    SELECT FROM usage_charges
    WHERE merchant_id = :merchant_id AND usage_charges.invoice_id = asked.invoice_id
)
"""
_EARLIER = """
SELECT asked.invoice_id, earlier.is_open, earlier.billed_to, earlier.usage_watermark,
    earlier.late_watermark
FROM unnest(
    CAST(:invoice_ids AS text[]), CAST(:subscription_ids AS text[]), CAST(:numbers AS integer[])
) AS asked(invoice_id, subscription_id, number)
CROSS JOIN LATERAL (
    SELECT bool_or(status IN ('ACTIVE', 'CLOSING')) AS is_open,
        max(coalesce(ended_to, period_start)) AS billed_to,
        (array_agg(usage_watermark ORDER BY sequence_number DESC))[1] AS usage_watermark,
        (array_agg(late_watermark ORDER BY sequence_number DESC))[1] AS late_watermark
    FROM invoices
    WHERE merchant_id = :merchant_id AND subscription_id = asked.subscription_id
        AND sequence_number < asked.number AND status NOT IN ('CANCELLED', 'PROJECTED')
    HAVING count(*) > 0
) AS earlier
"""
# What earlier invoices billed by meter, and whether anything of it has moved since.
_MOVED = """
WITH asked AS MATERIALIZED (
    SELECT invoice_id, subscription_id, number, customer_id, external_id, since,
        CAST(watermark AS pg_snapshot) AS seen
    FROM unnest(
        CAST(:invoice_ids AS text[]), CAST(:subscription_ids AS text[]),
        CAST(:numbers AS integer[]), CAST(:customer_ids AS text[]), CAST(:external_ids AS text[]),
        CAST(:since AS timestamptz[]), CAST(:watermarks AS text[])
    ) AS asked(invoice_id, subscription_id, number, customer_id, external_id, since, watermark)
), billed AS MATERIALIZED (
    SELECT asked.*, lines.*
    FROM asked
    CROSS JOIN LATERAL (
        SELECT min(l.period_start) AS start, max(l.period_end) AS until,
            array_agg(DISTINCT m.event_type) AS types,
            bool_or(l.carried <> 0 OR EXISTS (
                SELECT FROM usage_charges c WHERE c.merchant_id = :merchant_id
                AND c.invoice_id = l.invoice_id AND c.is_refund_owed
            )) AS is_owing
        FROM invoices i
        JOIN invoice_lines l ON l.invoice_id = i.id AND l.merchant_id = :merchant_id
        JOIN billable_metrics m ON m.id = l.source_id AND m.merchant_id = :merchant_id
        WHERE i.merchant_id = :merchant_id AND i.subscription_id = asked.subscription_id
            AND i.sequence_number < asked.number AND i.status NOT IN ('CANCELLED', 'PROJECTED')
            AND i.period_end > asked.since AND l.period_end > asked.since
            AND l.kind IN ('metric', 'adjustment')
        HAVING count(*) > 0
    ) AS lines
)
SELECT invoice_id FROM billed
WHERE is_owing OR seen IS NULL OR EXISTS (
    SELECT FROM usage_events e
    WHERE e.merchant_id = :merchant_id AND e.type = ANY(billed.types)
        AND e.subject = ANY(ARRAY[billed.customer_id, billed.subscription_id])
        AND e.timestamp >= billed.start AND e.timestamp < billed.until
        AND NOT pg_visible_in_snapshot(e.transaction_id, billed.seen)
) OR EXISTS (
    SELECT FROM usage_events e
    WHERE e.merchant_id = :merchant_id AND e.type = ANY(billed.types) AND e.subject IS NULL
        AND e.external_subject = billed.external_id
        AND e.timestamp >= billed.start AND e.timestamp < billed.until
        AND NOT pg_visible_in_snapshot(e.transaction_id, billed.seen)
) OR EXISTS (
    SELECT FROM usage_voids v
    WHERE v.merchant_id = :merchant_id AND v.type = ANY(billed.types)
        AND v.timestamp >= billed.start AND v.timestamp < billed.until
)
"""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the invoices before one have billed; `watermark` is None where they disagree."""

    is_open: bool
    billed_to: datetime
    watermark: str | None


async def among(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]
) -> set[str]:
    """The ids of these open invoices for which anything but prices and usage may count."""
    found = {invoice.id for terms, invoice in asked if _fills_wallet(terms)}
    found |= await _with_deals(session, merchant_id, asked)
    earlier = await _earlier(session, merchant_id, asked)
    found |= {invoice_id for invoice_id, each in earlier.items() if each.is_open}
    looking = [pair for pair in asked if pair[1].id in earlier.keys() - found]
    return found | await _moved(session, merchant_id, looking, earlier)


def _fills_wallet(terms: Terms) -> bool:
    is_legacy = terms.plan.billing_version == 0
    return is_legacy and terms.subscription.minimum_account_balance is not None


async def _with_deals(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]
) -> set[str]:
    """Adjustments, intervals, lines that wait, allowances, uses that accrued."""
    connection = await session.connection()
    rows = await connection.execute(text(_DEALS), _named(merchant_id, asked))
    return set(rows.scalars())


async def _earlier(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]
) -> dict[str, _Earlier]:
    numbers = packing.integers([invoice.sequence_number for _, invoice in asked])
    values = {**_named(merchant_id, asked), "numbers": numbers}
    connection = await session.connection()
    rows = await connection.execute(text(_EARLIER), values)
    return {
        invoice_id: _Earlier(is_open, billed_to, usage if usage == late else None)
        for invoice_id, is_open, billed_to, usage, late in rows
    }


async def _moved(
    session: AsyncSession,
    merchant_id: str,
    asked: Sequence[tuple[Terms, Invoice]],
    earlier: dict[str, _Earlier],
) -> set[str]:
    """Whose billed periods have other usage now, or owe something still."""
    if not asked:
        return set()
    values = {
        **_named(merchant_id, asked),
        "numbers": packing.integers([invoice.sequence_number for _, invoice in asked]),
        "customer_ids": packing.texts([terms.customer.id for terms, _ in asked]),
        "external_ids": packing.texts([terms.customer.external_id for terms, _ in asked]),
        "since": packing.few_instants(
            [looked_back_to(terms, earlier[each.id].billed_to) for terms, each in asked]
        ),
        "watermarks": packing.texts([earlier[invoice.id].watermark for _, invoice in asked]),
    }
    connection = await session.connection()
    rows = await connection.execute(text(_MOVED), values)
    return set(rows.scalars())


def _named(merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]) -> dict[str, Any]:
    return {
        "merchant_id": merchant_id,
        "invoice_ids": packing.texts([invoice.id for _, invoice in asked]),
        "subscription_ids": packing.texts([invoice.subscription_id for _, invoice in asked]),
    }
