"""What the tax numbers of seller and buyer say by their letters and digits; nobody is asked."""

from collections.abc import Mapping
from typing import Final

from stdnum.eu import vat

from activities.documents.facts import DocumentFacts, Party

# Greece writes its VAT numbers with letters of its own.
_PREFIXES: Final[Mapping[str, str]] = {"GR": "EL"}


def is_reverse_charge(facts: DocumentFacts) -> bool:
    """Whether a business buys, untaxed, from another of the Union's countries: it owes the tax.

    Both numbers are checked by their digits; that they are registered is not known offline.
    """
    seller, buyer = facts.seller, facts.buyer
    if any(line.tax_rate for line in facts.lines) or seller.country == buyer.country:
        return False
    return _has_union_number(seller) and _has_union_number(buyer)


def is_vat_number(party: Party) -> bool:
    """VAT numbers begin with their country; other tax numbers are told as such."""
    prefix = _PREFIXES.get(party.country, party.country)
    return bool(prefix) and compact(party.tax_id or "").startswith(prefix)


def compact(number: str) -> str:
    """A VAT number as machines write it."""
    return "".join(each for each in number.upper() if each.isalnum())


def _has_union_number(party: Party) -> bool:
    is_member = party.country.lower() in vat.MEMBER_STATES
    return is_member and is_vat_number(party) and bool(vat.is_valid(party.tax_id or ""))
