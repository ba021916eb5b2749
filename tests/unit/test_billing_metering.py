"""Examples of what a metric counts and how it aggregates."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.errors import InvalidValue
from billing.metering import (
    Aggregation,
    Event,
    MetricDefinition,
    aggregate,
    average,
    counts,
    parse_path,
    text_at,
    value_at,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def metric(
    aggregation: Aggregation, path: str | None = "$.n", since: datetime | None = None
) -> MetricDefinition:
    return MetricDefinition(aggregation, "tokens", path, {"model": "$.model"}, since)


def event(value: Any, *, minute: int = 0, kind: str = "tokens") -> Event:
    return Event(kind, "cus_1", NOON + timedelta(minutes=minute), {"n": value})


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("$.tokens", ("tokens",)),
        ("$.usage.input-tokens", ("usage", "input-tokens")),
        ("$.größe.1st", ("größe", "1st")),
    ],
)
def test_paths(path: str, names: tuple[str, ...]) -> None:
    assert parse_path(path) == names


@pytest.mark.parametrize(
    "path",
    [
        "",
        "$",
        "$.",
        "tokens",
        ".tokens",
        "$..a",
        "$.a.",
        "$.a[0]",
        "$.*",
        "$.a b",
        "$.a\n",
        "$['a']",
        "$." + "a" * 255,
    ],
)
def test_paths_of_names_only(path: str) -> None:
    with pytest.raises(InvalidValue):
        parse_path(path)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (5, Decimal(5)),
        (-5, Decimal(-5)),
        (0.1, Decimal("0.1")),
        (1e22, "1" + "0" * 22),
        (Decimal("1E+3"), Decimal(1000)),
        ("12.50", Decimal("12.50")),
        ("-0.5", Decimal("-0.5")),
        ("007", Decimal(7)),
        ("1e3", Decimal(1000)),
        ("-2.5E-3", Decimal("-0.0025")),
        ("1e20", "1e20"),
        ("1e999", "1e999"),
        ("1e1000", "1e1000"),
        ("0e5", Decimal(0)),
        ("5.", "5."),
        ("+1", "+1"),
        (".5", ".5"),
        ("\u0661", "\u0661"),
        ("", ""),
        ("gpt", "gpt"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("1E+999999"), None),
        (Decimal("1E-999999"), None),
        (10**19, Decimal(10**19)),
        (10**20, "1" + "0" * 20),
        ("0" * 30 + "1", Decimal(1)),
        ("0.1" + "0" * 30, Decimal("0.1")),
        # More decimals than are kept are rounded half up, away from zero.
        (1 / 900, Decimal("0.001111111111111111")),
        ("0." + "1" * 19, Decimal("0." + "1" * 18)),
        ("-0." + "5" * 19, Decimal("-0." + "5" * 17 + "6")),
        ("1e-30", Decimal(0)),
        ("9" * 20 + "." + "9" * 19, "9" * 20 + "." + "9" * 19),
        ("1." + "0" * 998, Decimal(1)),
        ("1." + "0" * 999, "1." + "0" * 999),
    ],
)
def test_values(value: Any, read: Decimal | str | None) -> None:
    found = value_at({"n": value}, "$.n")
    assert found == read
    assert type(found) is type(read)


def test_values_lie_at_the_end_of_their_path() -> None:
    nested = {"usage": {"tokens": 3}}
    assert value_at(nested, "$.usage.tokens") == Decimal(3)
    assert value_at(nested, "$.usage") is None
    assert value_at(nested, "$.usage.tokens.more") is None
    assert value_at(nested, "$.tokens") is None


def test_texts_keep_what_tells_identifiers_apart() -> None:
    """007 and 7 are the same number, but not the same user."""
    values = json.loads('["007", 7, 7.0, true, null]')
    assert [text_at({"n": value}, "$.n") for value in values] == ["007", "7", "7.0", "true", None]


def test_counts_by_type_time_and_value() -> None:
    since = NOON + timedelta(minutes=1)
    total = metric("SUM", since=since)
    assert counts(total, event(1, minute=1))
    assert not counts(total, event(1, minute=0))
    assert not counts(total, event(1, minute=1, kind="calls"))
    assert not counts(total, event("many", minute=1))
    assert not counts(total, event(None, minute=1))
    assert counts(metric("COUNT", None), event(None))
    assert counts(metric("UNIQUE_COUNT", None), event(None))
    assert counts(metric("UNIQUE_COUNT"), event("many"))
    assert not counts(metric("UNIQUE_COUNT"), event(None))


EVENTS = [
    event(5, minute=1),
    event("5", minute=3),
    event(-1.5, minute=0),
    event(2, minute=3),
    event("many", minute=9),
    event(None, minute=9),
    event(100, minute=9, kind="calls"),
]


@pytest.mark.parametrize(
    ("definition", "reading"),
    [
        # 5 + 5 - 1.5 + 2
        (metric("SUM"), "10.5"),
        # 10.5 / 4
        (metric("AVG"), "2.625"),
        (metric("MIN"), "-1.5"),
        (metric("MAX"), "5"),
        # Of the two at minute 3, the one given last.
        (metric("LATEST"), "2"),
        # 5 twice, -1.5, 2, "many"
        (metric("UNIQUE_COUNT"), "4"),
        (metric("UNIQUE_COUNT", None), "6"),
        (metric("COUNT", None), "6"),
        (metric("COUNT"), "6"),
    ],
)
def test_aggregates(definition: MetricDefinition, reading: str) -> None:
    assert aggregate(definition, EVENTS) == Decimal(reading)


def test_the_latest_is_told_by_its_timestamp_not_by_its_arrival() -> None:
    assert aggregate(metric("LATEST"), [event(7, minute=9), event(1, minute=2)]) == 7


@pytest.mark.parametrize(
    "aggregation", ["SUM", "COUNT", "AVG", "MIN", "MAX", "UNIQUE_COUNT", "LATEST"]
)
def test_no_events_read_as_zero(aggregation: Aggregation) -> None:
    assert aggregate(metric(aggregation), []) == 0


def test_an_average_has_34_digits() -> None:
    assert average(Decimal(2), 3) == Decimal("0.6666666666666666666666666666666667")
    assert average(Decimal(2), 0) == 0
    readings = [event(1), event(0), event(1)]
    assert aggregate(metric("AVG"), readings) == average(Decimal(2), 3)


def test_a_sum_is_exact_beyond_floats() -> None:
    readings = [event("0.1")] * 10 + [event("12345678901234567890.000000000000000001")]
    assert aggregate(metric("SUM"), readings) == Decimal("12345678901234567891.000000000000000001")


def test_a_metric_that_needs_a_path_says_so() -> None:
    with pytest.raises(InvalidValue) as refusal:
        aggregate(metric("SUM", None), [event(1)])
    assert refusal.value.field == "valueProperty"
