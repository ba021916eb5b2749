"""What an invoice is answered as: stored ones as stored, open ones as they stand at each read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.invoices import CalculationFailed
from api import open_drafts
from api.deps import PublicUrl, Session
from api.item_answers import ResolvedItem, resolved
from api.line_pages import LinesInput, cut
from api.links import checkout_url, invoice_pdf_url
from api.provenance_answers import Provenance
from api.schema import Absent, Instant, Rate, Wire
from billing.money import amount_text, exact, text
from models import invoices as tables
from models.base import wall_now
from models.queries import drafts, invoices, payment_standings, payments, subscriptions
from models.queries.invoices import OPEN_STATUSES
from models.subscriptions import Subscription

EVENT_TYPES: Mapping[str, Literal["usage", "discount"]] = {
    "metric": "usage",
    "adjustment": "discount",
    "grant": "discount",
}
# What was given up or taken back is owed by nobody.
UNOWED_STATUSES = ("CANCELLED", "WRITTEN_OFF")


class InvoiceLine(Wire):
    """A charge on an invoice; its amounts are not rounded."""

    event_type: Literal["usage", "fee", "discount"]
    event_id: str
    event_source_id: str
    billable_metric_id: str
    meter_event_id: str = ""
    invoice_display_name: str
    line_item_type: Literal["charge"] = "charge"
    metric_name: str
    metric_description: str
    metric_unit: str
    item_id: str | None
    price_id: str | None
    payment_term: str | None
    period_start: Instant
    period_end: Instant
    quantity: Rate
    unit_price: str
    tax_rate: Rate
    """A fraction."""
    total_price: str
    total_tax: str
    total_amount: str
    provenance: Absent[Provenance] = None

    @classmethod
    def of(cls, row: tables.InvoiceLine, provenance: Provenance | None = None) -> Self:
        """The answer for a row, stored or not."""
        is_metered = row.kind in ("metric", "grant")
        event_type = EVENT_TYPES.get(row.kind, "fee")
        return cls.from_row(
            row,
            event_type=event_type,
            event_id=row.id,
            event_source_id=row.source_id,
            billable_metric_id=row.source_id if is_metered else "",
            invoice_display_name=row.display_name,
            metric_name=row.source_name or row.display_name,
            metric_description=row.source_description,
            metric_unit=row.source_unit,
            payment_term=None if event_type == "discount" else row.payment_term,
            unit_price=text(row.unit_price),
            total_price=text(row.total_price),
            total_tax=text(row.total_tax),
            total_amount=text(row.total_amount),
            provenance=provenance,
        )


class InvoiceLines(Wire):
    """A part of an invoice's lines, and where the next part begins."""

    invoice_id: str
    line_items: list[InvoiceLine]
    total_count: int
    next_page_token: str | None
    items: Absent[list[ResolvedItem]] = None
    """The items that the lines are tagged with, where they are asked for."""


class Invoice(Wire):
    """An invoice."""

    object: Literal["invoice"] = "invoice"
    id: str
    merchant_id: str
    customer_id: str
    subscription_id: str
    sequence_number: int
    status: str
    auto_approve: bool
    billing_anchor: Instant
    billing_cadence: str
    currency: str
    period_start: Instant
    period_end: Instant
    grace_period_end: Instant
    subtotal: str
    total_tax: str
    grand_total: str
    paid_amount: str
    unpaid_amount: str
    item_count: int
    invoice_number: str | None
    issued_at: Instant | None
    due_at: Instant | None
    paid_at: Instant | None
    next_action_at: Instant | None
    failure_reason: Absent[str] = None
    payment_url: str | None
    payment_in_flight: Absent[bool] = None
    pdf_url: str | None = None
    pdf_source: Literal["paygentic"] | None = None
    """The contract's word for a document that the engine made itself."""
    permalink: str | None = None
    tax: None = None
    line_items: Absent[InvoiceLines] = None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Invoice, standing: "Standing", **members: Any) -> Self:
        """The answer for a row and how it stands."""

        def amount(value: Decimal) -> str:
            return amount_text(value, row.currency)

        with exact():
            unpaid = standing.grand_total - row.paid_amount
        if row.status in UNOWED_STATUSES:
            unpaid = Decimal(0)
        is_payable = row.status == "ISSUED" and unpaid > 0
        # To whoever waits for it, it is not closing any more; in its row it is, to be tried again.
        has_failed = row.failure_reason is not None
        return cls.from_row(
            row,
            status="FAILED" if has_failed else row.status,
            failure_reason=row.failure_reason or standing.failure_reason,
            billing_anchor=standing.subscription.billing_anchor,
            billing_cadence=standing.subscription.billing_cadence,
            period_start=standing.period_start,
            period_end=standing.period_end,
            subtotal=amount(standing.subtotal),
            total_tax=amount(standing.total_tax),
            grand_total=amount(standing.grand_total),
            paid_amount=amount(row.paid_amount),
            unpaid_amount=amount(unpaid),
            item_count=standing.item_count,
            payment_url=standing.payment_url if is_payable else None,
            pdf_url=standing.pdf_url,
            pdf_source=None if standing.pdf_url is None else "paygentic",
            **members,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an invoice stands: as stored, or derived now while it is open."""

    subscription: Subscription
    payment_url: str | None
    pdf_url: str | None
    subtotal: Decimal
    total_tax: Decimal
    grand_total: Decimal
    item_count: int
    period_start: datetime
    period_end: datetime
    failure_reason: str | None = None

    @classmethod
    def failed(cls, row: tables.Invoice, owner: Subscription) -> Self:
        """One that cannot be calculated comes to nothing."""
        return cls(
            subscription=owner,
            payment_url=None,
            pdf_url=None,
            subtotal=Decimal(0),
            total_tax=Decimal(0),
            grand_total=Decimal(0),
            item_count=0,
            period_start=row.period_start,
            period_end=row.period_end,
            failure_reason=CalculationFailed.code,
        )


@dataclass(frozen=True, slots=True)
class InvoiceReader:
    """Makes answers: open invoices are rated one by one, stored ones read in three statements."""

    session: AsyncSession
    public_url: str

    async def answers(self, merchant_id: str, rows: Sequence[tables.Invoice]) -> list[Invoice]:
        """The answers for a page."""
        ids = [row.id for row in rows]
        counts = await invoices.line_counts(self.session, merchant_id, ids)
        urls = await self._urls(merchant_id, ids)
        owners = await subscriptions.among(
            self.session, merchant_id, {row.subscription_id for row in rows}
        )
        answers = []
        for row in rows:
            owner = owners[row.subscription_id]
            if row.status in OPEN_STATUSES:
                standing, _ = await self._derived(row, owner)
            else:
                standing = self._stored(row, owner, urls.get(row.id), counts.get(row.id, 0))
            answers.append(Invoice.of(row, standing))
        return answers

    async def one(self, row: tables.Invoice, wanted: LinesInput) -> Invoice:
        """The answer for one invoice, with its lines where they are asked for."""
        owners = await subscriptions.among(self.session, row.merchant_id, [row.subscription_id])
        owner = owners[row.subscription_id]
        made = await payments.attempts_of(self.session, row.merchant_id, row.id)
        if row.status in OPEN_STATUSES:
            standing, lines = await self._derived(row, owner)
        else:
            urls = await self._urls(row.merchant_id, [row.id])
            lines = await invoices.lines_of(self.session, row.merchant_id, [row.id])
            standing = self._stored(row, owner, urls.get(row.id), len(lines))
        shown = await self.shown(row, lines, wanted) if wanted.expand else None
        return Invoice.of(
            row,
            standing,
            line_items=shown,
            payment_in_flight=any(attempt.status == "pending" for attempt in made),
        )

    async def shown(
        self, row: tables.Invoice, lines: Sequence[tables.InvoiceLine], wanted: LinesInput
    ) -> InvoiceLines:
        """The wanted part of the lines, with what was asked for along."""
        part, following = cut(lines, wanted)
        traced = "lineProvenance" in wanted.expand
        tags = [line.item_id for line in part if line.item_id is not None]
        items = None
        if "items" in wanted.expand:
            items = await resolved(self.session, row.merchant_id, tags, wanted.provider)
        return InvoiceLines(
            invoice_id=row.id,
            line_items=[
                InvoiceLine.of(line, Provenance.of(row, line) if traced else None) for line in part
            ],
            total_count=len(lines),
            next_page_token=following,
            items=items,
        )

    async def lines(self, row: tables.Invoice) -> list[tables.InvoiceLine]:
        """Its lines: stored, or as they would be stored now."""
        if row.status not in OPEN_STATUSES:
            return await invoices.lines_of(self.session, row.merchant_id, [row.id])
        owners = await subscriptions.among(self.session, row.merchant_id, [row.subscription_id])
        return (await self._derived(row, owners[row.subscription_id]))[1]

    async def _derived(
        self, row: tables.Invoice, owner: Subscription
    ) -> tuple[Standing, list[tables.InvoiceLine]]:
        """What the invoice would bill if its period ended with the usage known now."""
        terms = await drafts.terms_of(self.session, owner)
        draft = await open_drafts.calculated(self.session, terms, row)
        if draft is None:
            return Standing.failed(row, owner), []
        lines = drafts.line_rows(row, draft)
        with exact():
            subtotal = draft.totals.subtotal + draft.wallet_charge
        standing = Standing(
            subscription=owner,
            payment_url=None,
            pdf_url=None,
            subtotal=subtotal,
            total_tax=draft.totals.tax,
            grand_total=draft.grand_total,
            item_count=len(lines),
            period_start=draft.period.start,
            period_end=draft.period.end,
        )
        return standing, lines

    async def _urls(self, merchant_id: str, invoice_ids: Sequence[str]) -> dict[str, str]:
        """Where each of these invoices is paid; a link whose time is over leads nowhere."""
        pages = await payments.sessions_of(self.session, merchant_id, invoice_ids)
        ending = [page.id for page in pages.values() if page.expires_at is not None]
        statuses: Mapping[str, str] = {}
        if ending:
            statuses = await payment_standings.of_sessions(
                self.session, merchant_id, ending, wall_now()
            )
        return {
            invoice_id: checkout_url(self.public_url, page.token)
            for invoice_id, page in pages.items()
            if statuses.get(page.id) != "expired"
        }

    def _stored(
        self, row: tables.Invoice, owner: Subscription, payment_url: str | None, item_count: int
    ) -> Standing:
        has_document = row.invoice_number is not None
        return Standing(
            subscription=owner,
            payment_url=payment_url,
            pdf_url=invoice_pdf_url(self.public_url, row.id) if has_document else None,
            subtotal=row.subtotal,
            total_tax=row.total_tax,
            grand_total=row.grand_total,
            item_count=item_count,
            period_start=row.period_start,
            period_end=row.period_end,
        )


async def reader(session: Session, public_url: PublicUrl) -> InvoiceReader:
    """Reads invoices in the route's transaction."""
    return InvoiceReader(session, public_url)


Reader = Annotated[InvoiceReader, Depends(reader)]
