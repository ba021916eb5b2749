"""Invoice transactions: draft and finalize what has ended; waiting is the workflow's business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import issuing
from activities.gathering import Gathering
from billing.errors import BillingError, InvalidValue, NotFound
from billing.invoicing import check_transition
from models.audit import Acting, acting, sign_for_all
from models.database import Database
from models.invoices import Invoice
from models.queries import draft_sets, drafts, invoices, subscriptions
from models.queries.terms import terms_of_all
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A command, the run that gives it, and who signs for it."""

    command: DraftInvoice
    run: issuing.Run | None
    signed: Acting | None


class CalculationFailed(BillingError):
    """An invoice's values cannot be calculated: it is FAILED until they can, and tried again."""

    code = "CALCULATION_FAILED"

    def __init__(self, invoice_id: str, reason: str) -> None:
        super().__init__(f"{invoice_id} cannot be calculated: {reason}")
        self.invoice_id = invoice_id


class InvoiceActivities:
    """The only writer of an invoice from the end of its grace to its issue."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._drafting: Gathering[_Asked, DraftedInvoice] = Gathering(self._draft_together)

    @activity.defn
    async def draft_invoice(self, command: DraftInvoice) -> DraftedInvoice:
        """Rates the closed window from the events known now and stores the lines.

        Run twice, it leaves a DRAFT or an issued invoice as it is. What is asked at the same time
        for invoices of one merchant is done together, unless there is something peculiar about one.
        Earlier invoices of the subscription that are due come first: one carries on to the next.
        Raises CalculationFailed, once the invoice says so itself.
        """
        run = issuing.current_run()
        drafted = await self._drafting.ask(command.merchant_id, _Asked(command, run, acting.get()))
        if drafted is not None:
            return drafted
        try:
            return await self._draft_alone(command, run)
        except CalculationFailed as failed:
            await self._fail(command.merchant_id, failed)
            raise

    @activity.defn
    async def finalize_invoice(self, ref: InvoiceRef) -> FinalizedInvoice:
        """Numbers, books and issues the draft; run twice, it issues once."""
        async with self._database.transaction() as session:
            invoice = await _found(session, ref)
            if invoice.status == "DRAFT":
                terms = await drafts.terms_of(session, await _subscription(session, invoice))
                issued = issuing.Issued(terms=terms, invoice=invoice, now=ref.now)
                await issuing.store(session, invoice.merchant_id, [], [issued])
            return _finalized(invoice)

    async def _draft_alone(self, command: DraftInvoice, run: issuing.Run | None) -> DraftedInvoice:
        async with self._database.transaction() as session:
            for invoice_id in await invoices.due_before(
                session, command.merchant_id, command.invoice_id, command.now
            ):
                await _draft(session, replace(command, invoice_id=invoice_id), run)
            return await _draft(session, command, run)

    async def _fail(self, merchant_id: str, failed: CalculationFailed) -> None:
        """It stays CLOSING, and all that this means; its reason makes it FAILED for readers."""
        async with self._database.transaction() as session:
            await invoices.change(
                session, merchant_id, failed.invoice_id, failure_reason=CalculationFailed.code
            )

    async def _draft_together(
        self, merchant_id: str, asked: Sequence[_Asked]
    ) -> list[DraftedInvoice | None]:
        sign_for_all({each.command.invoice_id: each.signed for each in asked})
        async with self._database.transaction() as session:
            done = await _draft_all(session, merchant_id, {a.command.invoice_id: a for a in asked})
        return [done.get(each.command.invoice_id) for each in asked]


async def _draft_all(
    session: AsyncSession, merchant_id: str, asked: Mapping[str, _Asked]
) -> dict[str, DraftedInvoice]:
    """Drafts the invoices about which nothing is peculiar, and issues what needs no approval."""
    closing = [
        invoice
        for invoice in await invoices.locked(session, merchant_id, asked)
        if invoice.status == "CLOSING"
    ]
    if not closing:
        return {}
    rows = await subscriptions.among(session, merchant_id, {i.subscription_id for i in closing})
    terms = await terms_of_all(session, merchant_id, [rows[i.subscription_id] for i in closing])
    pairs = list(zip(terms, closing, strict=True))
    found = await draft_sets.of_invoices(session, merchant_id, pairs)
    drafted, issued = [], []
    for own, invoice in pairs:
        if invoice.id not in found:
            continue
        each = asked[invoice.id]
        check_transition("CLOSING", "CLOSED")
        drafted.append(issuing.Drafted(invoice=invoice, draft=found[invoice.id], run=each.run))
        if each.command.issue and invoice.auto_approve:
            issued.append(issuing.Issued(terms=own, invoice=invoice, now=each.command.now))
    await issuing.store(session, merchant_id, drafted, issued)
    return {
        each.invoice.id: _drafted(asked[each.invoice.id].command, each.invoice) for each in drafted
    }


async def _draft(
    session: AsyncSession, command: DraftInvoice, run: issuing.Run | None
) -> DraftedInvoice:
    invoice = await _found(session, command)
    if invoice.status != "CLOSING":
        return _drafted(command, invoice)
    check_transition("CLOSING", "CLOSED")
    terms = await drafts.terms_of(session, await _subscription(session, invoice))
    try:
        draft = await drafts.of_invoice(session, terms, invoice)
    except InvalidValue as error:
        raise CalculationFailed(invoice.id, error.message) from error
    drafted = issuing.Drafted(invoice=invoice, draft=draft, run=run)
    issued = issuing.Issued(terms=terms, invoice=invoice, now=command.now)
    is_issued = command.issue and invoice.auto_approve
    await issuing.store(session, invoice.merchant_id, [drafted], [issued] if is_issued else [])
    return _drafted(command, invoice)


def _drafted(command: DraftInvoice, invoice: Invoice) -> DraftedInvoice:
    issued = command.issue and invoice.auto_approve
    return DraftedInvoice(
        auto_approve=invoice.auto_approve,
        customer_id=invoice.customer_id,
        finalized=_finalized(invoice) if issued else None,
    )


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
