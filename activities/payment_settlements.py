"""What follows from money that has come: the invoice is paid, the books say so, its pages end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import issuing
from activities.payment_collections import Payable, payable_of
from billing import ledger as bookkeeping
from billing.ids import derived_id
from billing.invoicing import check_transition
from models.invoices import Invoice
from models.payments import Payment, PaymentAttempt
from models.queries import invoices, ledger, payments
from models.row_sets import Change


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


@dataclass(frozen=True, slots=True)
class Paid:
    """What was collected, the attempt that brought its money, and when."""

    payable: Payable
    attempt: PaymentAttempt
    at: datetime


async def settle(session: AsyncSession, merchant_id: str, paid: Sequence[Paid]) -> None:
    """Pays what was collected, of one merchant, and books it: a few statements for all."""
    bills = [(each, each.payable.invoice) for each in paid if each.payable.invoice is not None]
    await invoices.change_all(
        session, merchant_id, [Change(bill, _paid_columns(bill, each)) for each, bill in bills]
    )
    bookings = [booking for each, bill in bills for booking in _invoice_bookings(bill, each)]
    bookings += [
        await _complete(session, each.payable.payment, each)
        for each in paid
        if each.payable.payment is not None
    ]
    await ledger.post_all(session, merchant_id, bookings)


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
    await payments.add_attempts(session, command.merchant_id, [attempt])
    await settle(session, command.merchant_id, [Paid(payable, attempt, command.now)])
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


def _paid_columns(invoice: Invoice, paid: Paid) -> dict[str, Any]:
    check_transition("ISSUED" if invoice.status == "ISSUED" else "PAYMENT_FAILED", "PAID")
    return {
        "status": "PAID",
        "paid_amount": invoice.paid_amount + paid.attempt.amount,
        "paid_at": paid.at,
        "next_action_at": None,
    }


def _invoice_bookings(invoice: Invoice, paid: Paid) -> list[ledger.Booking]:
    """What was owed is received; a wallet's charge is in the wallet from now on."""
    attempt, charge, parties = paid.attempt, invoice.wallet_charge, issuing.parties(invoice)
    till: bookkeeping.Till = (
        "external_clearing" if attempt.origin == "out_of_band" else "processor_clearing"
    )
    bookings = []
    if attempt.amount > charge:
        received = bookkeeping.payment_received(
            parties, attempt.id, amount=attempt.amount - charge, till=till
        )
        bookings.append(_booking(paid, "received", received))
    if charge > 0:
        topped_up = bookkeeping.wallet_topped_up(parties, attempt.id, amount=charge, till=till)
        bookings.append(_booking(paid, "topped-up", topped_up))
    return bookings


async def _complete(session: AsyncSession, payment: Payment, paid: Paid) -> ledger.Booking:
    """A one-off payment is earned when it is paid: nobody owed it before."""
    await payments.change_payment(
        session, payment.merchant_id, payment.id, status="completed", completed_at=paid.at
    )
    parties = bookkeeping.Parties(
        payment.merchant_id, payment.customer_id or payment.merchant_id, payment.currency
    )
    earned = bookkeeping.one_off_paid(parties, paid.attempt.id, amount=payment.amount)
    return _booking(paid, "received", earned)


def _booking(paid: Paid, kind: str, transfer: bookkeeping.Transfer) -> ledger.Booking:
    return ledger.Booking(
        merchant_id=paid.attempt.merchant_id,
        transfer_id=derived_id("ltr", paid.attempt.id, kind),
        booked_at=paid.at,
        transfer=transfer,
    )
