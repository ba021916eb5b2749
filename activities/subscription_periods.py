"""How a subscription's invoices follow each other; it rates nothing and waits for nothing."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.durations import parse_duration
from billing.errors import InvalidValue, NotFound
from billing.ids import derived_id
from billing.periods import Period
from models.invoices import Invoice
from models.queries import drafts, invoices, organizations, subscriptions
from models.queries import test_clocks as clocks
from models.queries.drafts import Terms, window_at
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingInvoice:
    """An invoice that has begun to close; its InvoiceClose workflow takes over."""

    invoice_id: str
    sequence_number: int
    grace_period_end: datetime


def close_workflow_id(subscription_id: str, sequence_number: int) -> str:
    """The id of the InvoiceClose workflow of one period."""
    return f"invoice-close/{subscription_id}/{sequence_number}"


def invoice_row(terms: Terms, *, sequence_number: int, period: Period) -> Invoice:
    """An open invoice under its derived id."""
    subscription = terms.subscription
    return Invoice(
        id=derived_id("inv", subscription.id, sequence_number),
        merchant_id=subscription.merchant_id,
        customer_id=subscription.customer_id,
        subscription_id=subscription.id,
        plan_version_id=subscription.plan_version_id,
        sequence_number=sequence_number,
        status="ACTIVE",
        currency=terms.plan.currency,
        tax_behavior=terms.plan.tax_behavior,
        period_start=period.start,
        period_end=period.end,
        grace_period_end=period.end,
    )


async def open_invoice(
    session: AsyncSession, terms: Terms, *, sequence_number: int, ended: Period | None
) -> None:
    """Opens the invoice that the next boundary closes.

    `ended` is the window that will have ended there; None for a start in the future, whose first
    boundary is the start itself.
    """
    subscription = terms.subscription
    merchant = await organizations.get(session, subscription.merchant_id)
    if merchant is None:
        raise NotFound(f"No merchant {subscription.merchant_id}")
    at = subscription.started_at if ended is None else ended.end
    coming = window_at(terms, at)
    period = coming if ended is None else ended
    invoice = invoice_row(terms, sequence_number=sequence_number, period=period)
    invoice.ended_from = None if ended is None else ended.start
    invoice.ended_to = None if ended is None else ended.end
    invoice.coming_to = coming.end
    invoice.auto_approve = merchant.auto_approve
    invoice.next_action_at = at
    grace = parse_duration(merchant.grace_period)
    # Nothing late can arrive for a window that has not begun.
    invoice.grace_period_end = at if ended is None else grace.after(at)
    await invoices.add(session, invoice)


async def activate(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """The first invoice is paid: active, and the running window's invoice opens."""
    subscription = terms.subscription
    await subscriptions.change(session, subscription.merchant_id, subscription.id, status="active")
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    paid_until = now if first is None or first.issued_at is None else first.issued_at
    await open_invoice(session, terms, sequence_number=1, ended=window_at(terms, paid_until))


async def roll(session: AsyncSession, terms: Terms, invoice: Invoice) -> None:
    """Closes the open invoice of a boundary that has come; found closing, it stays as it is."""
    if invoice.status != "ACTIVE" or invoice.coming_to is None:
        return
    subscription = terms.subscription
    # Before the version moves on, which decides it while the period runs.
    arrears_version_id = drafts.arrears_version(terms, invoice)
    await subscriptions.change(
        session,
        subscription.merchant_id,
        subscription.id,
        plan_version_id=drafts.next_version(terms, subscription.plan_version_id),
        next_version_id=None,
        next_version_bills_arrears=False,
    )
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="CLOSING",
        arrears_version_id=arrears_version_id,
        coming_version_id=subscription.plan_version_id,
        next_action_at=invoice.grace_period_end,
    )
    ended = _coming_of(invoice)
    await open_invoice(session, terms, sequence_number=invoice.sequence_number + 1, ended=ended)
    await bind_close(session, subscription, invoice.sequence_number, invoice.grace_period_end)


def closing_of(invoice: Invoice) -> ClosingInvoice | None:
    """The invoice for its InvoiceClose workflow; None while it is open or when it was dropped."""
    if invoice.status in ("ACTIVE", "CANCELLED"):
        return None
    return ClosingInvoice(
        invoice_id=invoice.id,
        sequence_number=invoice.sequence_number,
        grace_period_end=invoice.grace_period_end,
    )


def _coming_of(invoice: Invoice) -> Period:
    if invoice.coming_to is None:
        raise InvalidValue(f"Invoice {invoice.id} is the last of its subscription")
    start = invoice.period_start if invoice.ended_to is None else invoice.ended_to
    return Period(start, invoice.coming_to)


async def bind_close(
    session: AsyncSession, subscription: Subscription, sequence_number: int, grace_end: datetime
) -> None:
    """Puts the InvoiceClose workflow on the subscription's test clock, if it has one."""
    await clocks.bind(
        session,
        subscription.merchant_id,
        subscription.test_clock_id,
        close_workflow_id(subscription.id, sequence_number),
        due_at=grace_end,
    )
