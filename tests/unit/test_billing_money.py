"""Examples of exact amounts; the laws behind them are in tests/property."""

from decimal import Decimal
from typing import Any

import pytest

from billing.currencies import MINOR_UNITS, is_currency, minor_unit
from billing.errors import CurrencyMismatch, InvalidValue
from billing.money import (
    Money,
    amount_text,
    exact,
    from_nano,
    nano,
    round_half_up,
    text,
    to_minor_unit,
)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


class TestCurrencies:
    @pytest.mark.parametrize(
        ("code", "digits"),
        [
            ("USD", 2),
            ("EUR", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("CLF", 4),
            ("UYW", 4),
            ("UGX", 0),
            ("HUF", 2),
            ("ISK", 0),
            ("MGA", 2),
            ("IQD", 3),
        ],
    )
    def test_minor_units_are_those_of_iso_4217(self, code: str, digits: int) -> None:
        assert minor_unit(code) == digits

    def test_the_table_is_complete(self) -> None:
        assert len(MINOR_UNITS) == 165
        assert all(len(code) == 3 and code.isupper() for code in MINOR_UNITS)
        by_digits = {n: sum(d == n for d in MINOR_UNITS.values()) for n in (0, 2, 3, 4)}
        assert by_digits == {0: 17, 2: 139, 3: 7, 4: 2}

    @pytest.mark.parametrize("code", ["XAU", "XDR", "XXX", "XTS", "usd", "", "ABC", "DEM"])
    def test_what_has_no_minor_unit_is_no_currency_of_ours(self, code: str) -> None:
        assert not is_currency(code)
        with pytest.raises(InvalidValue) as refusal:
            minor_unit(code)
        assert refusal.value.field == "currency"

    def test_the_table_cannot_be_changed(self) -> None:
        table: Any = MINOR_UNITS
        with pytest.raises(TypeError):
            table["USD"] = 3


class TestRounding:
    @pytest.mark.parametrize(
        ("amount", "digits", "rounded"),
        [
            ("0.005", 2, "0.01"),
            ("0.004999999999999999999999999999999999", 2, "0.00"),
            ("-0.005", 2, "-0.01"),
            ("-0.0049", 2, "0.00"),
            ("2.5", 0, "3"),
            ("-2.5", 0, "-3"),
            ("1.0005", 3, "1.001"),
            ("0", 2, "0.00"),
            ("0E+100", 2, "0.00"),
            ("12345678901234567890.125", 2, "12345678901234567890.13"),
        ],
    )
    def test_ties_go_away_from_zero(self, amount: str, digits: int, rounded: str) -> None:
        assert str(round_half_up(Decimal(amount), digits)) == rounded

    @pytest.mark.parametrize("amount", ["1E+58", "Infinity", "NaN", "-Infinity"])
    def test_what_cannot_be_rounded_is_refused(self, amount: str) -> None:
        with pytest.raises(InvalidValue, match="too large"):
            round_half_up(Decimal(amount), 2)

    def test_each_currency_has_its_own_unit(self) -> None:
        amount = Decimal("1.23456")
        assert to_minor_unit(amount, "USD") == Decimal("1.23")
        assert to_minor_unit(amount, "JPY") == Decimal(1)
        assert to_minor_unit(amount, "KWD") == Decimal("1.235")

    def test_products_are_exact_far_beyond_the_default_context(self) -> None:
        """The default 28 digits would end this product at ...012345."""
        with exact():
            product = Decimal("12345678901234567890.123456789012") * Decimal("1.000000000001")
        assert product == Decimal("12345678901246913569.024691356902123456789012")


class TestText:
    @pytest.mark.parametrize(
        ("amount", "plain"),
        [
            ("49.00", "49"),
            ("0.002", "0.002"),
            ("1E+3", "1000"),
            ("1E-7", "0.0000001"),
            ("-0.00", "0"),
            ("-1.50", "-1.5"),
            ("100", "100"),
        ],
    )
    def test_plain_without_exponent_or_trailing_zeros(self, amount: str, plain: str) -> None:
        assert text(Decimal(amount)) == plain

    @pytest.mark.parametrize(
        ("amount", "currency", "shown"),
        [
            ("49", "USD", "49.00"),
            ("0", "USD", "0.00"),
            ("490", "JPY", "490"),
            ("1.5", "KWD", "1.500"),
            ("0.002", "USD", "0.002"),
            ("-4.9", "EUR", "-4.90"),
        ],
    )
    def test_an_amount_due_has_its_currency_s_decimals(
        self, amount: str, currency: str, shown: str
    ) -> None:
        assert amount_text(Decimal(amount), currency) == shown

    def test_nano_units_count_billionths(self) -> None:
        assert nano(Decimal("1.000000001")) == 1_000_000_001
        assert nano(Decimal("0.0000000005")) == 1
        assert nano(Decimal("-0.0000000005")) == -1
        assert from_nano(2_000_000) == Decimal("0.002")


class TestMoney:
    def test_arithmetic_keeps_the_currency(self) -> None:
        assert usd("1.10") + usd("2.205") == usd("3.305")
        assert usd("1") - usd("2.5") == usd("-1.5")
        assert -usd("3") == usd("-3")
        assert -usd("0") == usd("0")
        assert usd("0.002") * 1234 == usd("2.468")
        assert Decimal("0.5") * usd("3") == usd("1.5")
        assert str(usd("49")) == "49.00 USD"
        assert usd("2.345").rounded() == usd("2.35")

    def test_comparison(self) -> None:
        assert usd("1") < usd("2") <= usd("2.00")
        assert usd("3") > usd("2") >= usd("2")
        assert usd("1") != Money(Decimal(1), "EUR")
        assert usd("0.01")
        assert not usd("0.00")
        assert hash(usd("1.0")) == hash(usd("1.00"))

    def test_currencies_do_not_mix(self) -> None:
        euro = Money(Decimal(1), "EUR")
        for meet in (
            lambda: usd("1") + euro,
            lambda: usd("1") - euro,
            lambda: usd("1") < euro,
            lambda: usd("1") <= euro,
            lambda: usd("1") > euro,
            lambda: usd("1") >= euro,
        ):
            with pytest.raises(CurrencyMismatch, match="USD meets EUR"):
                meet()

    @pytest.mark.parametrize("amount", [0.1, 1, "1", None])
    def test_only_a_decimal_is_an_amount(self, amount: Any) -> None:
        with pytest.raises(TypeError, match="takes a Decimal"):
            Money(amount, "USD")

    @pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1E+26", "-1E+30"])
    def test_only_a_finite_amount_of_money_like_size(self, amount: str) -> None:
        with pytest.raises(InvalidValue) as refusal:
            usd(amount)
        assert refusal.value.field == "amount"

    def test_only_a_currency_of_iso_4217(self) -> None:
        with pytest.raises(InvalidValue, match="'XAU' is not a currency"):
            Money(Decimal(1), "XAU")

    @pytest.mark.parametrize("factor", [0.5, True, "2"])
    def test_only_an_exact_number_multiplies(self, factor: Any) -> None:
        with pytest.raises(TypeError):
            usd("1") * factor

    def test_a_bare_number_is_not_added(self) -> None:
        one: Any = 1
        with pytest.raises(TypeError, match="Money meets int"):
            usd("1") + one

    def test_there_is_no_division(self) -> None:
        amount: Any = usd("10")
        with pytest.raises(TypeError):
            amount / 3


class TestAllocate:
    @pytest.mark.parametrize(
        ("amount", "weights", "parts"),
        [
            # 10.00 / 3 is 3.33 each; the cent left over goes to the first of three equals.
            ("10.00", [1, 1, 1], ["3.34", "3.33", "3.33"]),
            ("-10.00", [1, 1, 1], ["-3.34", "-3.33", "-3.33"]),
            # 0.05 by 3 to 7 is 0.015 and 0.035: equal remainders, the earlier gets the cent.
            ("0.05", [3, 7], ["0.02", "0.03"]),
            # 1.00 by 1, 2, 4 is 14.29, 28.57, 57.14 cents: the cent goes to the .57.
            ("1.00", [1, 2, 4], ["0.14", "0.29", "0.57"]),
            ("1.00", [0, 1], ["0.00", "1.00"]),
            ("0.00", [1, 1], ["0.00", "0.00"]),
            ("0.03", [Decimal("0.1"), Decimal("0.2")], ["0.01", "0.02"]),
        ],
    )
    def test_largest_remainder(
        self, amount: str, weights: list[int | Decimal], parts: list[str]
    ) -> None:
        assert usd(amount).allocate(weights) == [usd(part) for part in parts]

    def test_in_whole_yen(self) -> None:
        parts = Money(Decimal(100), "JPY").allocate([1, 1, 1])
        assert [part.amount for part in parts] == [Decimal(34), Decimal(33), Decimal(33)]

    @pytest.mark.parametrize("weights", [[], [0, 0], [1, -1]])
    def test_weights_that_share_nothing_are_refused(self, weights: list[int | Decimal]) -> None:
        with pytest.raises(InvalidValue) as refusal:
            usd("1").allocate(weights)
        assert refusal.value.field == "weights"

    def test_an_unrounded_amount_cannot_be_split_into_cents(self) -> None:
        with pytest.raises(InvalidValue, match="rounded"):
            usd("0.005").allocate([1, 1])
