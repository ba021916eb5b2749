"""Makes documents for whoever answers with one, resource or page; it decides no access."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response

from activities.documents.einvoice import einvoice_xml
from activities.documents.facts import DocumentFacts
from activities.documents.sheet import lay_out
from activities.documents.typesetting import Typesetter, set_pdf
from activities.documents.wording import Wording
from api.deps import PublicUrl, Transactions
from api.links import checkout_url
from billing.einvoicing import NotExpressible


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
class DocumentPress:
    """Reads in a transaction of its own: none is open while a document is set."""

    transactions: Transactions
    public_url: PublicUrl
    typesetter: Annotated[Typesetter, Depends(shared_typesetter)]

    async def pdf(self, document: DocumentFacts) -> PdfResponse:
        """The PDF, with its electronic invoice inside where it has one."""
        token = document.payment_token
        link = None if token is None else checkout_url(self.public_url, token)
        sheet = lay_out(document, Wording.of(document.buyer.locale), link)

        def make() -> bytes:
            return set_pdf(sheet, document.issued_at, _xml_inside(document))

        return PdfResponse(await self.typesetter.run(make), headers=_named(document, "pdf"))

    async def xml(self, document: DocumentFacts) -> XmlResponse:
        """The electronic invoice alone."""
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


Press = Annotated[DocumentPress, Depends(DocumentPress)]
