"""Documents of issued invoices and refunds on the wire; how they look is activities/documents'."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from activities.documents import facts
from activities.documents.facts import DocumentFacts
from api.deps import Caller
from api.press import PdfResponse, Press, XmlResponse
from api.schema import InvoiceId, RefundId, found

# Declared by hand: a class of answers would give its content type to the refusals too.
_BINARY = {"schema": {"type": "string", "format": "binary"}}
PDF: dict[int | str, dict[str, Any]] = {
    200: {"description": "The document", "content": {"application/pdf": _BINARY}}
}
XML: dict[int | str, dict[str, Any]] = {
    200: {"description": "The document", "content": {"application/xml": _BINARY}}
}

router = APIRouter(prefix="/v2/invoices", tags=["Invoices V2"])


async def _invoice(press: Press, merchant_id: str, invoice_id: str) -> DocumentFacts:
    """What an issued invoice says; the transaction ends before it is set."""
    async with press.transactions.transaction() as session:
        return found(await facts.of_invoice(session, merchant_id, invoice_id), "document")


async def _refund(press: Press, merchant_id: str, invoice_id: str, refund_id: str) -> DocumentFacts:
    """What a refund's credit note says."""
    async with press.transactions.transaction() as session:
        return found(await facts.of_refund(session, merchant_id, invoice_id, refund_id), "document")


@router.get("/{id}/pdf", operation_id="downloadInvoicePdf", response_class=Response, responses=PDF)
async def download_invoice_pdf(id: InvoiceId, caller: Caller, press: Press) -> PdfResponse:
    """Download an issued invoice as PDF."""
    return await press.pdf(await _invoice(press, caller.merchant_id, id))


@router.get("/{id}/xml", operation_id="downloadInvoiceXml", response_class=Response, responses=XML)
async def download_invoice_xml(id: InvoiceId, caller: Caller, press: Press) -> XmlResponse:
    """Download an issued invoice as EN 16931 XML; 422 with the reason where it has none."""
    return await press.xml(await _invoice(press, caller.merchant_id, id))


@router.get(
    "/{id}/refunds/{refundId}/xml",
    operation_id="downloadRefundXml",
    response_class=Response,
    responses=XML,
)
async def download_refund_xml(
    id: InvoiceId,
    refund_id: Annotated[RefundId, Path(alias="refundId")],
    caller: Caller,
    press: Press,
) -> XmlResponse:
    """Download a refund's credit note as EN 16931 XML."""
    return await press.xml(await _refund(press, caller.merchant_id, id, refund_id))


@router.get(
    "/{id}/refunds/{refundId}/pdf",
    operation_id="downloadRefundPdf",
    response_class=Response,
    responses=PDF,
)
async def download_refund_pdf(
    id: InvoiceId,
    refund_id: Annotated[RefundId, Path(alias="refundId")],
    caller: Caller,
    press: Press,
) -> PdfResponse:
    """Download a refund's credit note as PDF."""
    return await press.pdf(await _refund(press, caller.merchant_id, id, refund_id))
