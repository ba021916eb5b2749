"""The part of the writer of payments that opens pages: what is paid on them is not here."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import collecting, issuing
from activities.gateways.port import SavedCard
from activities.payment_collections import PAYABLE_INVOICE
from billing.durations import Duration
from billing.errors import BillingError, Conflict, NotFound
from billing.ids import derived_id, request_digest
from models.base import new_id, wall_now
from models.customers import PaymentMethod
from models.invoices import Invoice
from models.notifications import Notification
from models.payments import Payment, PaymentSession
from models.queries import customers as customer_rows
from models.queries import invoices, notifications, outbox, payments, subscriptions

SETUP_SESSION_LIFE = timedelta(days=30)
LINK_LIFE = timedelta(days=30)


class NotLinkable(BillingError):
    """A link pays an invoice that is issued and unpaid, none that is open, paid or taken back."""

    code = "INVOICE_NOT_LINKABLE_STATUS"


class NoBalance(BillingError):
    """There is nothing left to pay."""

    code = "INVOICE_NO_BALANCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLink:
    """A new hosted page for an unpaid invoice."""

    merchant_id: str
    invoice_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePayment:
    """A one-off payment; `digest_of` is what the same key must repeat."""

    merchant_id: str
    amount: Decimal
    currency: str
    expires_in: Duration
    customer_id: str | None = None
    idempotency_key: str | None = None
    reference: str | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    line_items: list[dict[str, Any]] = field(default_factory=list)
    save_payment_method: bool = False
    success_url: str | None = None
    failure_url: str | None = None


@dataclass(frozen=True, slots=True)
class CreatedPayment:
    """The payment, and whether this call made it."""

    payment_id: str
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSetup:
    """A hosted page that saves a card without a charge."""

    merchant_id: str
    customer_id: str
    expires_at: datetime | None = None
    success_url: str | None = None
    failure_url: str | None = None
    custom: dict[str, Any] = field(default_factory=dict)


async def create_payment(session: AsyncSession, command: CreatePayment) -> CreatedPayment:
    """Writes a one-off payment, its page and the start of its collection."""
    row = _payment_row(command)
    # First of all: who repeats a request is not told that its customer is gone since.
    repeated = await _repeated(session, row)
    if repeated is not None:
        return repeated
    if command.customer_id is not None:
        await _living_customer(session, command.merchant_id, command.customer_id)
    if not await payments.add_payment(session, row):
        return await _repeated(session, row) or _refuse_key()
    await payments.add_session(session, _payment_session(command, row))
    await outbox.add(
        session,
        outbox.WorkflowStart(
            merchant_id=row.merchant_id,
            workflow_id=collecting.collection_workflow_id(row.id),
            workflow_type="PaymentCollection",
            argument={"collection_id": row.id, "merchant_id": row.merchant_id},
        ),
    )
    return CreatedPayment(row.id, created=True)


async def create_setup(session: AsyncSession, command: CreateSetup) -> str:
    """Opens a session that saves a card; returns its id."""
    await _living_customer(session, command.merchant_id, command.customer_id)
    row = PaymentSession(
        id=new_id("ps"),
        merchant_id=command.merchant_id,
        token=secrets.token_hex(24),
        entity_type="setup",
        entity_id=command.customer_id,
        collection_id=command.customer_id,
        customer_id=command.customer_id,
        currency="",
        status="pending",
        save_payment_method=True,
        success_url=command.success_url,
        failure_url=command.failure_url,
        custom=command.custom,
        expires_at=command.expires_at or wall_now() + SETUP_SESSION_LIFE,
    )
    await payments.add_session(session, row)
    return row.id


async def complete_setup(
    session: AsyncSession, merchant_id: str, session_id: str, card: SavedCard
) -> list[str]:
    """Saves the card of a set-up session; returns the invoices that wait for a better card."""
    row = await payments.get_session(session, merchant_id, session_id)
    if row is None or row.customer_id is None:
        raise NotFound(f"No payment session {session_id}")
    await keep_card(session, merchant_id, row.customer_id, card)
    await payments.change_session(
        session, merchant_id, session_id, status="completed", completed_at=wall_now()
    )
    return await invoices.unpaid_automatic(session, merchant_id, row.customer_id)


async def keep_card(
    session: AsyncSession, merchant_id: str, customer_id: str, card: SavedCard
) -> None:
    """Saves the card with its customer; the same card again is the same row."""
    row = PaymentMethod(
        id=derived_id("pm", customer_id, card.payment_method_id),
        merchant_id=merchant_id,
        customer_id=customer_id,
        gateway_method_id=card.payment_method_id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
    )
    await payments.add_method(session, row)


async def create_link(session: AsyncSession, command: CreateLink) -> str:
    """Opens a new page for an unpaid invoice in place of the old one; returns its session's id."""
    invoice = await invoices.get(session, command.merchant_id, command.invoice_id, lock=True)
    if invoice is None:
        raise NotFound(f"No invoice {command.invoice_id}")
    if invoice.status not in PAYABLE_INVOICE:
        raise NotLinkable(f"An invoice that is {invoice.status} is not paid by a link")
    if issuing.unpaid(invoice) <= 0:
        raise NoBalance("Nothing is left to pay on the invoice")
    link_id = await _replace_link(session, invoice, command.now)
    await notifications.add(
        session,
        Notification(
            id=derived_id("ntf", link_id),
            merchant_id=invoice.merchant_id,
            customer_id=invoice.customer_id,
            subscription_id=invoice.subscription_id,
            kind="payment_link",
            object_id=link_id,
            told_at=command.now,
            content={"invoiceId": invoice.id},
        ),
    )
    return link_id


async def _replace_link(session: AsyncSession, invoice: Invoice, now: datetime) -> str:
    earlier = await payments.all_sessions_of(session, invoice.merchant_id, invoice.id)
    if not earlier:
        raise NotLinkable("The invoice never had a payment page")
    await payments.change_sessions(session, invoice.merchant_id, invoice.id, status="cancelled")
    newest = earlier[-1]
    limits = [now + LINK_LIFE]
    subscription = await subscriptions.get(session, invoice.merchant_id, invoice.subscription_id)
    if subscription is not None and subscription.status == "pending_payment":
        limits.append(subscription.session_expires_at or limits[0])
    row = PaymentSession(
        id=derived_id("ps", invoice.id, len(earlier)),
        merchant_id=invoice.merchant_id,
        token=secrets.token_hex(24),
        entity_type=newest.entity_type,
        entity_id=newest.entity_id,
        collection_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=invoice.subscription_id,
        amount=issuing.unpaid(invoice),
        currency=invoice.currency,
        status="pending",
        save_payment_method=newest.save_payment_method,
        success_url=newest.success_url,
        failure_url=newest.failure_url,
        expires_at=min(limits),
    )
    await payments.add_session(session, row)
    return row.id


async def _living_customer(session: AsyncSession, merchant_id: str, customer_id: str) -> None:
    if await customer_rows.get(session, merchant_id, customer_id) is None:
        raise NotFound(f"No customer {customer_id}")


def _payment_row(command: CreatePayment) -> Payment:
    now = wall_now()
    return Payment(
        id=new_id("pay"),
        merchant_id=command.merchant_id,
        customer_id=command.customer_id,
        status="pending",
        amount=command.amount,
        currency=command.currency,
        idempotency_key=command.idempotency_key,
        request_digest=request_digest(command),
        reference=command.reference,
        custom=command.custom,
        line_items=command.line_items,
        save_payment_method=command.save_payment_method,
        expires_at=command.expires_in.after(now),
    )


def _payment_session(command: CreatePayment, row: Payment) -> PaymentSession:
    return PaymentSession(
        id=derived_id("ps", row.id, 0),
        merchant_id=row.merchant_id,
        token=secrets.token_hex(24),
        entity_type="payment",
        entity_id=row.id,
        collection_id=row.id,
        customer_id=row.customer_id,
        amount=row.amount,
        currency=row.currency,
        status="pending",
        save_payment_method=row.save_payment_method,
        success_url=command.success_url,
        failure_url=command.failure_url,
        expires_at=row.expires_at,
    )


async def _repeated(session: AsyncSession, row: Payment) -> CreatedPayment | None:
    """The payment that the key made already; None where it is new, or there is none."""
    if row.idempotency_key is None:
        return None
    first = await payments.payment_by_key(session, row.merchant_id, row.idempotency_key)
    if first is None:
        return None
    if first.request_digest != row.request_digest:
        _refuse_key()
    return CreatedPayment(first.id, created=False)


def _refuse_key() -> NoReturn:
    raise Conflict("The idempotency key was used for another payment")
