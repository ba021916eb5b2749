"""The ISO 4217 currencies and their minor units; it knows no rates, symbols or local formats.

Source: ISO 4217 list one (currencies and funds in use), edition of 1 January 2026. Codes to which
ISO gives no minor unit (gold, silver, special drawing rights, test codes) are left out: an amount
due in them cannot be rounded. Locale libraries differ for a dozen codes and are no source.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from billing.errors import InvalidValue

_CODES_BY_MINOR_UNIT: Final[Mapping[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
        "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
        "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
        "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
        "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
        "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST "
        "XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

MINOR_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {code: digits for digits, codes in _CODES_BY_MINOR_UNIT.items() for code in codes.split()}
)


def is_currency(code: str) -> bool:
    """Whether amounts can be due in this currency (upper case, as ISO writes it)."""
    return code in MINOR_UNITS


def minor_unit(code: str) -> int:
    """How many decimals an amount due in this currency has: USD 2, JPY 0, KWD 3."""
    digits = MINOR_UNITS.get(code)
    if digits is None:
        raise InvalidValue(f"{code!r} is not a currency of ISO 4217", field="currency")
    return digits
