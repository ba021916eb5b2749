"""The statements of invoices, their lines and numbers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import sqlmodel
from sqlalchemy import Text, case, cast, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models import row_sets
from models.base import wall_now
from models.invoices import Invoice, InvoiceCounter, InvoiceLine
from models.row_sets import is_among
from models.subscriptions import Subscription


async def get(
    session: AsyncSession, merchant_id: str, invoice_id: str, *, lock: bool = False
) -> Invoice | None:
    """The invoice, whatever its state."""
    statement = select(Invoice).where(
        col(Invoice.merchant_id) == merchant_id, col(Invoice.id) == invoice_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def of_subscription(
    session: AsyncSession, merchant_id: str, subscription_id: str, *statuses: str
) -> list[Invoice]:
    """The subscription's invoices in these states, oldest first."""
    rows = await session.exec(
        select(Invoice)
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id) == subscription_id,
            col(Invoice.status).in_(statuses),
        )
        .order_by(col(Invoice.sequence_number))
    )
    return list(rows.all())


async def due_at(
    session: AsyncSession, merchant_id: str, instants: Collection[datetime]
) -> dict[datetime, int]:
    """How many of a merchant's invoices wait for each of these instants; 0 is left out."""
    due = col(Invoice.next_action_at)
    rows = await session.exec(
        select(due, func.count())
        .where(col(Invoice.merchant_id) == merchant_id, due.in_(instants))
        .group_by(due)
    )
    return {instant: count for instant, count in rows if instant is not None}


async def still_closing(
    session: AsyncSession, merchant_id: str, subscription_id: str
) -> list[Invoice]:
    """Those whose lines are not stored yet, and will not be before this transaction has ended.

    Lines that are stored are read after this: what closes at the same time is seen either way.
    """
    rows = await session.exec(
        select(Invoice)
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id) == subscription_id,
            col(Invoice.status) == "CLOSING",
        )
        .order_by(col(Invoice.id))
        .with_for_update(key_share=True)
    )
    return sorted(rows.all(), key=attrgetter("sequence_number"))


async def due_before(
    session: AsyncSession, merchant_id: str, invoice_id: str, now: datetime
) -> list[str]:
    """The ids of its subscription's earlier invoices whose grace has ended and that only close."""
    own = aliased(Invoice)
    rows = await session.exec(
        select(col(Invoice.id))
        .join(own, col(own.subscription_id) == col(Invoice.subscription_id))
        .where(
            col(own.merchant_id) == merchant_id,
            col(own.id) == invoice_id,
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.sequence_number) < col(own.sequence_number),
            col(Invoice.status) == "CLOSING",
            col(Invoice.grace_period_end) <= now,
        )
        .order_by(col(Invoice.sequence_number))
    )
    return list(rows.all())


async def first_of(
    session: AsyncSession, merchant_id: str, subscription_id: str, *, lock: bool = False
) -> Invoice | None:
    """The subscription's invoice of sequence number 0."""
    statement = select(Invoice).where(
        col(Invoice.merchant_id) == merchant_id,
        col(Invoice.subscription_id) == subscription_id,
        col(Invoice.sequence_number) == 0,
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def last_of(session: AsyncSession, merchant_id: str, subscription_id: str) -> Invoice | None:
    """The subscription's invoice of the highest sequence number."""
    rows = await session.exec(
        select(Invoice)
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id) == subscription_id,
        )
        .order_by(col(Invoice.sequence_number).desc())
        .limit(1)
    )
    return rows.first()


async def add(session: AsyncSession, invoice: Invoice) -> bool:
    """Inserts under the derived id; False when a retry finds it there."""
    values = invoice.model_dump()
    done = await session.exec(
        insert(Invoice).values(**values).on_conflict_do_nothing().returning(col(Invoice.id))
    )
    return done.scalar_one_or_none() is not None


async def add_all(session: AsyncSession, added: Sequence[Invoice]) -> set[str]:
    """Inserts each under its derived id; returns the ids of those that did not stand already."""
    return await row_sets.insert_new(session, Invoice, [each.model_dump() for each in added])


async def change(session: AsyncSession, merchant_id: str, invoice_id: str, **changes: Any) -> None:
    """Writes some columns."""
    await session.exec(
        update(Invoice)
        .where(col(Invoice.merchant_id) == merchant_id, col(Invoice.id) == invoice_id)
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


async def locked(
    session: AsyncSession, merchant_id: str, invoice_ids: Collection[str]
) -> list[Invoice]:
    """These invoices, locked in the order of their ids."""
    return await row_sets.of_ids(session, Invoice, merchant_id, invoice_ids, lock=True)


async def change_all(
    session: AsyncSession, merchant_id: str, changes: Sequence[row_sets.Change]
) -> None:
    """Writes some columns of each, which the loaded rows are told; a statement a set of columns."""
    now = wall_now()
    stamped = [row_sets.Change(each.row, {"updated_at": now, **each.columns}) for each in changes]
    await row_sets.change(session, Invoice, merchant_id, stamped)


async def replace_lines(
    session: AsyncSession, merchant_id: str, lines: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Stores drafts' lines, by invoice; a draft made again replaces its lines."""
    await session.exec(
        delete(InvoiceLine)
        .where(
            col(InvoiceLine.merchant_id) == merchant_id,
            is_among(col(InvoiceLine.invoice_id), lines),
        )
        .execution_options(synchronize_session=False)
    )
    rows = [columns for each in lines.values() for columns in each]
    await row_sets.insert(session, InvoiceLine, rows)


async def lines_of(
    session: AsyncSession, merchant_id: str, invoice_ids: Sequence[str]
) -> list[InvoiceLine]:
    """The stored lines of these invoices, in order."""
    rows = await session.exec(
        select(InvoiceLine)
        .where(
            col(InvoiceLine.merchant_id) == merchant_id,
            col(InvoiceLine.invoice_id).in_(invoice_ids),
        )
        .order_by(col(InvoiceLine.invoice_id), col(InvoiceLine.position))
    )
    return list(rows.all())


async def take_numbers(session: AsyncSession, merchant_id: str, month: str, count: int) -> range:
    """The merchant's next numbers of the month; given back if the transaction fails: no gaps."""
    number = await session.exec(
        insert(InvoiceCounter)
        .values(merchant_id=merchant_id, month=month, last_number=count)
        .on_conflict_do_update(
            index_elements=[col(InvoiceCounter.merchant_id), col(InvoiceCounter.month)],
            set_={"last_number": col(InvoiceCounter.last_number) + count},
        )
        .returning(col(InvoiceCounter.last_number))
    )
    last: int = number.scalar_one()
    return range(last - count + 1, last + 1)


async def snapshot(session: AsyncSession) -> str:
    """The transaction snapshot: which events a draft could see (its usage watermark)."""
    value = await session.exec(select(cast(func.pg_current_snapshot(), Text)))
    return str(value.one())


OPEN_STATUSES = ("ACTIVE", "CLOSING")
"""The states in which an invoice's lines are derived at each read."""


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """What a list of invoices may be narrowed by."""

    status: str | None = None
    subscription_id: str | None = None
    customer_id: str | None = None


def newest_first(merchant_id: str, narrowed: InvoiceFilter) -> SelectOfScalar[Invoice]:
    """A merchant's invoices, as far as the filter lets them through."""
    statement = sqlmodel.select(Invoice).where(Invoice.merchant_id == merchant_id)
    if narrowed.status == "FAILED":
        statement = statement.where(col(Invoice.failure_reason).is_not(None))
    elif narrowed.status is not None:
        statement = statement.where(Invoice.status == narrowed.status)
    if narrowed.status == "CLOSING":
        statement = statement.where(col(Invoice.failure_reason).is_(None))
    if narrowed.subscription_id is not None:
        statement = statement.where(Invoice.subscription_id == narrowed.subscription_id)
    if narrowed.customer_id is not None:
        statement = statement.where(Invoice.customer_id == narrowed.customer_id)
    return statement.order_by(
        col(Invoice.created_at).desc(), col(Invoice.sequence_number).desc(), col(Invoice.id).desc()
    )


async def line_counts(
    session: AsyncSession, merchant_id: str, invoice_ids: Collection[str]
) -> dict[str, int]:
    """How many stored lines each of these invoices has; one without lines is left out."""
    rows = await session.exec(
        select(col(InvoiceLine.invoice_id), func.count())
        .where(
            col(InvoiceLine.merchant_id) == merchant_id,
            col(InvoiceLine.invoice_id).in_(invoice_ids),
        )
        .group_by(col(InvoiceLine.invoice_id))
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class LineScope:
    """Whose lines are read: a subscription's, or only one of its invoices'."""

    merchant_id: str
    subscription_id: str
    invoice_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredLines:
    """A page of stored lines with their invoices, how many there are, and what fees come to."""

    page: Sequence[tuple[InvoiceLine, Invoice]]
    count: int
    fee_subtotal: Decimal


NO_LINES = StoredLines((), 0, Decimal(0))


async def stored_lines(
    session: AsyncSession, scope: LineScope, *, limit: int, offset: int
) -> StoredLines:
    """The lines of invoices that are no longer open, the newest invoice's first."""
    wanted = [
        col(Invoice.merchant_id) == scope.merchant_id,
        col(Invoice.subscription_id) == scope.subscription_id,
        col(Invoice.status).not_in(OPEN_STATUSES),
    ]
    if scope.invoice_id is not None:
        wanted.append(col(Invoice.id) == scope.invoice_id)
    fees = case((col(InvoiceLine.kind) != "metric", col(InvoiceLine.total_price)), else_=0)
    totals = (
        select(func.count(), func.coalesce(func.sum(fees), 0))
        .select_from(InvoiceLine)
        .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
        .where(*wanted)
    )
    page = (
        select(InvoiceLine, Invoice)
        .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
        .where(*wanted)
        .order_by(col(Invoice.sequence_number).desc(), col(InvoiceLine.position))
        .limit(limit)
        .offset(offset)
    )
    count, fee_subtotal = (await session.exec(totals)).one()
    rows = (await session.exec(page)).all()
    return StoredLines([(line, invoice) for line, invoice in rows], count, Decimal(fee_subtotal))


async def unpaid_automatic(session: AsyncSession, merchant_id: str, customer_id: str) -> list[str]:
    """The customer's issued, unpaid invoices that are collected from a saved card."""
    rows = await session.exec(
        select(col(Invoice.id))
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id))
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.customer_id) == customer_id,
            col(Invoice.status) == "ISSUED",
            col(Subscription.auto_charge),
        )
        .order_by(col(Invoice.id))
    )
    return list(rows.all())
