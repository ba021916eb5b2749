"""Values that the laws are tried on; no laws themselves."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import strategies as st

from billing.durations import Duration
from billing.money import text
from billing.periods import Period
from billing.rating import Charge, PriceTerms

amounts = st.decimals(-(10**12), 10**12, allow_nan=False, places=12)
prices = st.decimals(0, 10**6, allow_nan=False, places=9)
usages = st.decimals(0, 10**9, allow_nan=False, places=6)
rates = st.decimals(0, 1, allow_nan=False, places=4)
# The bounds are naive because the strategy demands it; what it draws is in UTC.
instants = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001
    datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
# Late days of a month, where clamping happens, come up more often than chance would have it.
anchors = st.one_of(
    instants,
    st.builds(lambda at, day: at.replace(month=1, day=day), instants, st.integers(28, 31)),
    st.just(datetime(2024, 2, 29, tzinfo=UTC)),
)
durations = st.builds(
    Duration,
    months=st.integers(0, 600),
    days=st.integers(0, 5_000),
    seconds=st.one_of(st.integers(0, 10**7), st.decimals(0, 10**5, allow_nan=False, places=6)),
)
cadences = st.one_of(
    st.sampled_from(
        [Duration(months=1), Duration(months=3), Duration(months=12), Duration(days=7)]
    ),
    st.builds(
        Duration,
        months=st.integers(0, 24),
        days=st.integers(0, 60),
        seconds=st.integers(1, 10**6),
    ),
)


@st.composite
def tiers(draw: st.DrawFn, *, flat_amounts: bool = False) -> dict[str, object]:
    """Properties of a volume or graduated price: ascending bounds, the last without end."""
    bounds = draw(st.sets(st.integers(1, 10_000), max_size=5))
    rows = []
    for up_to in [*sorted(bounds), None]:
        row = {"upTo": None if up_to is None else str(up_to), "unitPrice": text(draw(prices))}
        if flat_amounts:
            row["flatAmount"] = text(draw(prices))
        rows.append(row)
    return {"tiers": rows}


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """A period of at least a microsecond."""
    start = draw(instants)
    return Period(start, start + timedelta(microseconds=draw(st.integers(1, 10**14))))


@st.composite
def parts_of(draw: st.DrawFn, whole: Period) -> list[Period]:
    """The whole, cut into periods that join."""
    cuts = draw(st.sets(st.integers(1, max(whole.microseconds - 1, 1)), max_size=8))
    edges = [whole.start + timedelta(microseconds=cut) for cut in sorted(cuts)]
    edges = [whole.start, *(edge for edge in edges if edge < whole.end), whole.end]
    return [Period(a, b) for a, b in pairwise(edges)]


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    """A charge for all or part of a cycle; some are usage rebates."""
    is_metric = draw(st.booleans())
    price = draw(prices)
    is_rebate = is_metric and draw(st.booleans())
    cycle = draw(periods())
    window = cycle if is_metric else draw(st.sampled_from(draw(parts_of(cycle))))
    terms = PriceTerms(
        price_id="price_1",
        kind="metric" if is_metric else "fee",
        source_id="bm_1" if is_metric else "fee_1",
        display_name="Line",
        model="standard",
        properties={"unitPrice": text(-price if is_rebate else price)},
        payment_term="in_arrears",
        cadence=None,
        quantity=Decimal(draw(st.integers(0, 100))),
        is_obligation=False,
        in_scope=draw(st.booleans()),
        tax_rate=draw(rates),
    )
    return Charge(terms, window, cycle)
