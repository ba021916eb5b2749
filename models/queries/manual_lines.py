"""The statements of manual lines: which wait for an invoice, and what an invoice has taken."""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing import manual_lines as rules
from billing.ids import derived_id
from billing.periods import Period
from billing.plan_change import kept_change
from billing.rating import RatedLine
from models.base import wall_now
from models.invoices import Invoice
from models.manual_lines import ManualLine
from models.queries.terms import SourceNames, Terms, rate_of


async def get(session: AsyncSession, merchant_id: str, line_id: str) -> ManualLine | None:
    """The line, billed or not."""
    rows = await session.exec(
        select(ManualLine).where(
            col(ManualLine.merchant_id) == merchant_id, col(ManualLine.id) == line_id
        )
    )
    return rows.first()


async def by_key(
    session: AsyncSession, merchant_id: str, idempotency_key: str
) -> ManualLine | None:
    """The line that this key made."""
    rows = await session.exec(
        select(ManualLine).where(
            col(ManualLine.merchant_id) == merchant_id,
            col(ManualLine.idempotency_key) == idempotency_key,
        )
    )
    return rows.first()


async def add(session: AsyncSession, line: ManualLine) -> bool:
    """Inserts it; False when its key or its derived id is taken."""
    done = await session.exec(
        insert(ManualLine)
        .values(**line.model_dump())
        .on_conflict_do_nothing()
        .returning(col(ManualLine.id))
    )
    return done.scalar_one_or_none() is not None


async def waiting_for(session: AsyncSession, invoice: Invoice) -> list[ManualLine]:
    """The lines that this open invoice takes if it closes now, oldest first.

    Where an older invoice is open too, what falls before its end is that one's. The last invoice
    of a subscription takes everything that is left.
    """
    free: list[ColumnElement[bool]] = [col(ManualLine.invoice_id).is_(None)]
    if invoice.coming_to is not None or invoice.ended_to is None:
        free.append(col(ManualLine.invoice_at) < (invoice.ended_to or invoice.period_start))
    if invoice.ended_from is not None and await _has_older_open(session, invoice):
        free.append(col(ManualLine.invoice_at) >= invoice.ended_from)
    rows = await session.exec(
        select(ManualLine)
        .where(
            col(ManualLine.merchant_id) == invoice.merchant_id,
            col(ManualLine.subscription_id) == invoice.subscription_id,
            col(ManualLine.billed_on).is_(None),
            or_(col(ManualLine.invoice_id) == invoice.id, and_(*free)),
        )
        .order_by(col(ManualLine.created_at), col(ManualLine.id))
    )
    return list(rows.all())


async def unbilled(
    session: AsyncSession, merchant_id: str, subscription_id: str
) -> list[ManualLine]:
    """All lines of a subscription that no draft has taken, oldest first."""
    rows = await session.exec(
        select(ManualLine)
        .where(
            col(ManualLine.merchant_id) == merchant_id,
            col(ManualLine.subscription_id) == subscription_id,
            col(ManualLine.billed_on).is_(None),
        )
        .order_by(col(ManualLine.created_at), col(ManualLine.id))
    )
    return list(rows.all())


async def _has_older_open(session: AsyncSession, invoice: Invoice) -> bool:
    older = await session.exec(
        select(col(Invoice.id))
        .where(
            col(Invoice.merchant_id) == invoice.merchant_id,
            col(Invoice.subscription_id) == invoice.subscription_id,
            col(Invoice.status).in_(("ACTIVE", "CLOSING")),
            col(Invoice.sequence_number) < invoice.sequence_number,
        )
        .limit(1)
    )
    return older.first() is not None


def rated(terms: Terms, row: ManualLine) -> RatedLine:
    """The line with its tax."""
    found = rate_of(terms)
    line = rules.ManualLine(
        line_id=row.id,
        display_name=row.display_name,
        quantity=row.quantity,
        unit_price=row.unit_price,
        window=Period(row.period_start, row.period_end),
        tax_rate=found.rate,
        tax_source=found.source,
        change=None if row.plan_change is None else kept_change(row.plan_change),
        carried_from=row.carried_from,
    )
    return rules.rate_manual(line, terms.behavior)


def names(row: ManualLine) -> SourceNames:
    """How the invoice names it."""
    return SourceNames(row.display_name, row.description or "", "", row.item_id)


async def take(session: AsyncSession, invoice: Invoice, lines: Sequence[RatedLine]) -> None:
    """Marks the lines that a draft has taken; the rest of a cut credit waits for the next one."""
    for line in lines:
        if line.price.kind != "manual":
            continue
        row = await get(session, invoice.merchant_id, line.price.price_id)
        if row is None or row.billed_on is not None:
            continue
        if line.carried:
            await add(session, rest_of(row, invoice.id, line))
        await session.exec(
            update(ManualLine)
            .where(col(ManualLine.merchant_id) == invoice.merchant_id, col(ManualLine.id) == row.id)
            .values(billed_on=invoice.id, updated_at=wall_now())
            .execution_options(synchronize_session="fetch")
        )


def rest_of(row: ManualLine, invoice_id: str, line: RatedLine) -> ManualLine:
    """What an invoice could not bear of a credit, as the line that the next one takes."""
    return ManualLine(
        id=derived_id("li", row.id, invoice_id, "rest"),
        merchant_id=row.merchant_id,
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        carried_from=row.id,
        display_name=row.display_name,
        description=row.description,
        currency=row.currency,
        quantity=Decimal(1),
        unit_price=line.carried,
        item_id=row.item_id,
        invoice_at=row.invoice_at,
        period_start=row.period_start,
        period_end=row.period_end,
    )
