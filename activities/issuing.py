"""Drafting and issuing an invoice: parts of a transaction that creation and closing share.

Not activities of their own: whoever calls them holds the transaction and the invoice's lock.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import collecting, customer_credits
from billing import ledger as bookkeeping
from billing.ids import derived_id
from billing.invoicing import check_transition, due_at, invoice_number
from models.base import wall_now
from models.invoices import Invoice
from models.queries import invoices, ledger, manual_lines, payments
from models.queries.draft_lines import Draft, line_columns
from models.queries.parties import of_customers
from models.queries.terms import Terms
from models.row_sets import Change


@dataclass(frozen=True, slots=True)
class Run:
    """The run of a workflow whose history tells of a draft."""

    workflow_id: str
    run_id: str


def current_run() -> Run | None:
    """The run that asks for this activity; none where a creation makes the draft at once."""
    if not activity.in_activity():
        return None
    run = activity.info()
    if run.workflow_id is None or run.workflow_run_id is None:
        return None
    return Run(run.workflow_id, run.workflow_run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A draft to be stored, and the run that made it."""

    invoice: Invoice
    draft: Draft
    run: Run | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A draft to be issued; it may be one that is stored with it."""

    terms: Terms
    invoice: Invoice
    now: datetime


async def store(
    session: AsyncSession,
    merchant_id: str,
    drafted: Sequence[Drafted],
    issued: Sequence[Issued] = (),
) -> None:
    """Stores drafts, and numbers, books and issues: of one merchant, a few statements for all.

    An invoice is a DRAFT until it is issued; one without a balance is PAID with its issue, and has
    no payment session and no collection (SEMANTICS §10).
    """
    await _store_lines(session, merchant_id, drafted)
    columns = {each.invoice.id: _drafted_columns(each) for each in drafted}
    named = await _named(session, merchant_id, issued)
    numbers = await _numbers(session, merchant_id, issued)
    for issue in issued:
        stored = columns.setdefault(issue.invoice.id, {})
        owed = stored.get("grand_total", issue.invoice.grand_total)
        stored.update(_issued_columns(issue, numbers[issue.invoice.id], owed))
        stored["parties"] = named[issue.invoice.customer_id]
    rows = {each.invoice.id: each.invoice for each in drafted}
    rows |= {each.invoice.id: each.invoice for each in issued}
    await invoices.change_all(
        session, merchant_id, [Change(rows[key], each) for key, each in columns.items()]
    )
    await _book(session, merchant_id, issued)
    for each in issued:
        await customer_credits.arise(session, each.terms, each.invoice, each.now)
    unpaid = [each for each in issued if each.invoice.grand_total > 0]
    await hand_to_collection(session, merchant_id, unpaid)


async def _store_lines(session: AsyncSession, merchant_id: str, drafted: Sequence[Drafted]) -> None:
    if not drafted:
        return
    lines = {each.invoice.id: line_columns(each.invoice, each.draft) for each in drafted}
    await invoices.replace_lines(session, merchant_id, lines)
    for each in drafted:
        await manual_lines.take(session, each.invoice, each.draft.lines)


def _drafted_columns(drafted: Drafted) -> dict[str, Any]:
    draft, run = drafted.draft, drafted.run
    columns = {
        "status": "DRAFT",
        "period_start": draft.period.start,
        "period_end": draft.period.end,
        "subtotal": draft.totals.subtotal + draft.wallet_charge,
        "total_tax": draft.totals.tax,
        "grand_total": draft.grand_total,
        "wallet_charge": draft.wallet_charge,
        "usage_watermark": draft.watermark,
        "late_watermark": draft.late_watermark,
        "next_action_at": None,
        "failure_reason": None,
    }
    if run is None:
        return columns
    return {**columns, "drafted_workflow_id": run.workflow_id, "drafted_run_id": run.run_id}


async def _named(
    session: AsyncSession, merchant_id: str, issued: Sequence[Issued]
) -> dict[str, dict[str, Any]]:
    """Between whom they are: they go on naming who they named, whoever is renamed later."""
    if not issued:
        return {}
    return await of_customers(session, merchant_id, {each.invoice.customer_id for each in issued})


async def _numbers(
    session: AsyncSession, merchant_id: str, issued: Sequence[Issued]
) -> dict[str, str]:
    """The number of each, counted by the month of its issue."""
    months: dict[str, list[Issued]] = {}
    for each in issued:
        check_transition("DRAFT", "ISSUED")
        months.setdefault(f"{each.now:%Y-%m}", []).append(each)
    numbers = {}
    for month, members in sorted(months.items()):
        taken = await invoices.take_numbers(session, merchant_id, month, len(members))
        for each, number in zip(members, taken, strict=True):
            numbers[each.invoice.id] = invoice_number(each.now.year, each.now.month, number)
    return numbers


def _issued_columns(issued: Issued, number: str, grand_total: Decimal) -> dict[str, Any]:
    is_owed = grand_total > 0
    return {
        "status": "ISSUED" if is_owed else "PAID",
        "invoice_number": number,
        "issued_at": issued.now,
        "due_at": due_at(issued.now, issued.terms.subscription.payment_term_days),
        "paid_at": None if is_owed else issued.now,
        "next_action_at": None,
    }


async def _book(session: AsyncSession, merchant_id: str, issued: Sequence[Issued]) -> None:
    """What is owed but for a wallet charge, which is booked when it is paid.

    Nobody spends what has not arrived.
    """
    bookings = [
        ledger.Booking(
            merchant_id=merchant_id,
            transfer_id=derived_id("ltr", invoice.id, "issued"),
            booked_at=now,
            transfer=bookkeeping.invoice_issued(
                parties(invoice),
                invoice.id,
                subtotal=invoice.subtotal - invoice.wallet_charge,
                tax=invoice.total_tax,
            ),
        )
        for invoice, now in ((each.invoice, each.now) for each in issued)
        if invoice.subtotal != invoice.wallet_charge or invoice.total_tax
    ]
    await ledger.post_all(session, merchant_id, bookings)


async def hand_to_collection(
    session: AsyncSession, merchant_id: str, unpaid: Sequence[Issued]
) -> None:
    """A page to pay each on, and the workflow that collects it."""
    await payments.add_sessions(session, merchant_id, [_session_row(each) for each in unpaid])
    await collecting.owe(session, [(each.terms.subscription, each.invoice) for each in unpaid])


def _session_row(issued: Issued) -> dict[str, Any]:
    subscription, invoice = issued.terms.subscription, issued.invoice
    first = invoice.sequence_number == 0 and subscription.status == "pending_payment"
    redirects = subscription.redirect_urls or {}
    now = wall_now()
    return {
        "id": derived_id("ps", invoice.id, 0),
        "token": secrets.token_hex(24),
        "entity_type": "subscription" if first else "invoice",
        "entity_id": subscription.id if first else invoice.id,
        "collection_id": invoice.id,
        "customer_id": invoice.customer_id,
        "subscription_id": subscription.id,
        "amount": invoice.grand_total,
        "currency": invoice.currency,
        "status": "pending",
        "save_payment_method": subscription.auto_charge,
        "success_url": redirects.get("onSuccess"),
        "failure_url": redirects.get("onFailure"),
        "custom": {},
        "expires_at": subscription.session_expires_at if first else None,
        "created_at": now,
        "updated_at": now,
    }


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
