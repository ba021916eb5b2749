"""Laws of rating: monotonic, additive, equal where models meet; each instant is charged once."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from billing import pricing
from billing.durations import Duration
from billing.metering import Aggregation, Event, MetricDefinition, aggregate
from billing.money import exact, text
from billing.periods import Period, boundary, index_at
from billing.pricing import graduated
from billing.rating import Charge, PriceTerms, Schedule, charges_at, rate_charge
from tests.property.strategies import anchors, charges, instants, prices, tiers, usages

MONTH = Duration(months=1)
PaymentTerm = Literal["in_advance", "in_arrears"]
FEE: PriceTerms = PriceTerms(
    price_id="price_1",
    kind="fee",
    source_id="fee_1",
    display_name="Fee",
    model="standard",
    properties={"unitPrice": "49"},
    payment_term="in_advance",
    cadence=None,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
)
fee_cadences = st.sampled_from(
    [None, Duration(days=7), Duration(months=3), Duration(months=12), Duration(days=45)]
)


@given(tiers(flat_amounts=True), usages, usages)
def test_graduated_is_monotonic(properties: dict[str, Any], one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    cheaper = pricing.rate("graduated", properties, low)
    dearer = pricing.rate("graduated", properties, high)
    assert cheaper.amount <= dearer.amount


@given(tiers(flat_amounts=True), st.lists(usages, min_size=1, max_size=5))
def test_graduated_adds_up_over_readings(
    properties: dict[str, Any], readings: list[Decimal]
) -> None:
    """Rating [a, c) is rating [a, b) and then [b, c) with the usage carried."""
    with exact():
        owed = pricing.rate("graduated", properties, readings[0]).amount
        carried = readings[0]
        for reading in readings[1:]:
            owed += graduated.additional(properties, carried, reading)
            carried += reading
        assert owed == pricing.rate("graduated", properties, carried).amount


@given(prices, usages)
def test_models_agree_where_there_is_one_tier(price: Decimal, usage: Decimal) -> None:
    single = {"tiers": [{"upTo": None, "unitPrice": text(price)}]}
    volume = pricing.rate("volume", single, usage)
    assert volume == pricing.rate("standard", {"unitPrice": text(price)}, usage)
    assert volume.amount == pricing.rate("graduated", single, usage).amount


@given(tiers(), usages)
def test_volume_prices_all_units_at_one_of_its_rates(
    properties: dict[str, Any], usage: Decimal
) -> None:
    rated = pricing.rate("volume", properties, usage)
    assert text(rated.unit_price) in {tier["unitPrice"] for tier in properties["tiers"]}
    with exact():
        assert rated.amount == rated.unit_price * usage


@given(tiers(flat_amounts=True), usages)
def test_volume_owes_one_flat_amount_beside_its_units(
    properties: dict[str, Any], usage: Decimal
) -> None:
    plain = {"tiers": [tier | {"flatAmount": "0"} for tier in properties["tiers"]]}
    with exact():
        flat = pricing.rate("volume", properties, usage).amount
        flat -= pricing.rate("volume", plain, usage).amount
    reached = next(
        tier
        for tier in properties["tiers"]
        if tier["upTo"] is None or usage <= Decimal(tier["upTo"])
    )
    assert flat == Decimal(reached["flatAmount"])


@given(st.integers(1, 10_000), prices, usages)
def test_packages_cover_the_usage_and_no_package_is_empty(
    size: int, price: Decimal, usage: Decimal
) -> None:
    properties = {"packageSize": str(size), "unitPrice": text(price)}
    amount = pricing.rate("package", properties, usage).amount
    with exact():
        assert amount * size >= price * usage
        assert amount * size < price * (usage + size) or not price


@given(charges(), usages)
def test_a_line_s_price_and_tax_sum_to_its_total(charge: Charge, usage: Decimal) -> None:
    for behavior in ("exclusive", "inclusive"):
        line = rate_charge(charge, usage, behavior)
        with exact():
            assert line.total_price + line.total_tax == line.total_amount
        assert 0 <= line.fraction <= 1


payment_terms: st.SearchStrategy[PaymentTerm] = st.sampled_from(["in_advance", "in_arrears"])


@given(anchors, instants, st.integers(1, 30), fee_cadences, payment_terms)
def test_fees_charge_each_instant_once(
    anchor: datetime,
    started_at: datetime,
    count: int,
    cadence: Duration | None,
    payment_term: PaymentTerm,
) -> None:
    """However anchor, start and cadence lie: the windows join from the start, without overlap."""
    fee = replace(FEE, cadence=cadence, payment_term=payment_term)
    charged = _charged(fee, Schedule(anchor, MONTH, started_at), count)
    if payment_term == "in_advance" or charged:
        assert charged[0].window.start == started_at
    for one, following in pairwise(charged):
        assert one.window.end == following.window.start
    for charge in charged:
        assert charge.cycle.covers(charge.window)


@given(anchors, instants, st.integers(1, 12), fee_cadences, st.integers(0, 86_400 * 27))
def test_termination_charges_arrears_up_to_its_instant(
    anchor: datetime, started_at: datetime, count: int, cadence: Duration | None, seconds: int
) -> None:
    fee = replace(FEE, cadence=cadence, payment_term="in_arrears")
    schedule = Schedule(anchor, MONTH, started_at)
    charged = _charged(fee, schedule, count)
    last = _windows(schedule, count)[-1]
    stopped = min(Duration(seconds=seconds).after(last.end), last.end + (last.end - last.start))
    ended = Period(last.end, stopped)
    charged += charges_at([fee], schedule, ended=ended, coming=None, terminating=True)
    assert charged[0].window.start == started_at
    assert charged[-1].window.end == stopped
    for one, following in pairwise(charged):
        assert one.window.end == following.window.start


def _windows(schedule: Schedule, count: int) -> list[Period]:
    first = index_at(schedule.anchor, MONTH, schedule.started_at) + 1
    edges = [boundary(schedule.anchor, MONTH, index) for index in range(first, first + count)]
    return [Period(a, b) for a, b in pairwise([schedule.started_at, *edges])]


def _charged(fee: PriceTerms, schedule: Schedule, count: int) -> list[Charge]:
    periods = _windows(schedule, count)
    found = charges_at([fee], schedule, ended=None, coming=periods[0])
    for ended, coming in pairwise([*periods, None]):
        found += charges_at([fee], schedule, ended=ended, coming=coming)
    return found


event_values = st.one_of(
    st.integers(-1_000, 1_000),
    st.decimals(-1_000, 1_000, allow_nan=False, places=3).map(str),
    st.sampled_from([None, True, "many", "", [1]]),
)
aggregations: st.SearchStrategy[Aggregation] = st.sampled_from(
    ["SUM", "COUNT", "MIN", "MAX", "UNIQUE_COUNT"]
)


@given(aggregations, st.lists(st.tuples(event_values, instants), max_size=20), st.randoms())
def test_aggregation_knows_no_order(
    aggregation: Aggregation, pairs: list[tuple[Any, datetime]], randoms: Any
) -> None:
    metric = MetricDefinition(aggregation, "tokens", "$.n", {}, None)
    events = [Event("tokens", "cus_1", at, {"n": value}) for value, at in pairs]
    reading = aggregate(metric, events)
    randoms.shuffle(events)
    assert aggregate(metric, events) == reading


@given(st.lists(st.tuples(event_values, instants), max_size=20), st.integers(0, 20))
def test_sums_and_counts_add_up_over_any_cut(pairs: list[tuple[Any, datetime]], cut: int) -> None:
    events = [Event("tokens", "cus_1", at, {"n": value}) for value, at in pairs]
    for aggregation in ("SUM", "COUNT"):
        metric = MetricDefinition(aggregation, "tokens", "$.n", {}, None)
        parts = aggregate(metric, events[:cut]) + aggregate(metric, events[cut:])
        assert parts == aggregate(metric, events)
