"""Documents of issued invoices and refunds on the wire; how they look is activities/documents'."""

from typing import Any

from fastapi import APIRouter, Response

from activities.documents import facts
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


@router.get("/{id}/pdf", operation_id="downloadInvoicePdf", response_class=Response, responses=PDF)
async def download_invoice_pdf(id: InvoiceId, caller: Caller, press: Press) -> PdfResponse:
    """Download an issued invoice as PDF."""
    async with press.transactions.transaction() as session:
        document = await facts.of_invoice(session, caller.merchant_id, id)
    return await press.pdf(found(document, "document"))


@router.get("/{id}/xml", operation_id="downloadInvoiceXml", response_class=Response, responses=XML)
async def download_invoice_xml(id: InvoiceId, caller: Caller, press: Press) -> XmlResponse:
    """Download an issued invoice as EN 16931 XML; 422 with the reason where it has none."""
    async with press.transactions.transaction() as session:
        document = await facts.of_invoice(session, caller.merchant_id, id)
    return await press.xml(found(document, "document"))


@router.get(
    "/{id}/refunds/{refundId}/xml",
    operation_id="downloadRefundXml",
    response_class=Response,
    responses=XML,
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
    "/{id}/refunds/{refundId}/pdf",
    operation_id="downloadRefundPdf",
    response_class=Response,
    responses=PDF,
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
