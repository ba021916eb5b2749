"""What follows from money that has come: the invoice is paid, the books say so, its pages end."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import issuing
from activities.payment_collections import Payable, payable_of
from billing import ledger as bookkeeping
from billing.ids import derived_id
from billing.invoicing import check_transition
from models.invoices import Invoice
from models.payments import Payment, PaymentAttempt
from models.queries import invoices, ledger, payments


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOutside:
    """The merchant says that an invoice was paid to him directly; recorded as attempt `number`."""

    merchant_id: str
    invoice_id: str
    number: int
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SettledOutside:
    """Whether this settled it; an invoice that is paid or taken back is not settled again."""

    settled: bool


async def settle(
    session: AsyncSession, payable: Payable, attempt: PaymentAttempt, now: datetime
) -> None:
    """The attempt has brought the money: pays what was collected."""
    if payable.invoice is not None:
        await _pay_invoice(session, payable.invoice, attempt, now)
    if payable.payment is not None:
        await _complete(session, payable.payment, attempt, now)


async def settle_outside(session: AsyncSession, command: SettleOutside) -> SettledOutside:
    """Books an invoice as paid past the provider; its pages end."""
    attempt_id = derived_id("att", command.invoice_id, command.number)
    made = await payments.get_attempt(session, command.merchant_id, attempt_id)
    if made is not None and made.origin == "out_of_band":
        return SettledOutside(settled=True)
    payable = await payable_of(session, command.merchant_id, command.invoice_id)
    if not payable.is_open or payable.invoice is None:
        return SettledOutside(settled=False)
    attempt = _outside_row(payable, command)
    await payments.add_attempt(session, attempt)
    await settle(session, payable, attempt, command.now)
    await payments.change_sessions(
        session, command.merchant_id, command.invoice_id, status="cancelled"
    )
    return SettledOutside(settled=True)


def _outside_row(payable: Payable, command: SettleOutside) -> PaymentAttempt:
    """The record of money that no provider saw: without a card or a charge, its reason as told."""
    return PaymentAttempt(
        id=derived_id("att", command.invoice_id, command.number),
        merchant_id=command.merchant_id,
        collection_id=command.invoice_id,
        number=command.number,
        status="succeeded",
        origin="out_of_band",
        amount=payable.amount,
        currency=payable.currency,
        gateway_method_id="",
        message=command.reason,
        attempted_at=command.now,
        resolved_at=command.now,
    )


async def _pay_invoice(
    session: AsyncSession, invoice: Invoice, attempt: PaymentAttempt, now: datetime
) -> None:
    check_transition("ISSUED" if invoice.status == "ISSUED" else "PAYMENT_FAILED", "PAID")
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="PAID",
        paid_amount=invoice.paid_amount + attempt.amount,
        paid_at=now,
        next_action_at=None,
    )
    till: bookkeeping.Till = (
        "external_clearing" if attempt.origin == "out_of_band" else "processor_clearing"
    )
    parties, charge = issuing.parties(invoice), invoice.wallet_charge
    if attempt.amount > charge:
        received = bookkeeping.payment_received(
            parties, attempt.id, amount=attempt.amount - charge, till=till
        )
        await ledger.post(session, _booking(attempt, "received", received, now))
    if charge > 0:
        topped_up = bookkeeping.wallet_topped_up(parties, attempt.id, amount=charge, till=till)
        await ledger.post(session, _booking(attempt, "topped-up", topped_up, now))


async def _complete(
    session: AsyncSession, payment: Payment, attempt: PaymentAttempt, now: datetime
) -> None:
    """A one-off payment is earned when it is paid: nobody owed it before."""
    await payments.change_payment(
        session, payment.merchant_id, payment.id, status="completed", completed_at=now
    )
    parties = bookkeeping.Parties(
        payment.merchant_id, payment.customer_id or payment.merchant_id, payment.currency
    )
    paid = bookkeeping.one_off_paid(parties, attempt.id, amount=payment.amount)
    await ledger.post(session, _booking(attempt, "received", paid, now))


def _booking(
    attempt: PaymentAttempt, kind: str, transfer: bookkeeping.Transfer, now: datetime
) -> ledger.Booking:
    return ledger.Booking(
        merchant_id=attempt.merchant_id,
        transfer_id=derived_id("ltr", attempt.id, kind),
        booked_at=now,
        transfer=transfer,
    )
