"""Laws of explanations: parts sum to what is charged, and a line is told again to the digit."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing import pricing
from billing.adjustments import (
    UNITLESS_MODELS,
    Adjustment,
    Kind,
    kept_share,
    rate_adjusted,
    rule_of,
)
from billing.bounds import NO_RULE
from billing.explanation import Explanation, KeptLine, document_of, explain
from billing.invoicing import floor_rebates
from billing.late_usage import Reading, late_line, with_carried
from billing.manual_lines import ManualLine, fit_credits, rate_manual
from billing.money import exact, text
from billing.periods import Period
from billing.pricing.breakdown import breakdown
from billing.rating import Billed, Charge, Measure, PriceTerms, RatedLine, Uses, rate_charge
from billing.taxes import TaxBehavior, TaxedAmount
from tests.property.strategies import amounts, charges, prices, rates, tiers, usages

PERIOD = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
behaviors: st.SearchStrategy[TaxBehavior] = st.sampled_from(["exclusive", "inclusive"])
uses = st.builds(Uses, usages, prices)


@st.composite
def priced(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A model with properties that it takes."""
    model = draw(st.sampled_from(pricing.MODELS))
    least = draw(st.decimals(0, 100, allow_nan=False, places=2))
    most = text(least + draw(st.decimals(0, 10**6, allow_nan=False, places=2)))
    share = draw(st.decimals(0, 10, allow_nan=False, places=4))
    by_model: dict[str, dict[str, Any]] = {
        "standard": {"unitPrice": text(draw(prices))},
        "volume": draw(tiers(flat_amounts=True)),
        "graduated": draw(tiers(flat_amounts=True)),
        "package": {
            "packageSize": text(draw(st.decimals(1, 1000, allow_nan=False, places=2))),
            "unitPrice": text(draw(prices)),
        },
        "percentage": {"percentage": text(share), "minCharge": text(least), "maxCharge": most},
        "dynamic": {
            "minPrice": text(least),
            "maxPrice": draw(st.sampled_from([text(least), most])),
        },
    }
    return model, by_model[model]


@st.composite
def metered(draw: st.DrawFn) -> PriceTerms:
    """A price of a metric, of any model."""
    model, properties = draw(priced())
    return PriceTerms(
        price_id="price_1",
        kind="metric",
        source_id="bm_1",
        display_name="Tokens",
        model=model,
        properties=properties,
        payment_term="in_arrears",
        cadence=None,
        quantity=Decimal(1),
        is_obligation=False,
        in_scope=draw(st.booleans()),
        tax_rate=draw(rates),
        is_instant=draw(st.booleans()),
        tax_source="plan",
    )


def told(line: RatedLine, behavior: TaxBehavior) -> Explanation:
    """The line's explanation, from nothing but what is stored."""
    stored = json.loads(json.dumps(document_of(line)))
    return explain(
        KeptLine(
            kind=line.price.kind,
            price_id=line.price.price_id,
            window=line.window,
            quantity=line.quantity,
            unit_price=line.unit_price,
            tax_rate=line.price.tax_rate if line.price.in_scope else Decimal(0),
            total=TaxedAmount(line.total_price, line.total_tax, line.total_amount),
            behavior=behavior,
            document=stored,
        )
    )


@given(priced(), usages)
def test_the_parts_of_a_quantity_sum_to_its_amount(
    price: tuple[str, dict[str, Any]], quantity: Decimal
) -> None:
    model, properties = price
    if model == "dynamic" and properties["minPrice"] != properties["maxPrice"]:
        assert breakdown(model, properties, quantity) == []
        return
    parts = breakdown(model, properties, quantity)
    with exact():
        assert (
            sum(part.amount for part in parts) == pricing.rate(model, properties, quantity).amount
        )
        for part in parts:
            if part.units is not None and part.unit_price is not None:
                assert part.amount == part.units * part.unit_price


@given(priced(), usages)
def test_the_bands_hold_every_unit_once(
    price: tuple[str, dict[str, Any]], quantity: Decimal
) -> None:
    model, properties = price
    bands = [part for part in breakdown(model, properties, quantity) if part.kind == "band"]
    if model in ("volume", "graduated"):
        assert sum(part.units or 0 for part in bands) == quantity


@given(charges(), usages, behaviors)
def test_a_charge_is_told_to_the_digit(
    charge: Charge, usage: Decimal, behavior: TaxBehavior
) -> None:
    line = rate_charge(charge, usage, behavior, event_count=3)
    explained = told(line, behavior)
    assert explained.agrees
    assert explained.fraction == line.fraction
    assert explained.origin == line.origin


@given(metered(), usages, uses, behaviors)
def test_metered_usage_is_told_to_the_digit(
    price: PriceTerms, usage: Decimal, used: Uses, behavior: TaxBehavior
) -> None:
    line = rate_charge(Charge(price, PERIOD, PERIOD), usage, behavior, used)
    assert told(line, behavior).agrees


@given(metered(), usages, usages, amounts, behaviors)
def test_a_correction_is_told_to_the_digit(
    price: PriceTerms, before: Decimal, now: Decimal, carried: Decimal, behavior: TaxBehavior
) -> None:
    billed = Billed(before, Decimal(7), carried, "inv_1")
    line = late_line(price, PERIOD, billed, Reading(now, event_count=5), behavior)
    if line is None:
        return
    assert told(line, behavior).agrees
    (cut,) = with_carried([line], floor_rebates([line]), behavior)
    assert told(cut, behavior).agrees


@given(charges(), usages, usages, rates, behaviors)
def test_an_adjusted_charge_and_its_discount_are_told_to_the_digit(
    charge: Charge, usage: Decimal, units: Decimal, rate: Decimal, behavior: TaxBehavior
) -> None:
    deal = _deal(charge.window, units, rate)
    lines = rate_adjusted([charge], [Measure(usage, event_count=2)], deal, behavior)
    explained = [told(line, behavior) for line in lines]
    assert all(each.agrees for each in explained)
    assert [each.origin for each in explained] == [line.origin for line in lines]


@given(metered(), st.tuples(usages, usages, usages), rates, behaviors)
def test_a_correction_under_a_deal_is_told_to_the_digit(
    price: PriceTerms,
    drawn: tuple[Decimal, Decimal, Decimal],
    rate: Decimal,
    behavior: TaxBehavior,
) -> None:
    before, now, units = drawn
    deal = _deal(PERIOD, units, rate)
    is_countable = price.model not in UNITLESS_MODELS and not price.is_instant
    rule = rule_of(deal) if is_countable else NO_RULE
    reading = Reading(now, rule=rule, kept=kept_share(PERIOD, deal))
    line = late_line(price, PERIOD, Billed(before, Decimal(7), Decimal(-1)), reading, behavior)
    if line is not None:
        assert told(line, behavior).agrees


def _deal(window: Period, units: Decimal, rate: Decimal) -> list[Adjustment]:
    kinds: dict[Kind, Decimal] = {
        "usageDiscount": units,
        "minimumQuantity": units / 2,
        "percentageDiscount": rate,
    }
    return [
        Adjustment(
            adjustment_id=f"adj_{kind}",
            kind=kind,
            value=value,
            start=window.start - timedelta(days=1),
            end=None,
            target_id="price_1",
        )
        for kind, value in kinds.items()
    ]


@given(amounts, prices, rates, behaviors)
def test_a_credit_that_is_cut_is_told_to_the_digit(
    owed: Decimal, credit: Decimal, rate: Decimal, behavior: TaxBehavior
) -> None:
    charge = rate_manual(
        ManualLine(
            line_id="li_1",
            display_name="Set-up",
            quantity=Decimal(1),
            unit_price=abs(owed),
            window=PERIOD,
            tax_rate=rate,
        ),
        behavior,
    )
    given_back = ManualLine(
        line_id="li_2",
        display_name="Goodwill",
        quantity=Decimal(3),
        unit_price=-credit,
        window=PERIOD,
        tax_rate=rate,
    )
    (line,) = fit_credits([charge], [rate_manual(given_back, behavior)], behavior)
    assert told(charge, behavior).agrees
    assert told(line, behavior).agrees


@given(charges(), usages, behaviors)
def test_another_amount_does_not_agree(
    charge: Charge, usage: Decimal, behavior: TaxBehavior
) -> None:
    line = rate_charge(charge, usage, behavior)
    with exact():
        wrong = replace(line, total_price=line.total_price + Decimal("1e-12"))
    assert not told(wrong, behavior).agrees
