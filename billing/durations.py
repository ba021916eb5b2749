"""ISO 8601 durations on the UTC calendar; it knows no zones and no clock.

Months, days and seconds are kept apart, because a month has no fixed length. They are added to an
instant in that order, and always n times from the same anchor: 31 January plus one month is 28
February, plus two months is 31 March. Chained, the 31st would be lost for good.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from billing.errors import InvalidValue

_FORM: Final = re.compile(
    r"P(?=.)(?:(\d{1,12})Y)?(?:(\d{1,12})M)?(?:(\d{1,12})W)?(?:(\d{1,12})D)?"
    r"(?:T(?=\d)(?:(\d{1,12})H)?(?:(\d{1,12})M)?(?:(\d{1,12}(?:[.,]\d{1,6})?)S)?)?",
    re.ASCII,
)
# The calendar of `datetime` ends with the year 9999; what cannot fit into it is no duration here.
YEARS_MAX: Final = 9_999
MONTHS_MAX: Final = YEARS_MAX * 12
DAYS_MAX: Final = YEARS_MAX * 366
SECONDS_MAX: Final = DAYS_MAX * 86_400
LENGTH_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Duration:
    """So many months, then days, then seconds; never negative."""

    months: int = 0
    days: int = 0
    seconds: Decimal | int = 0

    def __post_init__(self) -> None:
        bounds = ((self.months, MONTHS_MAX), (self.days, DAYS_MAX), (self.seconds, SECONDS_MAX))
        if any(not 0 <= part <= most for part, most in bounds):
            raise InvalidValue("The duration is negative or longer than the calendar")

    @property
    def is_zero(self) -> bool:
        """Whether it takes no time: `P0D`, which means "once" as a cadence."""
        return not (self.months or self.days or self.seconds)

    @property
    def mean_seconds(self) -> Decimal:
        """Its length with months of the Gregorian mean (30.436875 days): for estimates only."""
        return Decimal(self.months * 2_629_746 + self.days * 86_400) + self.seconds

    def times(self, count: int) -> "Duration":
        """The duration so many times over."""
        return Duration(self.months * count, self.days * count, self.seconds * count)

    def after(self, instant: datetime, n: int = 1) -> datetime:
        """The instant plus n times this duration, in UTC; a negative n goes back.

        The day is clamped to the month's end: one month after 31 January is 28 (29) February.
        """
        if instant.tzinfo is None:
            raise InvalidValue("An instant needs an offset from UTC")
        start = instant.astimezone(UTC)
        year, month = divmod(start.year * 12 + start.month - 1 + self.months * n, 12)
        try:
            day = min(start.day, monthrange(year, month + 1)[1])
            moved = start.replace(year=year, month=month + 1, day=day)
            return moved + timedelta(days=self.days * n, microseconds=self._microseconds * n)
        except (OverflowError, ValueError) as error:
            raise InvalidValue("The instant lies outside the calendar") from error

    def text(self) -> str:
        """The ISO 8601 spelling, with weeks as days and twelve months as a year."""
        years, months = divmod(self.months, 12)
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        date = _joined((years, "Y"), (months, "M"), (self.days, "D"))
        time = _joined((hours, "H"), (minutes, "M"), (seconds, "S"))
        return f"P{date}{'T' if time else ''}{time}" if date or time else "P0D"

    @property
    def _microseconds(self) -> int:
        return int(self.seconds * 1_000_000)


@lru_cache(maxsize=1_024)
def parse_duration(text: str) -> Duration:
    """Reads an ISO 8601 duration such as `P1M`, `P0D`, `PT10M`, `P1Y2M3W4DT5H6M7.5S`.

    Only seconds may have a fraction (half a month has no length), down to the microsecond.
    """
    match = _FORM.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None:
        raise InvalidValue("Not an ISO 8601 duration, such as P1M or PT10M")
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in match.groups()[:6])
    seconds = Decimal((match.group(7) or "0").replace(",", "."))
    total = seconds + hours * 3600 + minutes * 60
    return Duration(
        months=years * 12 + months,
        days=weeks * 7 + days,
        seconds=int(total) if total == int(total) else total,
    )


def _joined(*parts: tuple[Decimal | int, str]) -> str:
    return "".join(f"{_plain(count)}{unit}" for count, unit in parts if count)


def _plain(count: Decimal | int) -> str:
    plain = format(count, "f") if isinstance(count, Decimal) else str(count)
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
