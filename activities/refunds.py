"""Refund transactions and the one outside call, giving a charge back; waiting is the workflow's."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.gateways.port import PaymentGateway, RefundRequest
from billing import ledger as bookkeeping
from billing.errors import BillingError, NotFound
from billing.ids import derived_id
from models.base import new_id
from models.database import Database
from models.invoices import Invoice
from models.payments import PaymentAttempt
from models.queries import invoices, ledger, outbox, payments, refunds
from models.refunds import Refund


class NotPaid(BillingError):
    """Only money that has arrived is given back."""

    code = "INVOICE_NOT_PAID"


class InvoiceRefunded(BillingError):
    """The invoice is refunded already, in full."""

    code = "INVOICE_ALREADY_REFUNDED"


class HasTopUp(BillingError):
    """The invoice filled a wallet, from which the money may have been spent."""

    code = "INVOICE_HAS_WALLET_CHARGE"


class RefundVoided(BillingError):
    """What is voided once is not voided again."""

    code = "REFUND_ALREADY_VOIDED"


class RefundInProgress(BillingError):
    """The provider has not confirmed yet that the money went back."""

    code = "REFUND_IN_PROGRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRefund:
    """Gives a paid invoice back."""

    merchant_id: str
    invoice_id: str
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRefund:
    """Takes a refund back."""

    merchant_id: str
    invoice_id: str
    refund_id: str
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRef:
    """Which refund."""

    merchant_id: str
    refund_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefund:
    """How the provider answered: the id of its refund, or why it will never make one."""

    merchant_id: str
    refund_id: str
    gateway_refund_id: str | None = None
    refusal: str | None = None


class RefundActivities:
    """The only writer of refunds."""

    def __init__(self, database: Database, gateway: PaymentGateway) -> None:
        self._database = database
        self._gateway = gateway

    async def create_refund(self, command: CreateRefund) -> str:
        """Writes the credit note and owes the money; returns its id. Not an activity.

        What the provider did not receive, or has given back before, it does not give back: then
        the merchant does, and it is booked at once.
        """
        async with self._database.transaction() as session:
            invoice = await invoices.get(
                session, command.merchant_id, command.invoice_id, lock=True
            )
            if invoice is None:
                raise NotFound(f"No invoice {command.invoice_id}")
            _check_refundable(invoice)
            earlier = await refunds.of_invoice(session, invoice.merchant_id, invoice.id)
            if any(row.status == "ISSUED" for row in earlier):
                raise InvoiceRefunded("The invoice is refunded already")
            made = await payments.attempts_of(session, invoice.merchant_id, invoice.id)
            paid = next((each for each in reversed(made) if each.status == "succeeded"), None)
            given_back = {row.gateway_charge_id for row in earlier if row.gateway_refund_id}
            refund = _row(invoice, command, _charge_left(paid, given_back))
            await refunds.add(session, refund)
            if refund.gateway_charge_id is None:
                await _settle(session, refund, None)
            else:
                await outbox.add(session, _start(refund))
            return refund.id

    async def void_refund(self, command: VoidRefund) -> None:
        """Takes a settled refund back: the money is with the merchant again. Not an activity."""
        async with self._database.transaction() as session:
            refund = await refunds.get(session, command.merchant_id, command.refund_id, lock=True)
            if refund is None or refund.invoice_id != command.invoice_id:
                raise NotFound(f"No refund {command.refund_id}")
            if refund.status == "VOIDED":
                raise RefundVoided("The refund is voided already")
            if refund.settled_at is None:
                raise RefundInProgress("The provider has not confirmed the refund yet")
            await _void(session, refund, command.now, command.reason)
            await _book(
                session,
                refund,
                bookkeeping.refund_voided(
                    _parties(refund), refund.id, amount=refund.total, tax=refund.tax_amount
                ),
                command.now,
            )

    @activity.defn
    async def give_back(self, ref: RefundRef) -> str:
        """The outside call, and nothing else; the refund's id is the gateway's idempotency key."""
        async with self._database.transaction() as session:
            refund = await refunds.get(session, ref.merchant_id, ref.refund_id)
        if refund is None or refund.gateway_charge_id is None:
            raise NotFound(f"No refund {ref.refund_id} of a charge")
        made = await self._gateway.refund(
            RefundRequest(
                idempotency_key=refund.id, charge_id=refund.gateway_charge_id, amount=refund.total
            )
        )
        return made.refund_id

    @activity.defn
    async def settle_refund(self, command: SettleRefund) -> str:
        """Books what went back, or voids what the provider refused; returns the refund's state.

        Run twice, it books once.
        """
        async with self._database.transaction() as session:
            refund = await refunds.get(session, command.merchant_id, command.refund_id, lock=True)
            if refund is None:
                raise NotFound(f"No refund {command.refund_id}")
            if refund.status == "ISSUED" and refund.settled_at is None:
                if command.refusal is None:
                    await _settle(session, refund, command.gateway_refund_id)
                else:
                    await _void(session, refund, refund.issued_at, command.refusal)
            return refund.status


def workflow_id(refund_id: str) -> str:
    """The id of a refund's workflow."""
    return f"refund/{refund_id}"


def _check_refundable(invoice: Invoice) -> None:
    if invoice.status != "PAID" or invoice.grand_total <= 0:
        raise NotPaid("Only an invoice for which money has arrived is refunded")
    if invoice.wallet_charge:
        raise HasTopUp("The invoice filled a wallet and is not refunded as a whole")


def _charge_left(paid: PaymentAttempt | None, given_back: set[str | None]) -> str | None:
    """The provider's charge that can still be given back; None: the money is the merchant's."""
    if paid is None or paid.origin == "out_of_band" or paid.gateway_charge_id in given_back:
        return None
    return paid.gateway_charge_id


def _row(invoice: Invoice, command: CreateRefund, charge_id: str | None) -> Refund:
    return Refund(
        id=new_id("crn"),
        merchant_id=invoice.merchant_id,
        customer_id=invoice.customer_id,
        invoice_id=invoice.id,
        status="ISSUED",
        currency=invoice.currency,
        amount=invoice.subtotal,
        tax_amount=invoice.total_tax,
        total=invoice.grand_total,
        till="external_clearing" if charge_id is None else "processor_clearing",
        gateway_charge_id=charge_id,
        reason=command.reason,
        issued_at=command.now,
    )


def _start(refund: Refund) -> outbox.WorkflowStart:
    return outbox.WorkflowStart(
        merchant_id=refund.merchant_id,
        workflow_id=workflow_id(refund.id),
        workflow_type="Refund",
        argument={
            "refund_id": refund.id,
            "merchant_id": refund.merchant_id,
            "customer_id": refund.customer_id,
            "invoice_id": refund.invoice_id,
        },
    )


async def _settle(session: AsyncSession, refund: Refund, gateway_refund_id: str | None) -> None:
    await refunds.change(
        session,
        refund.merchant_id,
        refund.id,
        settled_at=refund.issued_at,
        gateway_refund_id=gateway_refund_id,
    )
    till: bookkeeping.Till = (
        "external_clearing" if refund.gateway_charge_id is None else "processor_clearing"
    )
    await _book(
        session,
        refund,
        bookkeeping.refund_paid(
            _parties(refund), refund.id, amount=refund.total, tax=refund.tax_amount, till=till
        ),
        refund.issued_at,
    )


async def _void(session: AsyncSession, refund: Refund, now: datetime, reason: str | None) -> None:
    await refunds.change(
        session,
        refund.merchant_id,
        refund.id,
        status="VOIDED",
        voided_at=now,
        void_reason=reason,
    )


async def _book(
    session: AsyncSession, refund: Refund, transfer: bookkeeping.Transfer, now: datetime
) -> None:
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=refund.merchant_id,
            transfer_id=derived_id("ltr", refund.id, transfer.kind),
            booked_at=now,
            transfer=transfer,
        ),
    )


def _parties(refund: Refund) -> bookkeeping.Parties:
    return bookkeeping.Parties(refund.merchant_id, refund.customer_id, refund.currency)
