"""Examples of ISO 8601 durations and of adding them to instants."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from billing.durations import Duration, parse_duration
from billing.errors import InvalidValue


@pytest.mark.parametrize(
    ("spelled", "duration"),
    [
        ("P1M", Duration(months=1)),
        ("P1Y", Duration(months=12)),
        ("P0D", Duration()),
        ("PT0S", Duration()),
        ("P2W", Duration(days=14)),
        ("PT10M", Duration(seconds=600)),
        ("PT36H", Duration(seconds=129_600)),
        ("P1Y2M3W4DT5H6M7S", Duration(14, 25, 18_367)),
        ("PT7.5S", Duration(seconds=Decimal("7.5"))),
        ("PT7,25S", Duration(seconds=Decimal("7.25"))),
        ("P1DT1S", Duration(days=1, seconds=1)),
    ],
)
def test_reads(spelled: str, duration: Duration) -> None:
    assert parse_duration(spelled) == duration


@pytest.mark.parametrize(
    "spelled",
    [
        "",
        "P",
        "PT",
        "P1",
        "1M",
        "P1DT",
        "-P1D",
        "P-1D",
        "P1.5D",
        "P0.5M",
        "P1M1Y",
        "P1H",
        "p1m",
        "P1M ",
        "P1M\n",
        "PT1.1234567S",
        "P\u0661M",
        "P1000000000000D",
        "P99999Y",
        "P4000000D",
        "PT999999999999S",
        "P" + "1" * 200 + "D",
    ],
)
def test_refuses(spelled: str) -> None:
    with pytest.raises(InvalidValue):
        parse_duration(spelled)


@pytest.mark.parametrize(
    ("duration", "spelled"),
    [
        (Duration(), "P0D"),
        (Duration(months=1), "P1M"),
        (Duration(months=12), "P1Y"),
        (Duration(months=14, days=25, seconds=18_367), "P1Y2M25DT5H6M7S"),
        (Duration(seconds=600), "PT10M"),
        (Duration(seconds=Decimal("3600.50")), "PT1H0.5S"),
        (Duration(seconds=Decimal("60.0")), "PT1M"),
    ],
)
def test_spells(duration: Duration, spelled: str) -> None:
    assert duration.text() == spelled


def test_is_never_negative() -> None:
    with pytest.raises(InvalidValue, match="negative"):
        Duration(days=-1)


def test_zero_takes_no_time() -> None:
    assert Duration().is_zero
    assert not Duration(seconds=Decimal("0.000001")).is_zero
    assert Duration(1, 2, 3).times(3) == Duration(3, 6, 9)


@pytest.mark.parametrize(
    ("start", "spelled", "n", "end"),
    [
        ("2026-01-31", "P1M", 1, "2026-02-28"),
        ("2026-01-31", "P1M", 2, "2026-03-31"),
        ("2026-01-31", "P1M", 3, "2026-04-30"),
        ("2024-01-31", "P1M", 1, "2024-02-29"),
        ("2024-02-29", "P1Y", 1, "2025-02-28"),
        ("2024-02-29", "P1Y", 4, "2028-02-29"),
        ("2026-01-31", "P1M", -2, "2025-11-30"),
        ("2026-12-15", "P1M", 1, "2027-01-15"),
        ("2026-01-31", "P1M1D", 1, "2026-03-01"),
        ("2026-03-10", "P2W", -1, "2026-02-24"),
        ("2026-01-01", "P1D", 0, "2026-01-01"),
    ],
)
def test_after_counts_from_the_anchor_and_clamps(
    start: str, spelled: str, n: int, end: str
) -> None:
    instant = datetime.fromisoformat(start).replace(tzinfo=UTC)
    expected = datetime.fromisoformat(end).replace(tzinfo=UTC)
    assert parse_duration(spelled).after(instant, n) == expected


def test_after_reckons_in_utc() -> None:
    """1 March 00:30 in Berlin is still 28 February in UTC, so a month later is 28 March."""
    berlin = timezone(timedelta(hours=1))
    start = datetime(2026, 3, 1, 0, 30, tzinfo=berlin)
    assert Duration(months=1).after(start) == datetime(2026, 3, 28, 23, 30, tzinfo=UTC)


def test_after_keeps_microseconds() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = Duration(seconds=Decimal("0.000001")).after(start, 3)
    assert end == datetime(2026, 1, 1, microsecond=3, tzinfo=UTC)


def test_after_refuses_a_naive_instant() -> None:
    with pytest.raises(InvalidValue, match="offset"):
        Duration(months=1).after(datetime(2026, 1, 1))  # noqa: DTZ001 - what it must refuse


@pytest.mark.parametrize(
    ("spelled", "n"), [("P1Y", 9_000), ("P1Y", -3_000), ("P366D", 9_999), ("P1D", -(10**12))]
)
def test_after_refuses_what_no_calendar_holds(spelled: str, n: int) -> None:
    with pytest.raises(InvalidValue, match="calendar"):
        parse_duration(spelled).after(datetime(2026, 1, 1, tzinfo=UTC), n)
