"""Documents of issued invoices and refunds on the wire; how they look is activities/documents'."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from activities.documents import facts
from activities.documents.facts import DocumentFacts
from activities.documents.sheet import lay_out
from activities.documents.typesetting import Typesetter
from activities.documents.wording import Wording
from api.deps import Caller, PublicUrl, Transactions
from api.links import checkout_url
from api.schema import InvoiceId, RefundId, found

router = APIRouter(prefix="/v2/invoices", tags=["Invoices V2"])


class PdfResponse(Response):
    """A PDF."""

    media_type = "application/pdf"


async def shared_typesetter(request: Request) -> Typesetter:
    """The one of this process: it bounds how many documents are set at a time."""
    typesetter: Typesetter = request.app.state.typesetter
    return typesetter


@dataclass(frozen=True, slots=True)
class _Press:
    """Reads in a transaction of its own: none is open while a document is set."""

    transactions: Transactions
    public_url: PublicUrl
    typesetter: Annotated[Typesetter, Depends(shared_typesetter)]

    async def pdf(self, document: DocumentFacts) -> PdfResponse:
        token = document.payment_token
        link = None if token is None else checkout_url(self.public_url, token)
        sheet = lay_out(document, Wording.of(document.buyer.locale), link)
        made = await self.typesetter.set(sheet, document.issued_at)
        name = f'inline; filename="{document.number}.pdf"'
        return PdfResponse(made, headers={"Content-Disposition": name})


Press = Annotated[_Press, Depends(_Press)]


@router.get("/{id}/pdf", operation_id="downloadInvoicePdf", response_class=PdfResponse)
async def download_invoice_pdf(id: InvoiceId, caller: Caller, press: Press) -> PdfResponse:
    """Download an issued invoice as PDF."""
    async with press.transactions.transaction() as session:
        document = await facts.of_invoice(session, caller.merchant_id, id)
    return await press.pdf(found(document, "document"))


@router.get(
    "/{id}/refunds/{refundId}/pdf", operation_id="downloadRefundPdf", response_class=PdfResponse
)
async def download_refund_pdf(
    id: InvoiceId,
    refundId: RefundId,  # noqa: N803 - the path's spelling
    caller: Caller,
    press: Press,
) -> PdfResponse:
    """Download a refund's credit note as PDF."""
    async with press.transactions.transaction() as session:
        document = await facts.of_refund(session, caller.merchant_id, id, refundId)
    return await press.pdf(found(document, "document"))
