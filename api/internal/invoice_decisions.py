"""What only a person decides about an invoice: that a draft is right, that money is not coming."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.deps import Commands, PublicUrl, Transactions
from api.internal.admin import administrator
from api.invoice_answers import Invoice, InvoiceReader
from api.line_pages import LinesInput
from api.schema import Body, InvoiceId, Reason, found
from api.workflow_starts import Closing, Collecting
from billing.errors import Conflict
from models import invoices as tables
from models.base import wall_now
from models.queries import explanations, invoices, subscriptions, test_clocks
from models.subscriptions import Subscription

router = APIRouter(prefix="/invoices/{id}", dependencies=[Depends(administrator)])

APPROVED = ("ISSUED", "PAID", "PAYMENT_FAILED", "WRITTEN_OFF")
UNPAID = ("ISSUED", "PAYMENT_FAILED")


class WriteOffInput(Body):
    """Why the money is given up."""

    reason: Reason


class NotApprovable(Conflict):
    """The invoice waits for nobody's approval."""

    code = "INVOICE_NOT_APPROVABLE"


class NotWrittenOff(Conflict):
    """Nothing is owed, or a payment is under way."""

    code = "INVOICE_NOT_OWED"


@dataclass(frozen=True, slots=True)
class _Desk:
    """Reads in transactions of its own: none is open while a workflow works."""

    transactions: Transactions
    commands: Commands
    public_url: PublicUrl

    async def case(self, invoice_id: str) -> tuple[tables.Invoice, Subscription, Collecting]:
        """The invoice of whichever merchant, whose it is, and the time that it lives in."""
        async with self.transactions.transaction() as session:
            row = found(await explanations.any_merchants(session, invoice_id), "invoice")
            owner = found(
                await subscriptions.get(session, row.merchant_id, row.subscription_id),
                "subscription",
            )
            clock_id = owner.test_clock_id
            now = await test_clocks.now_of(session, row.merchant_id, clock_id, wall_now())
        collecting = Collecting(
            merchant_id=row.merchant_id,
            collection_id=row.id,
            customer_id=row.customer_id,
            subscription_id=row.subscription_id,
            clock_id=clock_id,
            clock_now=None if clock_id is None else now,
        )
        return row, owner, collecting

    async def answer(self, row: tables.Invoice) -> Invoice:
        """The invoice as it now stands."""
        async with self.transactions.transaction() as session:
            stands = found(await invoices.get(session, row.merchant_id, row.id), "invoice")
            return await InvoiceReader(session, self.public_url).one(stands, LinesInput())


Desk = Annotated[_Desk, Depends(_Desk)]
Id = Annotated[InvoiceId, Path(alias="id")]


@router.post("/approval", operation_id="internalApproveInvoice")
async def approve_invoice(invoice_id: Id, desk: Desk) -> Invoice:
    """Approve a draft: it is numbered, booked, issued and collected. Twice, it is issued once."""
    row, owner, case = await desk.case(invoice_id)
    if row.status == "DRAFT" and owner.status == "pending_payment":
        await desk.commands.approve_first_invoice(case)
    elif row.status == "DRAFT":
        await desk.commands.approve_invoice(
            Closing(
                collecting=case,
                sequence_number=row.sequence_number,
                grace_period_end=row.grace_period_end,
            )
        )
    elif row.auto_approve or row.status not in APPROVED:
        raise NotApprovable(f"An invoice that is {row.status} waits for no approval")
    return await desk.answer(row)


@router.post("/writeOff", operation_id="internalWriteOffInvoice")
async def write_off_invoice(invoice_id: Id, body: WriteOffInput, desk: Desk) -> Invoice:
    """Give up what an invoice is owed; its collection ends, its link is dead."""
    row, owner, case = await desk.case(invoice_id)
    if row.status == "WRITTEN_OFF":
        return await desk.answer(row)
    if row.status not in UNPAID:
        raise NotWrittenOff(f"Nothing is owed on an invoice that is {row.status}")
    if owner.status == "pending_payment":
        raise NotWrittenOff("A first payment is not owed; terminate the subscription instead")
    result = await desk.commands.write_off(case, body.reason)
    if result.status != "succeeded":
        raise NotWrittenOff("The invoice was paid or taken back in the meantime")
    return await desk.answer(row)
