"""Marks a PDF that carries an invoice's XML as Factur-X, so that readers look for it."""

from io import BytesIO
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from pypdf.generic import StreamObject

FILE_NAME: Final = "factur-x.xml"
_NAMESPACE: Final = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_MEMBERS: Final = {
    "DocumentFileName": FILE_NAME,
    "DocumentType": "INVOICE",
    "Version": "1.0",
    "ConformanceLevel": "EN 16931",
}
# PDF/A allows a member of its metadata only where a schema beside it says what it is.
_SCHEMAS_END: Final = "</rdf:Bag></pdfaExtension:schemas>"
_DESCRIPTION_END: Final = "</rdf:Description></rdf:RDF>"


def marked(pdf: bytes) -> bytes:
    """The PDF with Factur-X's members in its metadata; nothing else of it changes."""
    # Not with the process: most of them never set a document, and it is slow to load.
    from pypdf import PdfReader, PdfWriter  # noqa: PLC0415
    from pypdf.generic import NameObject, StreamObject  # noqa: PLC0415

    reader = PdfReader(BytesIO(pdf))
    writer = PdfWriter(clone_from=reader)
    writer.pdf_header = reader.pdf_header
    root = writer.root_object
    told = cast("StreamObject", root["/Metadata"]).get_data().decode()
    metadata = StreamObject()
    metadata.set_data(_with_members(told).encode())
    metadata[NameObject("/Type")] = NameObject("/Metadata")
    metadata[NameObject("/Subtype")] = NameObject("/XML")
    root[NameObject("/Metadata")] = writer._add_object(metadata)  # noqa: SLF001 - has no public name
    made = BytesIO()
    writer.write(made)
    return made.getvalue()


def _with_members(told: str) -> str:
    assert told.count(_SCHEMAS_END) == 1
    assert told.count(_DESCRIPTION_END) == 1
    members = "".join(f"<fx:{name}>{value}</fx:{name}>" for name, value in _MEMBERS.items())
    description = f'<rdf:Description rdf:about="" xmlns:fx="{_NAMESPACE}">{members}'
    return told.replace(_SCHEMAS_END, _schema() + _SCHEMAS_END).replace(
        _DESCRIPTION_END, f"</rdf:Description>{description}{_DESCRIPTION_END}"
    )


def _schema() -> str:
    properties = "".join(
        '<rdf:li rdf:parseType="Resource">'
        f"<pdfaProperty:name>{name}</pdfaProperty:name>"
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType>"
        "<pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{name} of the embedded invoice</pdfaProperty:description>"
        "</rdf:li>"
        for name in _MEMBERS
    )
    return (
        '<rdf:li rdf:parseType="Resource">'
        "<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>"
        f"<pdfaSchema:namespaceURI>{_NAMESPACE}</pdfaSchema:namespaceURI>"
        "<pdfaSchema:prefix>fx</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property>"
        "</rdf:li>"
    )
