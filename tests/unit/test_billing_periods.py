"""Examples of periods and of the boundaries that clamp and come back."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from billing.durations import Duration, parse_duration
from billing.errors import InvalidValue
from billing.periods import Period, aligned_anchor, boundary, index_at, period_at

MONTH = Duration(months=1)


def day(year: int, month: int, number: int, hour: int = 0) -> datetime:
    return datetime(year, month, number, hour, tzinfo=UTC)


JANUARY = Period(day(2026, 1, 1), day(2026, 2, 1))


class TestPeriod:
    def test_is_half_open(self) -> None:
        assert JANUARY.contains(day(2026, 1, 1))
        assert JANUARY.contains(day(2026, 1, 31, 23))
        assert not JANUARY.contains(day(2026, 2, 1))

    def test_measures_exactly(self) -> None:
        assert JANUARY.seconds == Decimal(31 * 86_400)
        tick = Period(day(2026, 1, 1), day(2026, 1, 1) + timedelta(microseconds=1))
        assert tick.seconds == Decimal("0.000001")
        assert tick.microseconds == 1

    def test_is_kept_in_utc(self) -> None:
        tokyo = timezone(timedelta(hours=9))
        period = Period(datetime(2026, 1, 1, 9, tzinfo=tokyo), day(2026, 2, 1))
        assert period == JANUARY
        assert period.start.tzinfo is UTC

    def test_may_be_empty_but_not_backwards(self) -> None:
        assert Period(day(2026, 1, 1), day(2026, 1, 1)).is_empty
        assert not JANUARY.is_empty
        with pytest.raises(InvalidValue, match="before it starts"):
            Period(day(2026, 1, 2), day(2026, 1, 1))

    def test_refuses_naive_instants(self) -> None:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001 - what it must refuse
        with pytest.raises(InvalidValue, match="offset"):
            Period(naive, day(2026, 2, 1))
        with pytest.raises(InvalidValue, match="offset"):
            Period(day(2025, 1, 1), naive)

    def test_overlap(self) -> None:
        half = Period(day(2026, 1, 16), day(2026, 2, 10))
        assert JANUARY.overlap(half) == Period(day(2026, 1, 16), day(2026, 2, 1))
        assert JANUARY.overlap(Period(day(2026, 2, 1), day(2026, 3, 1))) is None
        assert JANUARY.covers(Period(day(2026, 1, 1), day(2026, 1, 2)))
        assert not JANUARY.covers(half)
        assert not JANUARY.covers(Period(day(2025, 12, 31), day(2026, 1, 2)))


class TestBoundaries:
    def test_the_thirty_first_comes_back(self) -> None:
        """Chained months would stay on the 28th from March on."""
        found = [boundary(day(2026, 1, 31), MONTH, index) for index in range(-2, 5)]
        assert found == [
            day(2025, 11, 30),
            day(2025, 12, 31),
            day(2026, 1, 31),
            day(2026, 2, 28),
            day(2026, 3, 31),
            day(2026, 4, 30),
            day(2026, 5, 31),
        ]

    def test_a_leap_day_by_the_year(self) -> None:
        anchor = day(2024, 2, 29)
        assert boundary(anchor, Duration(months=12), 1) == day(2025, 2, 28)
        assert boundary(anchor, Duration(months=12), 4) == day(2028, 2, 29)

    @pytest.mark.parametrize(
        ("instant", "index"),
        [
            (day(2026, 1, 31), 0),
            (day(2026, 2, 27, 23), 0),
            (day(2026, 2, 28), 1),
            (day(2026, 3, 30, 23), 1),
            (day(2026, 3, 31), 2),
            (day(2026, 1, 30, 23), -1),
            (day(2025, 12, 31), -1),
            (day(2025, 12, 30), -2),
            (day(2126, 1, 31), 1_200),
            (day(9998, 1, 30), 95_663),
        ],
    )
    def test_index_of_the_last_boundary(self, instant: datetime, index: int) -> None:
        assert index_at(day(2026, 1, 31), MONTH, instant) == index

    @pytest.mark.parametrize("spelled", ["PT0.000001S", "PT1H", "P1D", "P2W", "P1M1DT1S"])
    def test_index_in_any_unit(self, spelled: str) -> None:
        anchor, cadence = day(2026, 1, 31), parse_duration(spelled)
        for index in (-1_000, -1, 0, 1, 1_000):
            edge = boundary(anchor, cadence, index)
            assert index_at(anchor, cadence, edge) == index

    def test_the_period_that_holds_an_instant(self) -> None:
        anchor = day(2026, 1, 31)
        february = Period(day(2026, 2, 28), day(2026, 3, 31))
        assert period_at(anchor, MONTH, day(2026, 3, 15)) == february
        assert period_at(anchor, MONTH, day(2026, 2, 28)) == february

    def test_once_has_no_boundaries(self) -> None:
        with pytest.raises(InvalidValue, match="once"):
            boundary(day(2026, 1, 1), Duration(), 1)
        with pytest.raises(InvalidValue, match="once"):
            index_at(day(2026, 1, 1), Duration(), day(2026, 1, 1))


def test_the_anchor_is_the_plan_s_else_the_start_to_the_microsecond() -> None:
    started_at = datetime(2026, 1, 5, 10, 17, 3, 5, tzinfo=UTC)
    assert aligned_anchor(day(2025, 1, 1), started_at) == day(2025, 1, 1)
    assert aligned_anchor(None, started_at) == started_at
