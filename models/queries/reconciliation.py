"""Reading what reconciliation proves, over all merchants in one snapshot; it changes nothing."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.invoices import Invoice, InvoiceLine

# What a customer owes is booked at the issue and stands until it is paid or taken back.
OWING = ("ISSUED", "PAYMENT_FAILED")
STORED = ("DRAFT", "ISSUED", "PAID", "PAYMENT_FAILED", "CANCELLED", "WRITTEN_OFF")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payment attempt as our rows tell it."""

    collection_id: str
    status: str
    amount: Decimal
    currency: str


async def freeze(session: AsyncSession) -> None:
    """Makes every following statement see the same moment."""
    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def stored_invoices(session: AsyncSession, after: str, limit: int) -> list[Invoice]:
    """Invoices with stored lines, in the order of their ids."""
    rows = await session.exec(
        select(Invoice)
        .where(col(Invoice.status).in_(STORED), col(Invoice.id) > after)
        .order_by(col(Invoice.id))
        .limit(limit)
    )
    return list(rows.all())


async def lines_by_invoice(
    session: AsyncSession, invoice_ids: list[str]
) -> dict[str, list[InvoiceLine]]:
    """The stored lines of these invoices."""
    rows = await session.exec(
        select(InvoiceLine).where(col(InvoiceLine.invoice_id).in_(invoice_ids))
    )
    found: dict[str, list[InvoiceLine]] = {}
    for line in rows.all():
        found.setdefault(line.invoice_id, []).append(line)
    return found


async def wrong_receivable(session: AsyncSession) -> tuple[str, str, Decimal, Decimal] | None:
    """The first customer whose receivable is not what his invoices leave unpaid.

    A wallet charge is booked when it is paid, so an unpaid one is no receivable.
    """
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                WITH owed AS (
                    SELECT customer_id, currency,
                           sum(grand_total - wallet_charge - paid_amount) AS amount
                    FROM invoices WHERE status = ANY(:owing) GROUP BY customer_id, currency
                ), booked AS (
                    SELECT owner_id AS customer_id, currency, balance AS amount
                    FROM ledger_accounts WHERE kind = 'customer_receivable'
                )
                SELECT coalesce(o.customer_id, b.customer_id), coalesce(o.currency, b.currency),
                       coalesce(o.amount, 0), coalesce(b.amount, 0)
                FROM owed o FULL JOIN booked b
                  ON b.customer_id = o.customer_id AND b.currency = o.currency
                WHERE coalesce(o.amount, 0) <> coalesce(b.amount, 0)
                ORDER BY 1 LIMIT 1
                """
            ),
            {"owing": list(OWING)},
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2], row[3])


async def wrong_hold(session: AsyncSession) -> tuple[str, Decimal, Decimal] | None:
    """The first customer whose reserved funds are not what his open holds still hold."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                WITH held AS (
                    SELECT customer_id, currency, sum(amount - consumed_amount) AS amount
                    FROM reservations WHERE status = 'reserved' GROUP BY customer_id, currency
                ), booked AS (
                    SELECT owner_id AS customer_id, currency, -balance AS amount
                    FROM ledger_accounts WHERE kind = 'reserved_funds'
                )
                SELECT coalesce(h.customer_id, b.customer_id),
                       coalesce(h.amount, 0), coalesce(b.amount, 0)
                FROM held h FULL JOIN booked b
                  ON b.customer_id = h.customer_id AND b.currency = h.currency
                WHERE coalesce(h.amount, 0) <> coalesce(b.amount, 0)
                ORDER BY 1 LIMIT 1
                """
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2])


async def wrong_credit(session: AsyncSession) -> tuple[str, str, Decimal, Decimal] | None:
    """The first customer whose standing credits are not what the ledger owes him for them."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                WITH standing AS (
                    SELECT customer_id, currency, sum(total) AS amount
                    FROM customer_credits WHERE status = 'standing' GROUP BY customer_id, currency
                ), booked AS (
                    SELECT owner_id AS customer_id, currency, -balance AS amount
                    FROM ledger_accounts WHERE kind = 'customer_credit'
                )
                SELECT coalesce(s.customer_id, b.customer_id), coalesce(s.currency, b.currency),
                       coalesce(s.amount, 0), coalesce(b.amount, 0)
                FROM standing s FULL JOIN booked b
                  ON b.customer_id = s.customer_id AND b.currency = s.currency
                WHERE coalesce(s.amount, 0) <> coalesce(b.amount, 0)
                ORDER BY 1 LIMIT 1
                """
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2], row[3])


async def unowed_rests(session: AsyncSession) -> list[tuple[str, str, str, Decimal]]:
    """Credits behind the issued last invoice of an ended subscription that became none of his.

    Subscription, line, currency, and what is left.
    """
    connection = await session.connection()
    rows = (
        await connection.execute(
            text(
                """
                SELECT l.subscription_id, l.id, l.currency, -l.quantity * l.unit_price
                FROM manual_lines l
                JOIN subscriptions s ON s.id = l.subscription_id AND s.status = 'terminated'
                WHERE l.billed_on IS NULL AND l.quantity * l.unit_price < 0
                  AND EXISTS (
                    SELECT FROM invoices i WHERE i.subscription_id = l.subscription_id
                      AND i.ended_to IS NOT NULL AND i.coming_to IS NULL
                      AND i.issued_at IS NOT NULL)
                  AND NOT EXISTS (SELECT FROM customer_credits c WHERE c.line_id = l.id)
                ORDER BY 1, 2
                """
            )
        )
    ).all()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def number_gap(session: AsyncSession) -> tuple[str, str, int, int] | None:
    """The first merchant's month whose numbers taken and invoices numbered differ."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                SELECT c.merchant_id, c.month, c.last_number - c.reset_count, count(i.id)
                FROM invoice_counters c
                LEFT JOIN invoices i ON i.merchant_id = c.merchant_id
                  AND i.invoice_number LIKE 'INV-' || c.month || '-%'
                GROUP BY c.merchant_id, c.month, c.last_number, c.reset_count
                HAVING count(i.id) <> c.last_number - c.reset_count ORDER BY 1, 2 LIMIT 1
                """
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2], row[3])


async def period_gap(session: AsyncSession) -> tuple[str, int] | None:
    """The first subscription whose invoices leave out, repeat or overlap a period; a pause may."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                SELECT subscription_id, sequence_number FROM (
                    SELECT subscription_id, sequence_number, ended_from, resumed_at,
                           lag(ended_to) OVER w AS previous_to,
                           lag(coming_to) OVER w AS previous_coming_to,
                           lag(sequence_number) OVER w AS previous_number
                    FROM invoices
                    WINDOW w AS (PARTITION BY subscription_id ORDER BY sequence_number)
                ) AS chain
                WHERE previous_number <> sequence_number - 1
                   OR (previous_to <> ended_from AND NOT coalesce(
                         previous_coming_to = previous_to
                         AND ended_from = resumed_at AND ended_from > previous_to, FALSE))
                ORDER BY 1, 2 LIMIT 1
                """
            )
        )
    ).first()
    return None if row is None else (row[0], row[1])


async def wrong_use(session: AsyncSession) -> tuple[str, str, Decimal, Decimal] | None:
    """The first charged use whose payment or refund is not what the ledger moved for it."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                WITH told AS (
                    SELECT id, 'usage_charged' AS kind, paid_price + paid_tax AS amount
                    FROM usage_charges
                    UNION ALL
                    SELECT id, 'usage_refunded', paid_price + paid_tax
                    FROM usage_charges WHERE refunded_at IS NOT NULL
                ), booked AS (
                    SELECT t.document_id AS id, t.kind, sum(e.amount) AS amount
                    FROM ledger_transfers t JOIN ledger_entries e ON e.transfer_id = t.id
                    WHERE t.kind IN ('usage_charged', 'usage_refunded') AND e.amount > 0
                    GROUP BY 1, 2
                )
                SELECT coalesce(t.id, b.id), coalesce(t.kind, b.kind),
                       coalesce(t.amount, 0), coalesce(b.amount, 0)
                FROM told t FULL JOIN booked b ON b.id = t.id AND b.kind = t.kind
                WHERE coalesce(t.amount, 0) <> coalesce(b.amount, 0)
                ORDER BY 1, 2 LIMIT 1
                """
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2], row[3])


async def wrong_wallet_charge(session: AsyncSession) -> tuple[str, Decimal, Decimal] | None:
    """The first invoice whose paid wallet charge is not what reached the wallet."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                """
                WITH booked AS (
                    SELECT a.collection_id AS id, sum(e.amount) AS amount
                    FROM ledger_transfers t
                    JOIN ledger_entries e ON e.transfer_id = t.id
                    JOIN payment_attempts a ON a.id = t.document_id
                    WHERE t.kind = 'wallet_topped_up' AND e.amount > 0
                    GROUP BY 1
                )
                SELECT i.id, i.wallet_charge, coalesce(b.amount, 0)
                FROM invoices i LEFT JOIN booked b ON b.id = i.id
                WHERE CASE i.status WHEN 'PAID' THEN i.wallet_charge ELSE 0 END
                      <> coalesce(b.amount, 0)
                ORDER BY 1 LIMIT 1
                """
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2])


async def given_back(session: AsyncSession) -> dict[str, tuple[Decimal, Decimal]]:
    """By the keys of attempts that are still here: what went back of them, and what is to go."""
    connection = await session.connection()
    rows = await connection.execute(
        text(
            "SELECT a.id, "
            "coalesce(sum(r.total) FILTER (WHERE r.gateway_refund_id IS NOT NULL), 0), "
            "coalesce(sum(r.total) FILTER "
            "(WHERE r.gateway_refund_id IS NOT NULL OR r.status = 'ISSUED'), 0) "
            "FROM payment_attempts a "
            "LEFT JOIN refunds r ON r.gateway_charge_id = a.gateway_charge_id "
            "WHERE a.status = 'succeeded' AND a.gateway_method_id <> '' GROUP BY a.id"
        )
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def attempts(session: AsyncSession) -> dict[str, Attempt]:
    """All attempts that reached a gateway, by the key that it knows them by.

    Those whose rows a reset has deleted too: the gateway's book still has their charges.
    """
    connection = await session.connection()
    rows = await connection.execute(
        text(
            "SELECT id, collection_id, status, amount, currency FROM payment_attempts "
            "WHERE gateway_method_id <> '' UNION ALL "
            "SELECT id, collection_id, status, amount, currency FROM forgotten_attempts "
            "WHERE gateway_method_id <> ''"
        )
    )
    return {row[0]: Attempt(row[1], row[2], row[3], row[4]) for row in rows}
