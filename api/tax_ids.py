"""Whether a tax number can be one of its country: by form and check digits, never by asking.

Whether a number is registered only its country knows; a number of a country without known rules is
taken as it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import stdnum.exceptions
from stdnum import get_cc_module
from stdnum.eu import vat

from billing.errors import InvalidValue

# The kinds of numbers that name a business or a person to a tax office, most common first.
_KINDS: Final = ("vat", "tin", "businessid")
_MORE_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "AU": ("abn", "acn", "tfn"),
    "BR": ("cnpj", "cpf"),
    "CH": ("uid",),
    "DE": ("stnr", "idnr"),
    "ES": ("nif", "cif", "nie"),
    "FR": ("siren", "siret", "nif"),
    "GB": ("utr",),
    "IN": ("gstin", "pan"),
    "IT": ("codicefiscale",),
    "US": ("ein",),
}
# Japan's invoice registration number is the corporate number behind this letter.
_PREFIXES: Final[Mapping[str, str]] = {"JP": "T"}


def check_tax_id(tax_id: str | None, country: str) -> None:
    """Refuses what can be no tax number of this country, nor a VAT number of the Union."""
    country = country.upper()
    if not tax_id or not country or vat.is_valid(tax_id):
        return
    rules = list(_rules(country))
    bare = tax_id.strip().upper().removeprefix(_PREFIXES.get(country, ""))
    if rules and not any(_holds(rule, each) for rule in rules for each in (tax_id, bare)):
        raise InvalidValue(f"{tax_id!r} is no tax number of {country}", field="taxId")


def _rules(country: str) -> Iterator[Any]:
    for kind in (*_KINDS, *_MORE_KINDS.get(country, ())):
        rule = get_cc_module(country.lower(), kind)
        if rule is not None:
            yield rule


def _holds(rule: Any, number: str) -> bool:
    try:
        rule.validate(number)
    except stdnum.exceptions.ValidationError:
        return False
    return True
