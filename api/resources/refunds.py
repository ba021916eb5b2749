"""Refunds on the wire: credit notes for the whole of a paid invoice, and their voiding."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from activities.refunds import CreateRefund, VoidRefund
from api.deps import Caller, Commands, PublicUrl, Session, Transactions
from api.idempotency import KeptRoute
from api.links import refund_pdf_url
from api.schema import Body, Instant, InvoiceId, RefundId, Wire, found
from billing.money import amount_text
from models import refunds as tables
from models.base import wall_now
from models.queries import invoices, refunds, test_clocks

router = APIRouter(prefix="/v2/invoices", tags=["Invoices V2"], route_class=KeptRoute)

Reason = Annotated[str, StringConstraints(max_length=1000)]


class RefundInput(Body):
    """Why an invoice is given back."""

    reason: Reason | None = None


class VoidInput(Body):
    """Why a refund is taken back."""

    reason: Reason | None = None


class Refund(Wire):
    """A credit note for a whole invoice."""

    object: Literal["invoice_refund"] = "invoice_refund"
    id: str
    invoice_id: str
    merchant_id: str
    amount: str
    """Without tax."""
    tax_amount: str
    total: str
    currency: str
    status: str
    reason: str | None
    external_credit_note_id: str
    permalink: None = None
    pdf_url: str
    created_at: Instant
    voided_at: Instant | None

    @classmethod
    def of(cls, row: tables.Refund, public_url: str) -> Self:
        """The answer for a row; it is dated as the subscription's time was."""
        return cls.from_row(
            row,
            amount=amount_text(row.amount, row.currency),
            tax_amount=amount_text(row.tax_amount, row.currency),
            total=amount_text(row.total, row.currency),
            external_credit_note_id=row.id,
            pdf_url=refund_pdf_url(public_url, row.invoice_id, row.id),
            created_at=row.issued_at,
        )


class Refunds(Wire):
    """All refunds of an invoice."""

    object: Literal["list"] = "list"
    data: list[Refund]


@dataclass(frozen=True, slots=True)
class _Door:
    """Changes, and reads in transactions of its own: a change has its own."""

    transactions: Transactions
    commands: Commands
    public_url: PublicUrl

    async def now_of(self, merchant_id: str, invoice_id: str) -> datetime:
        """The time in which the invoice's subscription lives."""
        async with self.transactions.transaction() as session:
            row = found(await invoices.get(session, merchant_id, invoice_id), "invoice")
            return await test_clocks.now_of_subscription(
                session, merchant_id, row.subscription_id, wall_now()
            )

    async def one(self, merchant_id: str, refund_id: str) -> Refund:
        """The refund as it now stands."""
        async with self.transactions.transaction() as session:
            row = found(await refunds.get(session, merchant_id, refund_id), "refund")
            return Refund.of(row, self.public_url)


Door = Annotated[_Door, Depends(_Door)]


@router.get("/{id}/refunds", operation_id="listInvoiceRefunds")
async def list_invoice_refunds(
    id: InvoiceId, caller: Caller, session: Session, public_url: PublicUrl
) -> Refunds:
    """List an invoice's refunds, newest first, voided ones too."""
    row = found(await invoices.get(session, caller.merchant_id, id), "invoice")
    rows = await refunds.of_invoice(session, caller.merchant_id, row.id)
    return Refunds(data=[Refund.of(each, public_url) for each in reversed(rows)])


@router.post("/{id}/refunds", operation_id="createInvoiceRefund", status_code=201)
async def create_invoice_refund(
    id: InvoiceId,
    caller: Caller,
    door: Door,
    body: RefundInput | None = None,
) -> Refund:
    """Give a paid invoice back, in full; the provider's part happens behind the answer."""
    now = await door.now_of(caller.merchant_id, id)
    reason = None if body is None else body.reason
    refund_id = await door.commands.create_refund(
        CreateRefund(merchant_id=caller.merchant_id, invoice_id=id, now=now, reason=reason)
    )
    return await door.one(caller.merchant_id, refund_id)


@router.post("/{id}/refunds/{refundId}/void", operation_id="voidInvoiceRefund")
async def void_invoice_refund(
    id: InvoiceId,
    refundId: RefundId,  # noqa: N803 - the path's spelling
    caller: Caller,
    door: Door,
    body: VoidInput | None = None,
) -> Refund:
    """Take a refund back: the money has returned to the merchant, past the provider."""
    merchant_id = caller.merchant_id
    now = await door.now_of(merchant_id, id)
    await door.commands.void_refund(
        VoidRefund(
            merchant_id=merchant_id,
            invoice_id=id,
            refund_id=refundId,
            now=now,
            reason=None if body is None else body.reason,
        )
    )
    return await door.one(merchant_id, refundId)
