"""Drafting and issuing an invoice: parts of a transaction that creation and closing share.

Not activities of their own: whoever calls them holds the transaction and the invoice's lock.
"""

import secrets
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import collecting, customer_credits
from billing import ledger as bookkeeping
from billing.ids import derived_id
from billing.invoicing import check_transition, due_at, invoice_number
from models.base import wall_now
from models.invoices import Invoice
from models.payments import PaymentSession
from models.queries import invoices, ledger, manual_lines, payments
from models.queries.drafts import Draft, Terms, line_rows
from models.queries.parties import of_customer


async def store_draft(session: AsyncSession, invoice: Invoice, draft: Draft) -> None:
    """Stores lines and totals; the invoice is a DRAFT until it is issued."""
    await invoices.replace_lines(
        session, invoice.merchant_id, invoice.id, line_rows(invoice, draft)
    )
    await manual_lines.take(session, invoice, draft.lines)
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="DRAFT",
        period_start=draft.period.start,
        period_end=draft.period.end,
        subtotal=draft.totals.subtotal + draft.wallet_charge,
        total_tax=draft.totals.tax,
        grand_total=draft.grand_total,
        wallet_charge=draft.wallet_charge,
        usage_watermark=draft.watermark,
        late_watermark=draft.late_watermark,
        **_drafted_by(),
    )


def _drafted_by() -> dict[str, str]:
    """The run whose history tells of the draft; none where a creation makes it at once."""
    if not activity.in_activity():
        return {}
    run = activity.info()
    if run.workflow_id is None or run.workflow_run_id is None:
        return {}
    return {"drafted_workflow_id": run.workflow_id, "drafted_run_id": run.workflow_run_id}


async def issue(session: AsyncSession, terms: Terms, invoice: Invoice, now: datetime) -> str:
    """Numbers, books and issues a DRAFT; returns ISSUED, or PAID when nothing is owed.

    An invoice without a balance has no payment session and no collection (SEMANTICS §10).
    """
    owed = invoice.grand_total > 0
    status = "ISSUED" if owed else "PAID"
    check_transition("DRAFT", "ISSUED")
    month = f"{now:%Y-%m}"
    number = await invoices.take_number(session, invoice.merchant_id, month)
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status=status,
        invoice_number=invoice_number(now.year, now.month, number),
        issued_at=now,
        due_at=due_at(now, terms.subscription.payment_term_days),
        paid_at=None if owed else now,
        next_action_at=None,
        # Its documents go on naming who they named, whoever moves or is renamed later.
        parties=await of_customer(session, invoice.merchant_id, invoice.customer_id),
    )
    await _book(session, invoice, now)
    await customer_credits.arise(session, terms, invoice, now)
    if owed:
        await payments.add_session(session, _session_row(terms, invoice))
        await collecting.owe(session, [(terms.subscription, invoice)])
    return status


async def _book(session: AsyncSession, invoice: Invoice, now: datetime) -> None:
    if invoice.subtotal == invoice.wallet_charge and not invoice.total_tax:
        # A wallet charge is booked when it is paid: nobody spends what has not arrived.
        return
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=invoice.merchant_id,
            transfer_id=derived_id("ltr", invoice.id, "issued"),
            booked_at=now,
            transfer=bookkeeping.invoice_issued(
                parties(invoice),
                invoice.id,
                subtotal=invoice.subtotal - invoice.wallet_charge,
                tax=invoice.total_tax,
            ),
        ),
    )


def _session_row(terms: Terms, invoice: Invoice) -> PaymentSession:
    subscription = terms.subscription
    first = invoice.sequence_number == 0 and subscription.status == "pending_payment"
    redirects = subscription.redirect_urls or {}
    return PaymentSession(
        id=derived_id("ps", invoice.id, 0),
        merchant_id=invoice.merchant_id,
        token=secrets.token_hex(24),
        entity_type="subscription" if first else "invoice",
        entity_id=subscription.id if first else invoice.id,
        collection_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=subscription.id,
        amount=invoice.grand_total,
        currency=invoice.currency,
        status="pending",
        save_payment_method=subscription.auto_charge,
        success_url=redirects.get("onSuccess"),
        failure_url=redirects.get("onFailure"),
        expires_at=subscription.session_expires_at if first else None,
    )


async def cancel(session: AsyncSession, invoice: Invoice, now: datetime) -> None:
    """Takes an issued, unpaid invoice back: CANCELLED, its booking reversed, its link dead."""
    check_transition("ISSUED", "CANCELLED")
    await invoices.change(
        session, invoice.merchant_id, invoice.id, status="CANCELLED", next_action_at=None
    )
    await payments.change_sessions(
        session,
        invoice.merchant_id,
        invoice.id,
        status="expired",
        completed_at=wall_now(),
    )
    if invoice.grand_total == invoice.wallet_charge:
        return
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=invoice.merchant_id,
            transfer_id=derived_id("ltr", invoice.id, "cancelled"),
            booked_at=now,
            transfer=bookkeeping.invoice_reversed(
                parties(invoice),
                invoice.id,
                subtotal=invoice.subtotal - invoice.wallet_charge,
                tax=invoice.total_tax,
            ),
        ),
    )


def parties(invoice: Invoice) -> bookkeeping.Parties:
    """Between whom the invoice's money moves."""
    return bookkeeping.Parties(invoice.merchant_id, invoice.customer_id, invoice.currency)


def unpaid(invoice: Invoice) -> Decimal:
    """What is still owed on a stored invoice."""
    return invoice.grand_total - invoice.paid_amount
