"""Examples of invoice sums worked by hand, of states, dates and numbers."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Literal, get_args

import pytest

from billing.errors import Conflict, InvalidValue
from billing.invoicing import (
    TRANSITIONS,
    Status,
    Totals,
    check_transition,
    due_at,
    floor_rebates,
    invoice_number,
    period_of,
    totals,
)
from billing.periods import Period
from billing.rating import PriceTerms, RatedLine
from billing.taxes import TaxBehavior, apply_tax

JANUARY = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
TERMS = PriceTerms(
    price_id="price_1",
    kind="fee",
    source_id="fee_1",
    display_name="Base fee",
    model="standard",
    properties={"unitPrice": "1"},
    payment_term="in_advance",
    cadence=None,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
)


@dataclass(frozen=True)
class Amounts:
    total_price: Decimal
    total_tax: Decimal


def amounts(*pairs: tuple[str, str]) -> list[Amounts]:
    return [Amounts(Decimal(price), Decimal(tax)) for price, tax in pairs]


def due(subtotal: str, tax: str, grand_total: str) -> Totals:
    return Totals(Decimal(subtotal), Decimal(tax), Decimal(grand_total))


def line(
    total: str,
    tax: str = "0",
    kind: Literal["fee", "metric", "manual"] = "fee",
    window: Period = JANUARY,
) -> RatedLine:
    return RatedLine(
        price=replace(TERMS, kind=kind),
        window=window,
        quantity=Decimal(1),
        unit_price=Decimal(total),
        total_price=Decimal(total) - Decimal(tax),
        total_tax=Decimal(tax),
        total_amount=Decimal(total),
        fraction=Fraction(1),
    )


class TestTotals:
    @pytest.mark.parametrize(
        ("pairs", "currency", "expected"),
        [
            # The tour's first two invoices: 49.00 + 10 %; then 1 000 tokens at 0.002 as well.
            ([("49", "4.9")], "USD", ("49.00", "4.90", "53.90")),
            ([("2", "0.2"), ("49", "4.9")], "USD", ("51.00", "5.10", "56.10")),
            # Lines stay exact: three times 0.335 are 1.005, not three times 0.34.
            ([("0.335", "0.0335")] * 3, "USD", ("1.01", "0.10", "1.11")),
            ([("-0.005", "0")], "USD", ("-0.01", "0.00", "-0.01")),
            ([("490.5", "49.05")], "JPY", ("491", "49", "540")),
            ([("1.0005", "0.10005")], "KWD", ("1.001", "0.100", "1.101")),
            ([], "USD", ("0.00", "0.00", "0.00")),
        ],
    )
    def test_each_sum_is_rounded_once(
        self, pairs: list[tuple[str, str]], currency: str, expected: tuple[str, str, str]
    ) -> None:
        found = totals(amounts(*pairs), currency, "exclusive")
        assert found == due(*expected)
        assert str(found.grand_total) == expected[2]

    def test_a_third_taken_three_times_is_a_whole(self) -> None:
        """A third of 5.005 to 34 digits, three times, is 5.004999...: it is 5.005 all the same."""
        third = "1.66833" + "3" * 28
        found = totals(amounts(*[(third, "0")] * 3), "USD", "exclusive")
        assert found.subtotal == Decimal("5.01")

    def test_a_hair_below_a_tie_stays_below(self) -> None:
        hair = "0.004999999999999999999"
        assert totals(amounts((hair, "0")), "USD", "exclusive").subtotal == 0

    @pytest.mark.parametrize("pair", [("9" * 26, "1"), ("1" + "0" * 26, "0"), ("0", "-1e26")])
    def test_what_no_ledger_column_holds_is_refused(self, pair: tuple[str, str]) -> None:
        """26 digits before the point: the sum of both counts too."""
        assert totals(amounts(("9" * 26, "0")), "USD", "exclusive").subtotal == Decimal("9" * 26)
        with pytest.raises(InvalidValue, match="too large"):
            totals(amounts(pair), "USD", "exclusive")

    @pytest.mark.parametrize(
        ("price", "tax", "behavior", "expected"),
        [
            ("9.085", "0.905", "inclusive", ("9.08", "0.91", "9.99")),
            ("-9.085", "-0.905", "inclusive", ("-9.08", "-0.91", "-9.99")),
            ("9.085", "0.905", "exclusive", ("9.09", "0.91", "10.00")),
            ("0.005", "0.005", "inclusive", ("0.00", "0.01", "0.01")),
            ("-0.005", "-0.005", "inclusive", ("0.00", "-0.01", "-0.01")),
            # Opposite signs round apart, and the catalogue's amount holds by itself.
            ("1.005", "-0.005", "inclusive", ("1.01", "-0.01", "1.00")),
            # Only one is a tie: nothing to settle.
            ("9.085", "0.91", "inclusive", ("9.09", "0.91", "10.00")),
            ("9.08", "0.905", "inclusive", ("9.08", "0.91", "9.99")),
        ],
    )
    def test_who_was_promised_9_99_pays_9_99(
        self, price: str, tax: str, behavior: TaxBehavior, expected: tuple[str, str, str]
    ) -> None:
        found = totals(amounts((price, tax)), "USD", behavior)
        assert found == due(*expected)
        assert not found.subtotal.is_signed() or found.subtotal

    @pytest.mark.parametrize("rate", ["0.1", "0.19", "0.2", "0.077", "1"])
    @pytest.mark.parametrize("amount", ["9.99", "10.00", "0.01", "0.03", "49.00", "1234567.89"])
    def test_inclusive_totals_keep_the_catalogue_s_amount(self, rate: str, amount: str) -> None:
        taxed = apply_tax(Decimal(amount), Decimal(rate), "inclusive")
        found = totals([Amounts(taxed.price, taxed.tax)], "USD", "inclusive")
        assert found.grand_total == Decimal(amount)


class TestFloorRebates:
    def test_a_rebate_that_fits_is_kept(self) -> None:
        lines = [line("10"), line("-10", kind="metric")]
        assert floor_rebates(lines) == lines

    def test_a_rebate_is_cut_to_what_there_is_to_rebate(self) -> None:
        """10 charged, 15 rebated: the rebate becomes 10."""
        found = floor_rebates([line("10"), line("-15", kind="metric")])
        assert [each.total_amount for each in found] == [Decimal(10), Decimal(-10)]
        assert found[1].unit_price == Decimal(-15)

    def test_the_last_rebate_is_cut_first(self) -> None:
        """10 charged, rebates of 8, 4 and 3: 5 too many, so the 3 goes and the 4 becomes 2."""
        rebates = [line(total, kind="metric") for total in ("-8", "-4", "-3")]
        found = floor_rebates([*rebates, line("10")])
        assert [each.total_amount for each in found] == [-8, -2, 0, 10]

    def test_tax_is_cut_in_proportion(self) -> None:
        """-22 of which -2 is tax, cut by half: -11 of which -1 is tax."""
        found = floor_rebates([line("11", "1"), line("-22", "-2", kind="metric")])
        assert found[1].total_tax == -1
        assert found[1].total_price == -10
        assert found[1].total_amount == -11

    def test_a_credit_is_no_rebate(self) -> None:
        """A manual credit of 5 stays, whatever the rebates give up."""
        found = floor_rebates([line("1"), line("-5", kind="manual"), line("-2", kind="metric")])
        assert [each.total_amount for each in found] == [1, -5, 0]


def test_an_invoice_s_period_is_the_union_of_its_lines() -> None:
    february = Period(JANUARY.end, datetime(2026, 3, 1, tzinfo=UTC))
    both = Period(JANUARY.start, february.end)
    assert period_of([line("1", window=february), line("1", window=JANUARY)], february) == both
    assert period_of([], february) == february


@pytest.mark.parametrize(
    ("issued_at", "days", "expected"),
    [
        (datetime(2026, 1, 31, 15, 30, tzinfo=UTC), 0, datetime(2026, 1, 31, tzinfo=UTC)),
        (datetime(2026, 1, 31, 15, 30, tzinfo=UTC), 30, datetime(2026, 3, 2, tzinfo=UTC)),
        (
            datetime(2026, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))),
            1,
            datetime(2026, 2, 1, tzinfo=UTC),
        ),
    ],
)
def test_due_at_midnight_utc(issued_at: datetime, days: int, expected: datetime) -> None:
    assert due_at(issued_at, days) == expected


def test_invoice_numbers() -> None:
    assert invoice_number(2026, 1, 1) == "INV-2026-01-001"
    assert invoice_number(2026, 12, 1_234) == "INV-2026-12-1234"
    with pytest.raises(InvalidValue):
        invoice_number(2026, 1, 0)


class TestTransitions:
    def test_an_ordinary_life(self) -> None:
        life: list[Status] = [
            "ACTIVE",
            "CLOSING",
            "CLOSED",
            "CALCULATING",
            "DRAFT",
            "ISSUED",
            "PAYMENT_FAILED",
            "PAID",
        ]
        for old, new in pairwise(life):
            check_transition(old, new)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("PAID", "ISSUED"),
            ("PAID", "PAID"),
            ("CANCELLED", "PAID"),
            ("ISSUED", "ACTIVE"),
            ("ACTIVE", "ISSUED"),
            ("WRITTEN_OFF", "PAID"),
            ("PROJECTED", "ACTIVE"),
        ],
    )
    def test_steps_that_there_are_not(self, old: Status, new: Status) -> None:
        with pytest.raises(Conflict) as refusal:
            check_transition(old, new)
        assert refusal.value.details == {"from": old, "to": new}

    def test_every_status_has_its_row(self) -> None:
        assert set(TRANSITIONS) == set(get_args(Status))
        assert all(new in TRANSITIONS for steps in TRANSITIONS.values() for new in steps)
