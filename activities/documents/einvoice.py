"""An issued invoice as EN 16931 XML (CII, as Factur-X has it), alone or inside its PDF.

What the standard cannot say is refused; what is written is checked against the schema.
"""

from datetime import date
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from activities.documents.facts import DocumentFacts, DocumentLine, Party
from activities.documents.tax_numbers import compact, is_reverse_charge, is_vat_number
from billing.einvoicing import ExpressedLine, NotExpressible, VatGroup, express
from billing.money import text
from billing.periods import Period

LEVEL: Final = "en16931"
_TYPE_INVOICE, _TYPE_CREDIT_NOTE = "380", "381"
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_UNIT_ONE: Final = "C62"
_REVERSE_CHARGE: Final = "Reverse charge"
_NAME_MAX, _TEXT_MAX = 100, 1000


class IssuerIdentityIncomplete(NotExpressible):
    """An electronic invoice names its seller in full; this merchant's address or number misses."""

    code = "ISSUER_IDENTITY_INCOMPLETE"


def einvoice_xml(facts: DocumentFacts) -> bytes:
    """The XML, valid against the schema of the standard; `NotExpressible` where it cannot be."""
    # Not with the process: most of them never set a document, and it is slow to load.
    from facturx import generate_cii_xml, xml_check_xsd  # noqa: PLC0415

    terms = _terms(facts)
    made: bytes = generate_cii_xml(terms, level=LEVEL, check_xsd=False, check_schematron=False)
    # The period says when it was supplied; the empty delivery beside it must not be marked as nil.
    root = etree.fromstring(made)
    for element in root.iter():
        element.attrib.pop(_NIL, None)
    etree.cleanup_namespaces(root)
    xml: bytes = etree.tostring(root, pretty_print=True, encoding="UTF-8", xml_declaration=True)
    xml_check_xsd(xml, flavor="factur-x", level=LEVEL)
    return xml


def _terms(facts: DocumentFacts) -> dict[str, Any]:
    """The invoice by the names of the standard's business terms."""
    _refuse_unnamed(facts)
    expressed = express(
        facts.lines,
        minor_digits=facts.digits,
        subtotal=facts.subtotal,
        tax=facts.tax,
        is_reverse_charge=is_reverse_charge(facts),
    )
    first, last = _days(facts.period)
    terms: dict[str, Any] = {
        "BT-1": facts.number,
        "BT-2": facts.issued_at.date(),
        "BT-3": _TYPE_CREDIT_NOTE if facts.is_credit_note else _TYPE_INVOICE,
        "BT-5": facts.currency,
        "BG-4": _party(facts.seller),
        "BG-7": _party(facts.buyer),
        "BT-73": first,
        "BT-74": last,
        "BG-23": [_group(group, facts) for group in expressed.groups],
        "BG-25": [
            _line(number, line, stated, facts)
            for number, (line, stated) in enumerate(
                zip(facts.lines, expressed.lines, strict=True), start=1
            )
        ],
        "BT-106": _amount(facts.subtotal, facts),
        "BT-109": _amount(facts.subtotal, facts),
        "BT-110": _amount(facts.tax, facts),
        "BT-112": _amount(facts.total, facts),
        "BT-113": _amount(facts.paid, facts),
        "BT-115": _amount(facts.total - facts.paid, facts),
    }
    if facts.due_at is not None:
        terms["BT-9"] = facts.due_at.date()
    if facts.is_credit_note:
        terms["BG-3"] = [{"BT-25": facts.invoice_number}]
    return terms


def _refuse_unnamed(facts: DocumentFacts) -> None:
    if not facts.seller.country or not facts.seller.tax_id:
        raise IssuerIdentityIncomplete("The merchant's country and tax number are needed")
    if not facts.buyer.country:
        raise NotExpressible("The customer's country is needed")
    if facts.standing in ("cancelled", "written_off", "voided"):
        raise NotExpressible("What was taken back is no invoice any more")


def _party(party: Party) -> dict[str, Any]:
    address = party.address
    found: dict[str, Any] = {
        "name": _clean(party.name),
        "addr_l1": _clean(address.get("line1", "")),
        "addr_l2": _clean(address.get("line2", "")),
        "city": _clean(address.get("city", "")),
        "postcode": _clean(address.get("zipCode", "")),
        "country_subdivision": _clean(address.get("state", "")),
        "country_code": party.country,
    }
    if party.tax_id and is_vat_number(party):
        found["vat_identifier"] = compact(party.tax_id)
    elif party.tax_id:
        # A number that is not for VAT does not identify a seller by itself (BR-CO-26).
        found["tax_identifier"] = _clean(party.tax_id)
        found["identifiers"] = {None: found["tax_identifier"]}
    return {name: value for name, value in found.items() if value}


def _group(group: VatGroup, facts: DocumentFacts) -> dict[str, Any]:
    found = {
        "BT-116": _amount(group.base, facts),
        "BT-117": _amount(group.tax, facts),
        "BT-118": group.category,
        "BT-119": text(group.percent),
    }
    if group.category == "AE":
        found |= {"BT-120": _REVERSE_CHARGE, "BT-121": "VATEX-EU-AE"}
    return found


def _line(
    number: int, line: DocumentLine, stated: ExpressedLine, facts: DocumentFacts
) -> dict[str, Any]:
    first, last = _days(line.window)
    found = {
        "BT-126": str(number),
        "BT-153": _clean(line.name)[:_NAME_MAX] or "-",
        "BT-129": text(stated.quantity),
        "BT-130": _UNIT_ONE,
        "BT-146": text(stated.price),
        "BT-131": _amount(stated.net, facts),
        "BT-151": stated.category,
        "BT-152": text(stated.percent),
        "BT-134": first,
        "BT-135": last,
    }
    told = _told(line, stated)
    return found | {"BT-154": told} if told else found


def _told(line: DocumentLine, stated: ExpressedLine) -> str:
    """What the numbers of a line do not say by themselves."""
    parts = [line.description]
    if stated.is_whole:
        share = "" if line.fraction == "1" else f" x {line.fraction}"
        counted = f"{text(line.quantity)} {line.unit}".strip()
        parts.append(f"{counted} x {text(line.unit_price)}{share}")
    elif line.unit:
        parts.append(f"Unit: {line.unit}")
    return _clean("; ".join(part for part in parts if part))[:_TEXT_MAX]


def _clean(told: str) -> str:
    """Without what XML has no characters for."""
    return "".join(each for each in told if each.isprintable() or each.isspace()).strip()


def _days(period: Period) -> tuple[date, date]:
    return period.start.date(), period.last.date()


def _amount(amount: Decimal, facts: DocumentFacts) -> str:
    return format(amount, f".{facts.digits}f")
