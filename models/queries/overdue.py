"""What should have happened by now and has not: read over all merchants, for the sweep."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.queries import invoices, payments, refunds, reservations, subscriptions, test_clocks
from models.queries.outbox import WorkflowStart

BATCH_SIZE = 200

# Rows in wall time only: a test clock's members are brought on by their clock. The limits are the
# rows' own instants; whoever is a little late is not yet overdue, hence `before`.
_OVERDUE = """
SELECT s.merchant_id, 'subscription/' || s.id
FROM subscriptions s JOIN invoices i ON i.subscription_id = s.id AND i.status = 'ACTIVE'
WHERE s.test_clock_id IS NULL AND s.status = 'active' AND i.next_action_at < :before
UNION ALL
SELECT s.merchant_id, 'subscription/' || s.id FROM subscriptions s
WHERE s.test_clock_id IS NULL AND s.status = 'active' AND s.ending_at < :before
UNION ALL
SELECT s.merchant_id, 'subscription/' || s.id FROM subscriptions s
WHERE s.test_clock_id IS NULL AND s.status = 'pending_payment' AND s.session_expires_at < :before
  AND NOT EXISTS (SELECT FROM invoices i WHERE i.subscription_id = s.id AND i.status = 'DRAFT')
UNION ALL
SELECT i.merchant_id, 'invoice-close/' || i.subscription_id || '/' || i.sequence_number
FROM invoices i JOIN subscriptions s ON s.id = i.subscription_id
WHERE s.test_clock_id IS NULL AND i.status IN ('CLOSING', 'DRAFT') AND i.auto_approve
  AND i.grace_period_end < :before
UNION ALL
SELECT i.merchant_id, 'payment/' || i.id
FROM invoices i JOIN subscriptions s ON s.id = i.subscription_id
WHERE s.test_clock_id IS NULL AND i.status = 'ISSUED' AND s.auto_charge
  AND coalesce(i.next_action_at, i.issued_at) < :before AND s.status <> 'pending_payment'
UNION ALL
SELECT merchant_id, 'refund/' || id FROM refunds
WHERE status = 'ISSUED' AND settled_at IS NULL AND created_at < :before
UNION ALL
SELECT merchant_id, 'payment/' || id FROM payments
WHERE status = 'pending' AND expires_at < :before
UNION ALL
SELECT r.merchant_id, 'reservation/' || r.id
FROM reservations r JOIN subscriptions s ON s.id = r.subscription_id
WHERE s.test_clock_id IS NULL AND r.status = 'reserved' AND r.expires_at < :before
LIMIT :batch
"""


async def workflows(session: AsyncSession, before: datetime) -> list[tuple[str, str]]:
    """The merchants and ids of workflows whose row shows no progress since `before`."""
    connection = await session.connection()
    rows = await connection.execute(text(_OVERDUE), {"before": before, "batch": BATCH_SIZE})
    return [(row[0], row[1]) for row in rows]


async def start_of(
    session: AsyncSession, merchant_id: str, workflow_id: str
) -> WorkflowStart | None:
    """How this workflow is started from the rows as they are; None: its rows need none."""
    kind, _, rest = workflow_id.partition("/")
    argument = await _argument(session, merchant_id, kind, rest)
    if argument is None:
        return None
    return WorkflowStart(
        merchant_id=merchant_id,
        workflow_id=workflow_id,
        workflow_type=_TYPES[kind],
        argument={"merchant_id": merchant_id, **argument},
    )


_TYPES = {
    "subscription": "Subscription",
    "invoice-close": "InvoiceClose",
    "payment": "PaymentCollection",
    "refund": "Refund",
    "reservation": "EntitlementReservation",
}


async def _argument(
    session: AsyncSession, merchant_id: str, kind: str, rest: str
) -> dict[str, Any] | None:
    if kind == "subscription":
        return await _subscription(session, merchant_id, rest)
    if kind == "invoice-close":
        return await _close(session, merchant_id, rest)
    if kind == "payment":
        return await _collection(session, merchant_id, rest)
    if kind == "refund":
        return await _refund(session, merchant_id, rest)
    if kind == "reservation":
        return await _reservation(session, merchant_id, rest)
    return None


async def _clock(
    session: AsyncSession, merchant_id: str, clock_id: str | None
) -> dict[str, str | None]:
    clock = None if clock_id is None else await test_clocks.get(session, merchant_id, clock_id)
    return {
        "clock_id": clock_id,
        "clock_now": None if clock is None else clock.current_time.isoformat(),
    }


async def _subscription(
    session: AsyncSession, merchant_id: str, subscription_id: str
) -> dict[str, Any] | None:
    row = await subscriptions.get(session, merchant_id, subscription_id)
    if row is None or row.status == "terminated":
        return None
    return {
        "subscription_id": row.id,
        **await _clock(session, merchant_id, row.test_clock_id),
    }


async def _close(session: AsyncSession, merchant_id: str, rest: str) -> dict[str, Any] | None:
    subscription_id, _, number = rest.partition("/")
    found = await invoices.of_subscription(
        session, merchant_id, subscription_id, "CLOSING", "DRAFT"
    )
    row = next((each for each in found if str(each.sequence_number) == number), None)
    subscription = await subscriptions.get(session, merchant_id, subscription_id)
    if row is None or subscription is None:
        return None
    return {
        "invoice_id": row.id,
        "subscription_id": subscription_id,
        "grace_period_end": row.grace_period_end.isoformat(),
        **await _clock(session, merchant_id, subscription.test_clock_id),
    }


async def _collection(
    session: AsyncSession, merchant_id: str, collection_id: str
) -> dict[str, Any] | None:
    payment = await payments.get_payment(session, merchant_id, collection_id)
    if payment is not None:
        return {"collection_id": payment.id} if payment.status == "pending" else None
    invoice = await invoices.get(session, merchant_id, collection_id)
    if invoice is None or invoice.status != "ISSUED":
        return None
    subscription = await subscriptions.get(session, merchant_id, invoice.subscription_id)
    clock_id = None if subscription is None else subscription.test_clock_id
    return {"collection_id": invoice.id, **await _clock(session, merchant_id, clock_id)}


async def _refund(session: AsyncSession, merchant_id: str, refund_id: str) -> dict[str, Any] | None:
    row = await refunds.get(session, merchant_id, refund_id)
    if row is None or row.status != "ISSUED" or row.settled_at is not None:
        return None
    return {"refund_id": row.id, "customer_id": row.customer_id, "invoice_id": row.invoice_id}


async def _reservation(
    session: AsyncSession, merchant_id: str, reservation_id: str
) -> dict[str, Any] | None:
    row = await reservations.get(session, merchant_id, reservation_id)
    if row is None or row.status != "reserved":
        return None
    subscription = await subscriptions.get(session, merchant_id, row.subscription_id)
    clock_id = None if subscription is None else subscription.test_clock_id
    return {"reservation_id": row.id, **await _clock(session, merchant_id, clock_id)}
