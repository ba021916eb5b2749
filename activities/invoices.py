"""Invoice transactions: draft and finalize what has ended; waiting is the workflow's business."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import issuing
from billing.errors import NotFound
from billing.invoicing import check_transition
from models.database import Database
from models.invoices import Invoice
from models.queries import drafts, invoices, subscriptions
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRef:
    """Which invoice, and the instant at which something happens to it."""

    merchant_id: str
    invoice_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftInvoice(InvoiceRef):
    """An invoice whose grace has ended; one that needs nobody's approval is issued with it."""

    issue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizedInvoice:
    """The issued invoice's state: ISSUED is collected, PAID owed nothing."""

    status: str
    invoice_number: str | None
    grand_total: str
    is_handed_over: bool = False
    """Its collection is owed by rows; else an older worker issued it, and a child is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedInvoice:
    """Whether the draft may be issued at once, and where it was, as what."""

    auto_approve: bool
    customer_id: str
    finalized: FinalizedInvoice | None = None


class InvoiceActivities:
    """The only writer of an invoice from the end of its grace to its issue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def draft_invoice(self, command: DraftInvoice) -> DraftedInvoice:
        """Rates the closed window from the events known now and stores the lines.

        Run twice, it leaves a DRAFT or an issued invoice as it is.
        """
        async with self._database.transaction() as session:
            invoice = await _found(session, command)
            if invoice.status == "CLOSING":
                await _draft(session, command, invoice)
            issued = command.issue and invoice.auto_approve
            return DraftedInvoice(
                auto_approve=invoice.auto_approve,
                customer_id=invoice.customer_id,
                finalized=_finalized(invoice) if issued else None,
            )

    @activity.defn
    async def finalize_invoice(self, ref: InvoiceRef) -> FinalizedInvoice:
        """Numbers, books and issues the draft; run twice, it issues once."""
        async with self._database.transaction() as session:
            invoice = await _found(session, ref)
            if invoice.status == "DRAFT":
                terms = await drafts.terms_of(session, await _subscription(session, invoice))
                await issuing.issue(session, terms, invoice, ref.now)
            return _finalized(invoice)


async def _draft(session: AsyncSession, command: DraftInvoice, invoice: Invoice) -> None:
    check_transition("CLOSING", "CLOSED")
    terms = await drafts.terms_of(session, await _subscription(session, invoice))
    draft = await drafts.of_invoice(session, terms, invoice)
    await issuing.store_draft(session, invoice, draft)
    if command.issue and invoice.auto_approve:
        await issuing.issue(session, terms, invoice, command.now)


def _finalized(invoice: Invoice) -> FinalizedInvoice:
    return FinalizedInvoice(
        status=invoice.status,
        invoice_number=invoice.invoice_number,
        grand_total=str(invoice.grand_total),
        is_handed_over=True,
    )


async def _found(session: AsyncSession, ref: InvoiceRef) -> Invoice:
    invoice = await invoices.get(session, ref.merchant_id, ref.invoice_id, lock=True)
    if invoice is None:
        raise NotFound(f"No invoice {ref.invoice_id}")
    return invoice


async def _subscription(session: AsyncSession, invoice: Invoice) -> Subscription:
    subscription = await subscriptions.get(session, invoice.merchant_id, invoice.subscription_id)
    if subscription is None:
        raise NotFound(f"No subscription {invoice.subscription_id}")
    return subscription
