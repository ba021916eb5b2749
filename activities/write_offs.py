"""Writing an invoice off: its money is given up in the books; whom it stops is the workflow's."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import issuing
from billing import ledger as bookkeeping
from billing.errors import NotFound
from billing.ids import derived_id
from billing.invoicing import check_transition
from models.database import Database
from models.invoices import Invoice
from models.queries import invoices, ledger, payments, subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff:
    """Which invoice is given up, and why."""

    merchant_id: str
    invoice_id: str
    now: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOff:
    """Whether it is given up now; else it was paid or taken back, or a charge is under way."""

    written_off: bool


class WriteOffActivities:
    """The only writer of WRITTEN_OFF."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def write_off_invoice(self, command: WriteOff) -> WrittenOff:
        """Books what is owed as lost and closes the invoice's pages; run twice, it books once."""
        async with self._database.transaction() as session:
            invoice = await invoices.get(
                session, command.merchant_id, command.invoice_id, lock=True
            )
            if invoice is None:
                raise NotFound(f"No invoice {command.invoice_id}")
            if invoice.status == "WRITTEN_OFF":
                return WrittenOff(written_off=True)
            if not await _can_be_given_up(session, invoice):
                return WrittenOff(written_off=False)
            await _give_up(session, invoice, command)
            return WrittenOff(written_off=True)


async def _can_be_given_up(session: AsyncSession, invoice: Invoice) -> bool:
    """A first payment is none: it was never owed, and its subscription waits for it."""
    if invoice.status not in ("ISSUED", "PAYMENT_FAILED"):
        return False
    made = await payments.attempts_of(session, invoice.merchant_id, invoice.id)
    if made and made[-1].status == "pending":
        return False
    owner = await subscriptions.get(session, invoice.merchant_id, invoice.subscription_id)
    return owner is None or owner.status != "pending_payment"


async def _give_up(session: AsyncSession, invoice: Invoice, command: WriteOff) -> None:
    # A wallet charge is booked when it is paid: nobody owes it.
    owed = issuing.unpaid(invoice) - invoice.wallet_charge
    check_transition("ISSUED", "WRITTEN_OFF")
    check_transition("PAYMENT_FAILED", "WRITTEN_OFF")
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="WRITTEN_OFF",
        next_action_at=None,
        written_off_at=command.now,
        write_off_reason=command.reason,
    )
    await payments.change_sessions(
        session,
        invoice.merchant_id,
        invoice.id,
        status="cancelled",
    )
    if owed <= 0:
        return
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=invoice.merchant_id,
            transfer_id=derived_id("ltr", invoice.id, "written_off"),
            booked_at=command.now,
            transfer=bookkeeping.invoice_written_off(
                issuing.parties(invoice), invoice.id, amount=owed
            ),
        ),
    )
