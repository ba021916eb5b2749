"""Labels, dates and amounts in a customer's locale."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from activities.documents.wording import LABELS, NBSP, Wording, parse_locale
from billing.errors import InvalidValue
from billing.periods import Period

NNBSP = "\N{NARROW NO-BREAK SPACE}"
DASH = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("locale", "currency", "amount", "shown"),
    [
        (None, "USD", "1234.5", "$1,234.50"),
        (None, "USD", "-0.5", "-$0.50"),
        ("de", "EUR", "1234.5", f"1.234,50{NBSP}€"),
        ("fr", "EUR", "1234.5", f"1{NNBSP}234,50{NBSP}€"),
        ("en", "JPY", "490", "¥490"),
        ("en", "KWD", "1.5", f"KWD{NBSP}1.500"),
        # Locale data gives these no decimals; ISO 4217 gives them three and two.
        ("en", "IQD", "100", f"IQD{NBSP}100.000"),
        ("en", "MMK", "100", f"MMK{NBSP}100.00"),
        ("hi", "INR", "1234567", "₹12,34,567.00"),
        ("en", "USD", "9" * 26 + ".99", "$99," + ",".join(["999"] * 8) + ".99"),
    ],
)
def test_amounts_have_the_decimals_of_iso_4217(
    locale: str | None, currency: str, amount: str, shown: str
) -> None:
    assert Wording.of(locale).amount(Decimal(amount), currency) == shown


def test_prices_and_quantities_are_as_exact_as_they_are() -> None:
    english, german = Wording.of(None), Wording.of("de-AT")
    assert english.price(Decimal("0.000125"), "USD") == "$0.000125"
    assert english.price(Decimal(49), "USD") == "$49.00"
    assert english.quantity(Decimal(51500)) == "51,500"
    assert english.quantity(Decimal("0.25")) == "0.25"
    assert german.quantity(Decimal("1500.5")) == "1.500,5"
    assert english.percent(Decimal("0.07625")) == "7.625%"
    assert german.percent(Decimal("0.19")) == f"19{NBSP}%"


def test_a_period_ends_on_its_last_day() -> None:
    start = datetime(2026, 1, 31, tzinfo=UTC)
    month = Period(start, datetime(2026, 2, 28, tzinfo=UTC))
    assert Wording.of("en").period(month) == f"Jan 31, 2026 {DASH} Feb 27, 2026"
    assert Wording.of("de").period(month) == f"31.01.2026 {DASH} 27.02.2026"
    assert Wording.of("en").period(Period(start, start)) == "Jan 31, 2026"
    first = datetime.min.replace(tzinfo=UTC)
    assert Wording.of("en").period(Period(first, first)) == "Jan 1, 1"
    hours = Period(start.replace(hour=9), datetime(2026, 2, 28, 9, tzinfo=UTC))
    assert Wording.of("en").period(hours) == f"Jan 31, 2026 {DASH} Feb 28, 2026"


def test_every_language_has_every_label() -> None:
    for language, labels in LABELS.items():
        assert labels.keys() == LABELS["en"].keys(), language
        assert all(labels.values()), language
        wording = Wording.of(language)
        assert wording.label("page", page="1", pages="2").count("1") == 1
        assert "50%" in wording.label("prorated", share="50%")


def test_a_language_without_labels_is_english_with_its_own_numbers() -> None:
    swedish = Wording.of("sv")
    assert swedish.label("invoice") == "Invoice"
    assert swedish.date(datetime(2026, 3, 4, tzinfo=UTC)) == "March 4, 2026"
    assert swedish.amount(Decimal("1234.5"), "SEK") == f"1{NBSP}234,50{NBSP}kr"


@pytest.mark.parametrize("name", ["", "x", "xx", "de_AT", "zz-ZZ", "de-", "../etc", "a" * 300])
def test_what_is_no_locale_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="not a known locale"):
        parse_locale(name)
