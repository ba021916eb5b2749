"""Laws of allowances: nothing is lost, split or raised."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.adjustments import Adjustment, rate_adjusted
from billing.allowance_documents import burned_document, kept_burned
from billing.allowances import (
    AllowanceTerms,
    Burned,
    Entitled,
    Grant,
    Used,
    begins,
    burned,
    compared,
    cuts,
)
from billing.durations import Duration
from billing.explanation import KeptLine, document_of, explain
from billing.grant_discounts import with_grant_discounts
from billing.invoicing import totals
from billing.money import exact
from billing.periods import Period
from billing.rating import Charge, Measure, PriceTerms
from billing.taxes import TaxBehavior, TaxedAmount
from tests.property.strategies import rates

UNITS = PriceTerms(
    price_id="price_1",
    kind="metric",
    source_id="bm_1",
    display_name="Units",
    model="standard",
    properties={"unitPrice": "0.37"},
    payment_term="in_arrears",
    cadence=None,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
    feature_id="feat_1",
    discounts_by_grants=True,
)
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 60
END = START + timedelta(days=DAYS)
amounts = st.decimals(min_value=0, max_value=1_000, places=2)
signed = st.decimals(min_value=-1_000, max_value=1_000, places=2)
days = st.integers(0, DAYS).map(lambda day: START + timedelta(days=day))
# So many units on such a day: what an event says.
Events = list[tuple[int, Decimal]]
events = st.lists(st.tuples(st.integers(0, DAYS - 1), amounts), max_size=12)
corrected = st.lists(st.tuples(st.integers(0, DAYS - 1), signed), max_size=12)


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    """An allowance, or what was given beside it."""
    at_resets = draw(st.booleans())
    return Grant(
        amount=draw(amounts),
        effective_at=START if at_resets else draw(days),
        expires_at=draw(st.none() | days),
        voided_at=draw(st.none() | days),
        priority=draw(st.integers(-2, 2)),
        is_issued_at_resets=at_resets,
        every=None if at_resets else draw(st.none() | st.just(Duration(days=9))),
        rollover_max=draw(st.none() | st.just(Decimal(0)) | amounts),
        rollover_min=draw(st.just(Decimal(0)) | amounts),
    )


@st.composite
def entitlements(draw: st.DrawFn) -> Entitled:
    """Terms that may change once, with a gap or without one, and their grants."""
    changed, again = sorted((draw(days), draw(days)))
    every = st.none() | st.sampled_from([Duration(days=7), Duration(months=1)])

    def terms(start: datetime, end: datetime | None) -> AllowanceTerms:
        return AllowanceTerms(
            start=start,
            end=end,
            is_soft=draw(st.booleans()),
            anchor=START,
            every=draw(every),
            preserves_overage=draw(st.booleans()),
        )

    spans = [terms(START, changed), terms(again, None)]
    return Entitled(
        [span for span in spans if span.start != span.end],
        draw(st.lists(grants(), max_size=4)),
    )


def divided(entitled: Entitled, happened: Events, window: Period) -> Burned:
    """The window's usage, as the store would sum it up."""
    since = begins(entitled, window)
    instants = sorted({*cuts(entitled, Period(since, window.end)), window.start, window.end})
    used = []
    for start, end in pairwise(instants):
        # Noon, so that an event lies inside its day, which no cut divides.
        hits = [
            amount
            for day, amount in happened
            if start <= START + timedelta(days=day, hours=12) < end
        ]
        with exact():
            used.append(Used(Period(start, end), sum(hits, Decimal(0)), len(hits)))
    return burned(entitled, used, window)


def window_of(bounds: tuple[datetime, datetime]) -> Period:
    return Period(*sorted(bounds))


windows = st.tuples(days, days).map(window_of)


@given(entitlements(), corrected, windows)
def test_the_parts_sum_to_the_usage_and_none_is_negative(
    entitled: Entitled, happened: Events, window: Period
) -> None:
    found = divided(entitled, happened, window)
    parts = (found.covered, found.billed, found.forgone)
    with exact():
        read = sum(
            (
                amount
                for day, amount in happened
                if window.contains(START + timedelta(days=day, hours=12))
            ),
            Decimal(0),
        )
        assert found.usage == read
        assert sum(parts, Decimal(0)) == max(read, Decimal(0))
    assert min(parts) >= 0


@given(entitlements(), events, windows, days)
def test_two_halves_come_to_the_whole(
    entitled: Entitled, happened: Events, window: Period, middle: datetime
) -> None:
    middle = min(max(middle, window.start), window.end)
    whole = divided(entitled, happened, window)
    halves = [
        divided(entitled, happened, Period(window.start, middle)),
        divided(entitled, happened, Period(middle, window.end)),
    ]
    with exact():
        for name in ("usage", "covered", "billed", "forgone"):
            assert sum(getattr(half, name) for half in halves) == getattr(whole, name)


@given(entitlements(), events, windows)
def test_nothing_granted_covers_nothing(
    entitled: Entitled, happened: Events, window: Period
) -> None:
    none = [replace(each, amount=Decimal(0), rollover_min=Decimal(0)) for each in entitled.grants]
    assert divided(replace(entitled, grants=none), happened, window).covered == 0


@given(entitlements(), events, windows, amounts, st.integers(0, 3))
def test_a_greater_grant_never_raises_the_overage(
    entitled: Entitled, happened: Events, window: Period, more: Decimal, at: int
) -> None:
    raised = [
        replace(each, amount=each.amount + more) if number == at else each
        for number, each in enumerate(entitled.grants)
    ]
    before = divided(entitled, happened, window)
    after = divided(replace(entitled, grants=raised), happened, window)
    assert after.covered >= before.covered
    assert after.billed <= before.billed
    assert after.forgone <= before.forgone


@given(entitlements(), events, windows)
def test_a_shorter_look_back_changes_nothing(
    entitled: Entitled, happened: Events, window: Period
) -> None:
    """`begins` leaves out only what makes no difference: all usage from the beginning agrees."""
    instants = sorted({*cuts(entitled, Period(START, END)), window.start, window.end})
    used = []
    for start, end in pairwise(instants):
        hits = [
            amount
            for day, amount in happened
            if start <= START + timedelta(days=day, hours=12) < end
        ]
        with exact():
            used.append(Used(Period(start, end), sum(hits, Decimal(0)), len(hits)))
    # A grant that carries everything makes any window look back to the beginning.
    witness = Grant(amount=Decimal(0), effective_at=START, priority=9)
    widened = replace(entitled, grants=[*entitled.grants, witness])
    assert begins(widened, window) == START
    long, short = burned(widened, used, window), burned(entitled, used, window)
    assert (long.covered, long.billed, long.forgone) == (
        short.covered, short.billed, short.forgone,
    )  # fmt: skip


@given(entitlements(), signed, windows)
def test_a_level_is_divided_whole(entitled: Entitled, level: Decimal, window: Period) -> None:
    found = compared(entitled, level, 1, window)
    with exact():
        parts = found.covered + found.billed + found.forgone
    assert parts == max(level, Decimal(0))
    assert min(found.covered, found.billed, found.forgone) >= 0


@given(entitlements(), corrected, windows)
def test_what_a_line_keeps_is_read_back(
    entitled: Entitled, happened: Events, window: Period
) -> None:
    found = replace(divided(entitled, happened, window), event_count=0)
    assert kept_burned(burned_document(found)) == found


@given(
    entitlements(),
    events,
    windows,
    st.tuples(rates, rates),
    st.sampled_from(["exclusive", "inclusive"]),
)
def test_a_discount_by_grants_changes_no_total(
    entitled: Entitled,
    happened: Events,
    window: Period,
    percent: tuple[Decimal, Decimal],
    behavior: TaxBehavior,
) -> None:
    """Nor under a deal; and what the lines keep tells each of them to the digit."""
    rate, off = percent
    found = divided(entitled, happened, window)
    deal = [
        Adjustment(
            adjustment_id="adj_1", kind="percentageDiscount", value=off, start=START, end=None
        ),
        Adjustment(
            adjustment_id="adj_2", kind="usageDiscount", value=Decimal(3), start=START, end=None,
            target_id=UNITS.price_id,
        ),
    ]  # fmt: skip
    price = replace(UNITS, tax_rate=rate)
    charge = Charge(price, window, window)
    measure = Measure(found.usage, event_count=found.event_count, burned=found)
    plain = rate_adjusted([charge], [measure], deal, behavior)
    shown = with_grant_discounts(plain, behavior)
    assert len(shown) - len(plain) == bool(found.covered)
    assert totals(shown, "USD", behavior) == totals(plain, "USD", behavior)
    for line in shown:
        kept = KeptLine(
            kind=line.price.kind,
            price_id=price.price_id,
            window=window,
            quantity=line.quantity,
            unit_price=line.unit_price,
            tax_rate=rate,
            total=TaxedAmount(line.total_price, line.total_tax, line.total_amount),
            behavior=behavior,
            document=document_of(line),
        )
        assert explain(kept).agrees
