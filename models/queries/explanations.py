"""How an invoice came to its amounts, told from what its lines keep; only an open one is rated."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import Adjustment
from billing.explanation import Explanation, KeptLine, explain
from billing.invoicing import Summed, summed
from billing.periods import Period
from billing.taxes import TaxBehavior, TaxedAmount
from models.billable_metrics import BillableMetric
from models.invoices import Invoice, InvoiceLine
from models.plans import PlanVersion
from models.queries import adjustments, drafts, invoices
from models.queries import subscription_intervals as intervals
from models.queries.subscriptions import among
from models.subscription_intervals import IntervalChange

WALLET = "wallet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLine:
    """A line and its steps; none for a wallet's top-up, and where no origin was kept."""

    row: InvoiceLine
    steps: Explanation | None
    plan_version_number: int | None
    aggregation: str | None
    deal: Sequence[Adjustment]
    """The adjustments that reached it."""
    agreement: IntervalChange | None
    """The record of the change that made the terms it is billed by, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedInvoice:
    """An invoice's lines with their steps, and how they were summed and rounded."""

    lines: Sequence[ExplainedLine]
    summed: Summed
    is_stored: bool
    """Else it is open, and this is what it comes to now."""
    usage_watermark: str | None
    late_watermark: str | None


async def any_merchants(session: AsyncSession, invoice_id: str) -> Invoice | None:
    """The invoice of whichever merchant: an operator knows an id."""
    rows = await session.exec(select(Invoice).where(col(Invoice.id) == invoice_id))
    return rows.first()


async def explained(session: AsyncSession, invoice: Invoice) -> ExplainedInvoice:
    """The invoice's explanation: from what is stored or, while it is open, as it stands now."""
    is_stored = invoice.status not in invoices.OPEN_STATUSES
    marks = (invoice.usage_watermark, invoice.late_watermark)
    if is_stored:
        rows = await invoices.lines_of(session, invoice.merchant_id, [invoice.id])
    else:
        owners = await among(session, invoice.merchant_id, [invoice.subscription_id])
        terms = await drafts.terms_of(session, owners[invoice.subscription_id])
        draft = await drafts.of_invoice(session, terms, invoice)
        rows = drafts.line_rows(invoice, draft)
        marks = (draft.watermark, draft.late_watermark)
    behavior: TaxBehavior = "inclusive" if invoice.tax_behavior == "inclusive" else "exclusive"
    steps = {row.id: told(row, behavior) for row in rows}
    named = {each for row in rows for each in row.adjustment_ids}
    deal = await adjustments.named(session, invoice.merchant_id, named)
    numbers = await _version_numbers(session, invoice.merchant_id, steps.values())
    aggregations = await _aggregations(session, invoice.merchant_id, rows)
    agreed = await _agreements(session, invoice, steps)
    charged = [row for row in rows if row.kind != WALLET]
    return ExplainedInvoice(
        lines=[
            ExplainedLine(
                row=row,
                steps=steps[row.id],
                plan_version_number=numbers.get(_version_id(steps[row.id])),
                aggregation=aggregations.get(row.source_id),
                deal=[deal[each] for each in row.adjustment_ids if each in deal],
                agreement=agreed.get(row.id),
            )
            for row in rows
        ],
        summed=summed(charged, invoice.currency, behavior),
        is_stored=is_stored,
        usage_watermark=marks[0],
        late_watermark=marks[1],
    )


def told(row: InvoiceLine, behavior: TaxBehavior) -> Explanation | None:
    """A line's steps, where its origin was kept."""
    if row.kind == WALLET or row.origin is None:
        return None
    return explain(
        KeptLine(
            kind=row.kind,
            price_id=row.price_id or row.id,
            window=Period(row.period_start, row.period_end),
            quantity=row.quantity,
            unit_price=row.unit_price,
            tax_rate=row.tax_rate,
            total=TaxedAmount(row.total_price, row.total_tax, row.total_amount),
            behavior=row.origin.get("behavior", behavior),
            document=row.origin,
        )
    )


def _version_id(steps: Explanation | None) -> str:
    return "" if steps is None else steps.price.plan_version_id or ""


async def _agreements(
    session: AsyncSession, invoice: Invoice, steps: Mapping[str, Explanation | None]
) -> dict[str, IntervalChange | None]:
    """Which record stands behind each line that has a key, by the line's id."""
    terms = {
        line_id: intervals.Agreed(
            each.price.key, each.price.plan_version_id or "", each.price.interval
        )
        for line_id, each in steps.items()
        if each is not None and each.price.key
    }
    records = await intervals.agreements(
        session, invoice.merchant_id, invoice.subscription_id, list(terms.values())
    )
    return dict(zip(terms, records, strict=True))


async def _version_numbers(
    session: AsyncSession, merchant_id: str, steps: Iterable[Explanation | None]
) -> dict[str, int]:
    ids = {_version_id(each) for each in steps}
    rows = await session.exec(
        select(col(PlanVersion.id), col(PlanVersion.number)).where(
            col(PlanVersion.merchant_id) == merchant_id, col(PlanVersion.id).in_(ids)
        )
    )
    return dict(rows.all())


async def _aggregations(
    session: AsyncSession, merchant_id: str, rows: Sequence[InvoiceLine]
) -> dict[str, str]:
    ids = {row.source_id for row in rows if row.kind == "metric"}
    found = await session.exec(
        select(col(BillableMetric.id), col(BillableMetric.aggregation)).where(
            col(BillableMetric.merchant_id) == merchant_id, col(BillableMetric.id).in_(ids)
        )
    )
    return dict(found.all())
