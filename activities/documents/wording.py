"""How a document says it: labels, dates, numbers and amounts in the customer's locale.

Currencies have the decimals of ISO 4217 everywhere; locale data knows how cash is handled instead,
and would print 100 Iraqi dinars where 100.000 are due.
"""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import NumberPattern

from billing.currencies import minor_unit
from billing.errors import InvalidValue
from billing.money import exact, round_half_up
from billing.periods import Period

DEFAULT_LOCALE: Final = "en"
LABELS: Final[Mapping[str, Mapping[str, str]]] = json.loads(
    Path(__file__).with_name("labels.json").read_text(encoding="utf-8")
)
# Beyond these nobody reads on; amounts themselves are never cut.
_PRICE_DECIMALS_MAX: Final = 12
_PERCENT_DECIMALS_MAX: Final = 4
NBSP: Final = "\N{NO-BREAK SPACE}"
# Between the letters of a code and the first digit: "KWD 1.500".
_SPACED: Final = re.compile(r"(?<=[^\W\d_])(?=\d)")


def parse_locale(name: str) -> Locale:
    """The locale of this BCP 47 name ("de-AT"); refused when nothing is known about it."""
    try:
        return Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise InvalidValue(f"{name!r} is not a known locale", field="locale") from error


@dataclass(frozen=True, slots=True)
class Wording:
    """The words and formats of one locale; labels of a language without any are English."""

    locale: Locale

    @classmethod
    def of(cls, name: str | None) -> "Wording":
        """The wording for a customer's locale, English where there is none."""
        return cls(parse_locale(name or DEFAULT_LOCALE))

    def label(self, key: str, **values: str) -> str:
        """A label, with its blanks filled."""
        labels = LABELS.get(self.locale.language, LABELS[DEFAULT_LOCALE])
        return labels[key].format(**values) if values else labels[key]

    @property
    def language(self) -> str:
        """The language of the labels, for hyphenation and screen readers."""
        language: str = self.locale.language
        return language if language in LABELS else DEFAULT_LOCALE

    def date(self, moment: datetime) -> str:
        """A day (UTC), with the month as a word: 03/04 has two meanings."""
        return format_date(moment, "long", self._worded)

    def period(self, period: Period) -> str:
        """First and last day: the end is not part of a period."""
        first_day = format_date(period.start, "medium", self._worded)
        last_day = format_date(period.last, "medium", self._worded)
        return first_day if first_day == last_day else f"{first_day} \N{EN DASH} {last_day}"

    @property
    def _worded(self) -> Locale:
        """Names of months are in the labels' language, or a document would speak two."""
        return self.locale if self.language == self.locale.language else Locale(DEFAULT_LOCALE)

    def amount(self, amount: Decimal, currency: str) -> str:
        """An amount that is due, with its currency's sign."""
        digits = minor_unit(currency)
        return self._money(amount, currency, digits, digits)

    def price(self, amount: Decimal, currency: str) -> str:
        """A unit price: as many decimals as it has."""
        return self._money(amount, currency, minor_unit(currency), _PRICE_DECIMALS_MAX)

    def quantity(self, quantity: Decimal) -> str:
        """How many, as exact as it is."""
        return self._number(self.locale.decimal_formats[None], quantity, 0, _PRICE_DECIMALS_MAX)

    def percent(self, fraction: Decimal) -> str:
        """A fraction as percent: 0.19 is 19 %."""
        pattern = self.locale.percent_formats[None]
        return self._number(pattern, fraction, 0, _PERCENT_DECIMALS_MAX)

    def share(self, fraction: Decimal) -> str:
        """A part of a whole, to two decimals of a percent: enough to check a prorated amount."""
        return self._number(self.locale.percent_formats[None], fraction, 0, 2)

    def territory(self, country: str) -> str:
        """A country's name in the labels' language; what is no country stays as it is."""
        return str(self._worded.territories.get(country, country))

    def _money(self, amount: Decimal, currency: str, least: int, most: int) -> str:
        pattern = self.locale.currency_formats["standard"]
        return _SPACED.sub(NBSP, self._number(pattern, amount, least, most, currency))

    def _number(
        self,
        pattern: NumberPattern,
        number: Decimal,
        least: int,
        most: int,
        currency: str | None = None,
    ) -> str:
        shaped = copy.copy(pattern)
        shaped.frac_prec = (least, most)
        scale = 2 if "%" in pattern.pattern else 0
        with exact():
            # Rounded here, half up: the pattern would round half to even.
            rounded = round_half_up(number, most + scale)
            text: str = shaped.apply(rounded, self.locale, currency=currency, currency_digits=False)
            return text
