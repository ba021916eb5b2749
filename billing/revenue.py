"""Net revenue and the buckets it is reported in; it selects no invoices and converts nothing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from billing.errors import InvalidValue
from billing.money import exact
from billing.periods import Period

BucketWidth = Literal["hour", "day", "week"]
RANGE_DAYS_MAX: Final = 366
HOUR_RANGE_DAYS_MAX: Final = 31


def net_revenue(issued: Iterable[Decimal], refunded: Iterable[Decimal]) -> Decimal:
    """What was issued minus what was refunded, both without tax."""
    with exact():
        return sum(issued, Decimal(0)) - sum(refunded, Decimal(0))


def buckets(start: datetime, end: datetime, width: BucketWidth) -> list[Period]:
    """The range cut at the hours, days or ISO weeks (from Monday) of UTC.

    The first and the last bucket may be cut short, so that the buckets are the range, no more and
    no less, and their sums are its sum.
    """
    whole = Period(start, end)
    days_max = HOUR_RANGE_DAYS_MAX if width == "hour" else RANGE_DAYS_MAX
    if whole.end - whole.start > timedelta(days=days_max):
        raise InvalidValue(f"At most {days_max} days by {width}", field="endTime")
    found, at = [], whole.start
    while at < whole.end:
        edge = min(_next_edge(at, width), whole.end)
        found.append(Period(at, edge))
        at = edge
    return found


def _next_edge(at: datetime, width: BucketWidth) -> datetime:
    hour = at.replace(minute=0, second=0, microsecond=0)
    if width == "hour":
        return hour + timedelta(hours=1)
    day = hour.replace(hour=0)
    return day + timedelta(days=1 if width == "day" else 7 - day.weekday())
