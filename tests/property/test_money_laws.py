"""Laws of money: parts sum to the whole, rounding is symmetrical, tax loses nothing."""

from decimal import Decimal

from hypothesis import assume, find, given
from hypothesis import strategies as st

from billing.currencies import MINOR_UNITS, minor_unit
from billing.invoicing import floor_rebates, totals
from billing.money import Money, exact, from_nano, nano, round_half_up, text, to_minor_unit
from billing.rating import Charge, RatedLine, rate_charge
from billing.taxes import TaxBehavior, apply_tax
from tests.property.strategies import amounts, charges, rates, usages

currencies = st.sampled_from(sorted(MINOR_UNITS))
behaviors: st.SearchStrategy[TaxBehavior] = st.sampled_from(["exclusive", "inclusive"])
weights = st.lists(
    st.one_of(st.integers(0, 10**6), st.decimals(0, 1_000, places=3)), min_size=1, max_size=12
)


@st.composite
def rounded_money(draw: st.DrawFn) -> Money:
    currency = draw(currencies)
    units = draw(st.integers(-(10**12), 10**12))
    return Money(Decimal(units).scaleb(-minor_unit(currency)), currency)


@given(rounded_money(), weights)
def test_parts_sum_to_the_whole_and_mirror_their_opposite(
    whole: Money, shares: list[int | Decimal]
) -> None:
    assume(sum(shares) > 0)
    parts = whole.allocate(shares)
    assert sum((part.amount for part in parts), Decimal(0)) == whole.amount
    assert [-part for part in parts] == (-whole).allocate(shares)
    for part, share in zip(parts, shares, strict=True):
        ideal = whole.amount * share / sum(shares)
        assert abs(part.amount - ideal) < Decimal(1).scaleb(-minor_unit(whole.currency)) * 2
        assert part == part.rounded()
        assert share or not part.amount


@given(amounts, st.integers(0, 9))
def test_rounding_is_nearest_symmetrical_and_settled(amount: Decimal, digits: int) -> None:
    rounded = round_half_up(amount, digits)
    with exact():
        assert abs(rounded - amount) <= Decimal("0.5").scaleb(-digits)
    assert round_half_up(-amount, digits) == -rounded
    assert round_half_up(rounded, digits) == rounded


@given(amounts, amounts, st.integers(0, 9))
def test_rounding_keeps_the_order(one: Decimal, other: Decimal, digits: int) -> None:
    low, high = sorted((one, other))
    assert round_half_up(low, digits) <= round_half_up(high, digits)


@given(amounts)
def test_text_reads_back_and_is_plain(amount: Decimal) -> None:
    plain = text(amount)
    assert Decimal(plain) == amount
    assert "E" not in plain
    assert plain == text(Decimal(plain))


@given(st.integers(-(10**24), 10**24))
def test_nano_units_read_back(count: int) -> None:
    assert nano(from_nano(count)) == count


@given(amounts, amounts, currencies)
def test_addition_is_exact(one: Decimal, other: Decimal, currency: str) -> None:
    left, right = Money(one, currency), Money(other, currency)
    assert left + right - right == left
    assert left + right == right + left


@given(amounts, rates, behaviors)
def test_price_and_tax_sum_to_the_total(
    amount: Decimal, rate: Decimal, behavior: TaxBehavior
) -> None:
    taxed = apply_tax(amount, rate, behavior)
    with exact():
        assert taxed.price + taxed.tax == taxed.total
        assert abs(taxed.price * rate - taxed.tax) <= abs(amount) * Decimal("1e-32")
    assert (taxed.price if behavior == "exclusive" else taxed.total) == amount


@given(st.integers(-(10**9), 10**9), rates, currencies)
def test_an_inclusive_invoice_asks_for_what_the_catalogue_says(
    units: int, rate: Decimal, currency: str
) -> None:
    """Of one line at a price in whole minor units, whatever the rate."""
    promised = Decimal(units).scaleb(-minor_unit(currency))
    taxed = apply_tax(promised, rate, "inclusive")
    line = _Line(taxed.price, taxed.tax)
    assert totals([line], currency, "inclusive").grand_total == promised


class _Line:
    def __init__(self, price: Decimal, tax: Decimal) -> None:
        self.total_price, self.total_tax = price, tax


@given(st.lists(st.tuples(amounts, amounts), max_size=8), currencies, behaviors)
def test_an_invoice_is_off_its_lines_by_less_than_a_unit(
    pairs: list[tuple[Decimal, Decimal]], currency: str, behavior: TaxBehavior
) -> None:
    found = totals([_Line(*pair) for pair in pairs], currency, behavior)
    with exact():
        whole = sum((price + tax for price, tax in pairs), Decimal(0))
        assert abs(found.grand_total - whole) <= Decimal(1).scaleb(-minor_unit(currency))
        assert found.subtotal + found.tax == found.grand_total
    assert to_minor_unit(found.grand_total, currency) == found.grand_total


@given(st.lists(st.tuples(charges(), usages), max_size=6), behaviors)
def test_rebates_never_take_an_invoice_below_zero(
    owed: list[tuple[Charge, Decimal]], behavior: TaxBehavior
) -> None:
    lines = [rate_charge(charge, usage, behavior) for charge, usage in owed]
    floored = floor_rebates(lines)
    assert totals(floored, "USD", behavior).grand_total >= 0
    assert len(floored) == len(lines)
    for before, after in zip(lines, floored, strict=True):
        _check_cut(before, after)
    with exact():
        if sum(line.total_amount for line in lines) >= 0:
            assert floored == lines


def _check_cut(before: RatedLine, after: RatedLine) -> None:
    if before.total_amount >= 0:
        assert after is before
        return
    assert before.total_amount <= after.total_amount <= 0
    with exact():
        assert after.total_price + after.total_tax == after.total_amount


def test_there_are_rebates_to_try_the_law_on() -> None:
    rebate = find(charges(), lambda charge: charge.price.properties["unitPrice"][0] == "-")
    assert rebate.price.kind == "metric"
