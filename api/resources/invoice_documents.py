"""Documents of issued invoices and refunds on the wire; how they look is activities/documents'."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from activities.documents import facts
from activities.documents.einvoice import einvoice_xml
from activities.documents.facts import DocumentFacts
from activities.documents.sheet import lay_out
from activities.documents.typesetting import Typesetter, set_pdf
from activities.documents.wording import Wording
from api.deps import Caller, PublicUrl, Transactions
from api.links import checkout_url
from api.schema import InvoiceId, RefundId, found
from billing.einvoicing import NotExpressible

router = APIRouter(prefix="/v2/invoices", tags=["Invoices V2"])


class PdfResponse(Response):
    """A PDF."""

    media_type = "application/pdf"


class XmlResponse(Response):
    """An XML document."""

    media_type = "application/xml"


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

        def make() -> bytes:
            return set_pdf(sheet, document.issued_at, _xml_inside(document))

        return PdfResponse(await self.typesetter.run(make), headers=_named(document, "pdf"))

    async def xml(self, document: DocumentFacts) -> XmlResponse:
        made = await self.typesetter.run(lambda: einvoice_xml(document))
        return XmlResponse(made, headers=_named(document, "xml"))


def _xml_inside(document: DocumentFacts) -> bytes | None:
    """The electronic invoice that the PDF carries; a document that has none is still a PDF."""
    try:
        return einvoice_xml(document)
    except NotExpressible:
        return None


def _named(document: DocumentFacts, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'inline; filename="{document.number}.{ending}"'}


Press = Annotated[_Press, Depends(_Press)]


@router.get("/{id}/pdf", operation_id="downloadInvoicePdf", response_class=PdfResponse)
async def download_invoice_pdf(id: InvoiceId, caller: Caller, press: Press) -> PdfResponse:
    """Download an issued invoice as PDF."""
    async with press.transactions.transaction() as session:
        document = await facts.of_invoice(session, caller.merchant_id, id)
    return await press.pdf(found(document, "document"))


@router.get("/{id}/xml", operation_id="downloadInvoiceXml", response_class=XmlResponse)
async def download_invoice_xml(id: InvoiceId, caller: Caller, press: Press) -> XmlResponse:
    """Download an issued invoice as EN 16931 XML; 422 with the reason where it has none."""
    async with press.transactions.transaction() as session:
        document = await facts.of_invoice(session, caller.merchant_id, id)
    return await press.xml(found(document, "document"))


@router.get(
    "/{id}/refunds/{refundId}/xml", operation_id="downloadRefundXml", response_class=XmlResponse
)
async def download_refund_xml(
    id: InvoiceId,
    refundId: RefundId,  # noqa: N803 - the path's spelling
    caller: Caller,
    press: Press,
) -> XmlResponse:
    """Download a refund's credit note as EN 16931 XML."""
    async with press.transactions.transaction() as session:
        document = await facts.of_refund(session, caller.merchant_id, id, refundId)
    return await press.xml(found(document, "document"))


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
