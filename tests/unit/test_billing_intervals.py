"""Examples of what lies over a plan's lines, and what may be changed about it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.durations import Duration
from billing.errors import Conflict, InvalidValue, NotFound
from billing.interval_edits import (
    AddInterval,
    CatalogPrice,
    EditInterval,
    Edits,
    Ground,
    apply_edits,
    free_from,
)
from billing.interval_refusals import IntervalCoversPrice, ObligationCut, PeriodBilled
from billing.interval_terms import Interval
from billing.intervals import (
    Boundary,
    Overlay,
    PlanPrice,
    VersionSpan,
    catalogue_rate,
    charges_under,
    effective,
    priced,
    resolved_rate,
)
from billing.periods import Period
from billing.rating import Charge, PriceTerms, Schedule
from billing.version_migration import LineMeaning, OverrideChangesMeaning, check_intervals

MONTH = Duration(months=1)
RENT = PriceTerms(
    price_id="price_rent",
    kind="fee",
    source_id="fee_1",
    display_name="Rent",
    model="standard",
    properties={"unitPrice": "31"},
    payment_term="in_arrears",
    cadence=MONTH,
    quantity=Decimal(1),
    is_obligation=False,
    in_scope=True,
    tax_rate=Decimal(0),
    key="rent",
)
CALLS = replace(
    RENT, price_id="price_calls", kind="metric", source_id="bm_1", key="calls", cadence=None
)


def day(month: int, number: int, year: int = 2026) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def span(start: tuple[int, int], end: tuple[int, int]) -> Period:
    return Period(day(*start), day(*end))


SCHEDULE = Schedule(day(1, 1), MONTH, day(1, 1))
JANUARY, FEBRUARY = span((1, 1), (2, 1)), span((2, 1), (3, 1))
AT_FEBRUARY = Boundary(SCHEDULE, JANUARY, FEBRUARY)
BASE = Interval(
    interval_id="int_1",
    key="rent",
    kind="plan_line",
    price_id="price_rent",
    version_id="pver_1",
    unit_price=Decimal(62),
    base_quantity=Decimal(1),
    cadence="P1M",
    mode="arrears",
    start=day(1, 11),
    end=day(1, 21),
)


def over(interval: Interval, price: PriceTerms = RENT) -> Overlay:
    return Overlay(interval, priced(interval, price))


def windows(charges: list[Charge]) -> list[tuple[str, Period]]:
    return [(charge.price.interval_id, charge.window) for charge in charges]


def test_the_plan_is_charged_round_an_override() -> None:
    charges = charges_under([RENT], [over(BASE)], AT_FEBRUARY)
    assert windows(charges) == [
        ("", span((1, 1), (1, 11))),
        ("", span((1, 21), (2, 1))),
        ("int_1", span((1, 11), (1, 21))),
    ]
    assert {charge.cycle for charge in charges} == {JANUARY}
    assert charges[-1].price.properties == {"unitPrice": "62"}


def test_nothing_follows_what_ends_its_key() -> None:
    charges = charges_under([RENT], [over(replace(BASE, ends_key=True))], AT_FEBRUARY)
    assert windows(charges) == [("", span((1, 1), (1, 11))), ("int_1", span((1, 11), (1, 21)))]


def test_usage_is_cut_into_windows_of_one_period() -> None:
    own = replace(BASE, key="calls", price_id="price_calls", end=None)
    charges = charges_under([CALLS], [over(own, CALLS)], AT_FEBRUARY)
    assert windows(charges) == [("", span((1, 1), (1, 11))), ("int_1", span((1, 11), (2, 1)))]
    assert [charge.cycle for charge in charges] == [charge.window for charge in charges]
    assert {charge.counted_for for charge in charges} == {JANUARY}


def test_quantities_step_inside_the_interval() -> None:
    own = replace(BASE, transitions=((day(1, 15), Decimal(3)), (day(1, 18), Decimal(0))))
    charges = charges_under([], [over(own)], AT_FEBRUARY)
    assert [(charge.window.start.day, charge.price.quantity) for charge in charges] == [
        (11, Decimal(1)), (15, Decimal(3)), (18, Decimal(0)),
    ]  # fmt: skip


def test_a_cycle_in_advance_that_runs_already_is_charged_from_the_start_on() -> None:
    own = replace(
        BASE, key="support", kind="subscription_owned", mode="advance", cadence="P1Y",
        start=day(2, 11), end=None,
    )  # fmt: skip
    (charge,) = charges_under([], [over(own)], AT_FEBRUARY)
    assert charge.window == Period(day(2, 11), day(1, 1, 2027))
    assert charge.cycle == Period(day(1, 1), day(1, 1, 2027))
    later = Boundary(SCHEDULE, FEBRUARY, span((3, 1), (4, 1)))
    assert charges_under([], [over(own)], later) == []


def test_a_one_off_falls_due_at_the_first_boundary_from_its_date_on() -> None:
    own = replace(
        BASE, key="setup", kind="subscription_owned", cadence="one_off", end=None,
        start=day(1, 1), bill_date=day(2, 1),
    )  # fmt: skip
    (charge,) = charges_under([], [over(own)], AT_FEBRUARY)
    assert charge.window == Period(day(2, 1), day(2, 1))
    later = Boundary(SCHEDULE, FEBRUARY, None, terminating=True)
    assert charges_under([], [over(own)], later) == []
    start = Boundary(SCHEDULE, None, JANUARY)
    assert charges_under([], [over(own)], start) == []
    assert charges_under([], [over(replace(own, bill_date=day(1, 1)))], start) != []


def test_a_plans_one_off_is_covered_or_not() -> None:
    once = replace(RENT, cadence=Duration(), payment_term="in_arrears")
    assert charges_under([once], [over(replace(BASE, end=None))], AT_FEBRUARY) != []
    empty = Boundary(SCHEDULE, Period(day(1, 11), day(1, 11)), FEBRUARY)
    assert charges_under([CALLS], [over(replace(BASE, key="calls"), CALLS)], empty) == []


def test_what_is_effective_by_its_start() -> None:
    lines = [PlanPrice("rent", "price_rent", Decimal(1), "P1M", "arrears")]
    once = PlanPrice("setup", "price_setup", Decimal(1), "P0D", "advance")
    spans = [
        VersionSpan("pver_1", day(1, 1), day(1, 16), [*lines, once]),
        VersionSpan("pver_2", day(1, 16), None, lines),
    ]
    found = effective("sub_1", spans, [BASE])
    assert [(each.key, each.start.day, each.end and each.end.day) for each in found] == [
        ("rent", 1, 11), ("setup", 1, 16), ("rent", 11, 21), ("rent", 21, None),
    ]  # fmt: skip
    assert [each.version_id for each in found] == ["pver_1", "pver_1", "pver_1", "pver_2"]
    assert (found[1].cadence, found[1].bill_date) == ("one_off", day(1, 1))
    assert len({each.interval_id for each in found}) == 4
    assert effective("sub_1", spans, [BASE]) == found


def test_rates_of_a_unit() -> None:
    tiers: Mapping[str, object] = {"tiers": [{"upTo": None, "unitPrice": "5"}]}
    assert catalogue_rate("standard", {"unitPrice": "31"}) == 31
    assert catalogue_rate("volume", tiers) == 5
    assert catalogue_rate("percentage", {"percentage": "0.1"}) is None
    assert resolved_rate(BASE, RENT) == 62
    assert resolved_rate(replace(BASE, unit_price=None), RENT) == 31


GROUND = Ground(
    schedule=SCHEDULE,
    open_from=day(2, 1),
    open_to=day(3, 1),
    version_id="pver_1",
    plan_keys={"rent": "price_rent", "calls": "price_calls"},
    next_keys=frozenset({"rent", "calls", "coming"}),
    catalogue={
        "price_rent": CatalogPrice("fee", "standard", {"unitPrice": "31"}, is_obligation=False),
        "price_owed": CatalogPrice("fee", "standard", {"unitPrice": "31"}, is_obligation=True),
        "price_calls": CatalogPrice("metric", "percentage", {}, is_obligation=False),
    },
)


def add(**members: Any) -> Edits:
    defaults: dict[str, Any] = {
        "key": "rent", "price_id": None, "version_id": None, "unit_price": None,
        "base_quantity": Decimal(1), "transitions": (), "cadence": "P1M", "mode": "arrears",
        "bill_date": None, "start": day(3, 1), "end": None,
    }  # fmt: skip
    return Edits(add=[AddInterval(**defaults | members)])


def edit(interval_id: str, **sent: Any) -> Edits:
    return Edits(edit=[EditInterval(interval_id, sent)])


@pytest.mark.parametrize(
    ("members", "earliest"),
    [
        ({}, day(2, 1)),
        ({"cadence": "P3M"}, day(1, 1)),  # the running quarter is billed when it is over
        ({"mode": "advance"}, day(3, 1)),
        ({"mode": "advance", "cadence": "P3M"}, day(4, 1)),
        ({"mode": "advance", "cadence": "P3M", "kind": "subscription_owned"}, day(3, 1)),
        ({"price_id": "price_calls", "cadence": "P3M"}, day(2, 1)),
        ({"cadence": "one_off"}, day(2, 1)),
    ],
)
def test_from_when_an_interval_is_free(members: dict[str, Any], earliest: datetime) -> None:
    interval = replace(BASE, **members)
    assert free_from(interval, GROUND, is_new=True) == earliest
    begun = replace(GROUND, open_from=None)
    assert free_from(interval, begun, is_new=True) == day(1, 1)


def test_an_addition_takes_the_plans_price() -> None:
    (change,) = apply_edits([], add(), GROUND, ["int_9"])
    assert change.before is None
    assert change.after is not None
    assert (change.after.price_id, change.after.kind, change.after.unit_price) == (
        "price_rent", "plan_line", None,
    )  # fmt: skip


def test_an_own_interval_keeps_todays_rate() -> None:
    (change,) = apply_edits([], add(key="more", price_id="price_rent"), GROUND, ["int_9"])
    assert change.after is not None
    assert (change.after.kind, change.after.unit_price) == ("subscription_owned", Decimal(31))


def test_usage_has_a_cadence_of_its_own_but_under_version_0() -> None:
    quarterly = add(key="calls", cadence="P3M")
    (change,) = apply_edits([], quarterly, GROUND, ["int_9"])
    assert change.after is not None
    assert change.after.cadence == "P3M"
    with pytest.raises(InvalidValue) as refused:
        apply_edits([], quarterly, replace(GROUND, is_legacy=True), ["int_9"])
    assert refused.value.field == "billingCadence"


@pytest.mark.parametrize(
    ("edits", "refusal"),
    [
        (add(start=day(1, 15)), PeriodBilled),
        (add(cadence="one_off", bill_date=day(2, 1), start=day(2, 1)), PeriodBilled),
        (add(key="coming", price_id="price_rent"), IntervalCoversPrice),
        (add(key="more", price_id="price_owed", start=day(3, 2)), ObligationCut),
        (add(cadence="PT1H"), InvalidValue),
        (add(key="calls", cadence="one_off", bill_date=day(3, 1)), InvalidValue),
        (add(key="calls", unit_price=Decimal(1)), InvalidValue),
        (add(key="calls", transitions=((day(3, 2), Decimal(1)),)), InvalidValue),
        (add(cadence="one_off", bill_date=day(3, 5), end=day(3, 4)), InvalidValue),
        (add(cadence="one_off", bill_date=day(2, 28)), InvalidValue),
        (Edits(remove=["int_0"]), NotFound),
        (edit("int_1", unit_price=Decimal(1)), PeriodBilled),
        (edit("int_1", end=day(1, 30)), PeriodBilled),
        (edit("int_1", mode="advance"), InvalidValue),
        (edit("int_1", base_quantity=Decimal(-1)), InvalidValue),
    ],
)
def test_what_is_refused(edits: Edits, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        apply_edits([BASE], edits, GROUND, ["int_9"])


def test_steps_that_are_to_come_may_change() -> None:
    own = replace(BASE, start=day(1, 1), end=None, transitions=((day(1, 15), Decimal(2)),))
    more = (*own.transitions, (day(2, 15), Decimal(3)))
    (change,) = apply_edits([own], edit("int_1", transitions=more), GROUND, [])
    assert change.after is not None
    assert change.after.quantity_at(day(2, 20)) == 3
    with pytest.raises(PeriodBilled):
        apply_edits([own], edit("int_1", transitions=more[1:]), GROUND, [])
    assert apply_edits([own], edit("int_1", transitions=own.transitions), GROUND, []) == []


def test_a_subscription_that_has_not_begun_may_still_change_everything() -> None:
    begun = replace(GROUND, open_from=None, open_to=day(1, 1))
    once = add(cadence="one_off", bill_date=day(1, 1), start=day(1, 1))
    assert len(apply_edits([], once, begun, ["int_9"])) == 1


def test_what_an_interval_means_stays_over_a_version() -> None:
    standing = replace(BASE, end=None)
    own = replace(standing, key="more", kind="subscription_owned")
    before = {"rent": LineMeaning("fee_1", "P1M", "in_arrears")}
    check_intervals([standing, own, BASE], before, before, day(3, 1))
    check_intervals(
        [replace(own, end=day(3, 1))], before, {**before, "more": before["rent"]}, day(3, 1)
    )
    with pytest.raises(IntervalCoversPrice):
        check_intervals([own], before, {**before, "more": before["rent"]}, day(3, 1))
    for after in ({}, {"rent": LineMeaning("fee_1", "P3M", "in_arrears")}):
        with pytest.raises(OverrideChangesMeaning) as refusal:
            check_intervals([standing], before, after, day(3, 1))
        assert isinstance(refusal.value, Conflict)
