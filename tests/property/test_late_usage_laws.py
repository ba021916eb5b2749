"""Laws of late usage: whenever usage arrives, a period comes to the same."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing import floor_rebates
from billing.late_usage import Reading, basis, late_line, with_carried
from billing.money import exact, text
from billing.periods import Period
from billing.rating import Billed, Charge, PriceTerms, RatedLine, Uses, rate_charge
from billing.taxes import TaxBehavior
from tests.property.strategies import prices, rates, tiers, usages

PERIOD = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
behaviors: st.SearchStrategy[TaxBehavior] = st.sampled_from(["exclusive", "inclusive"])


@st.composite
def metered(draw: st.DrawFn) -> PriceTerms:
    """A price of a metric, of any model that prices a quantity."""
    model = draw(st.sampled_from(["standard", "volume", "graduated", "percentage", "dynamic"]))
    least = draw(st.decimals(0, 100, allow_nan=False, places=2))
    by_model: dict[str, dict[str, Any]] = {
        "standard": {"unitPrice": text(draw(prices))},
        "volume": draw(tiers(flat_amounts=True)),
        "graduated": draw(tiers(flat_amounts=True)),
        "percentage": {
            "percentage": text(draw(st.decimals(0, 10, allow_nan=False, places=4))),
            "minCharge": text(least),
            "maxCharge": text(least + draw(st.decimals(0, 10**6, allow_nan=False, places=2))),
        },
        "dynamic": {"minPrice": "0", "maxPrice": "1000000"},
    }
    return PriceTerms(
        price_id="price_1",
        kind="metric",
        source_id="bm_1",
        display_name="Tokens",
        model=model,
        properties=by_model[model],
        payment_term="in_arrears",
        cadence=None,
        quantity=Decimal(1),
        is_obligation=False,
        in_scope=True,
        tax_rate=draw(rates),
    )


@st.composite
def readings_of(draw: st.DrawFn, price: PriceTerms) -> list[Reading]:
    """What the meter says, time after time; of a dynamic price, single uses that cost theirs."""
    found = draw(st.lists(usages, min_size=1, max_size=5))
    if price.model != "dynamic":
        return [Reading(each) for each in found]
    with exact():
        return [Reading(Decimal(0), Uses(each, each * draw(prices))) for each in found]


@given(st.data(), metered(), behaviors, behaviors)
def test_lateness_costs_nothing_and_saves_nothing(
    data: st.DataObject, price: PriceTerms, behavior: TaxBehavior, later: TaxBehavior
) -> None:
    """Billed in any number of steps, with credits cut and carried, it sums to the last reading.

    Each later invoice has room for some of a credit only; a last one has room for all of it. They
    may be billed with another tax behavior than the period was, which a correction keeps.
    """
    readings = data.draw(readings_of(price))
    on_time = _billed(price, readings[-1], behavior)
    first = _billed(price, readings[0], behavior)
    billed = Billed(first.quantity, basis(first, behavior))
    with exact():
        room = first.total_amount / 2
    for number, reading in enumerate([*readings[1:], readings[-1]]):
        owed = replace(first, total_price=room, total_tax=Decimal(0), total_amount=room)
        if number == len(readings) - 1:
            everything = Decimal(10) ** 20
            owed = replace(owed, total_price=everything, total_amount=everything)
        line = late_line(price, PERIOD, billed, reading, behavior)
        if line is None or line.origin is None:
            continue
        if later != behavior:
            line = replace(line, origin=replace(line.origin, behavior=behavior))
        full = [owed, line]
        kept = with_carried(full, floor_rebates(full), later)[1]
        with exact():
            billed = Billed(
                billed.quantity + kept.quantity,
                billed.amount + basis(kept, later),
                kept.carried,
            )
    assert billed.quantity == on_time.quantity
    assert _close(billed.amount, basis(on_time, behavior))
    assert _close(billed.carried, Decimal(0))


def _billed(price: PriceTerms, reading: Reading, behavior: TaxBehavior) -> RatedLine:
    return rate_charge(Charge(price, PERIOD, PERIOD), reading.usage, behavior, reading.uses)


def _close(one: Decimal, other: Decimal) -> bool:
    """Equal, but for what a division by the tax rate leaves in the thirtieth digit."""
    scale = max(abs(Fraction(one)), abs(Fraction(other)), Fraction(1))
    return abs(Fraction(one) - Fraction(other)) <= scale / Fraction(10) ** 20
