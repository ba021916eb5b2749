"""What a customer typed into the card form, read; whether the card pays, the provider decides."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from activities.gateways.port import CardDetails

_EXPIRY: Final = re.compile(r"(\d{1,2}) ?[/.-]? ?(\d{4}|\d{2})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{12,19}", re.ASCII)
_CODE: Final = re.compile(r"\d{3,4}", re.ASCII)
_CENTURY: Final = 2000
_TEXT_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What is wrong with each field, by its name; nothing of what was typed is kept."""

    problems: Mapping[str, str]


def read_card(form: Mapping[str, Any]) -> CardDetails | Unreadable:
    """The card, or what must be typed again."""
    number = re.sub(r"[ -]", "", _text(form, "cardNumber"))
    expiry = _EXPIRY.fullmatch(_text(form, "expiry"))
    code = _text(form, "cvc")
    problems: dict[str, str] = {}
    if not _NUMBER.fullmatch(number):
        problems["cardNumber"] = "Enter the 12 to 19 digits of the card number."
    if expiry is None or not 1 <= int(expiry.group(1)) <= 12:
        problems["expiry"] = "Enter the expiry date as MM/YY."
    if not _CODE.fullmatch(code):
        problems["cvc"] = "Enter the 3 or 4 digits of the security code."
    if problems or expiry is None:
        return Unreadable(problems)
    year = int(expiry.group(2))
    return CardDetails(
        number=number,
        exp_month=int(expiry.group(1)),
        exp_year=year if year >= _CENTURY else year + _CENTURY,
        cvc=code,
    )


def _text(form: Mapping[str, Any], name: str) -> str:
    """A typed field; an uploaded file or an endless text is none."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) and len(value) <= _TEXT_MAX else ""
