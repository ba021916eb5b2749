"""Half-open UTC periods and the boundaries between them; it reads no clock and no time zone.

Boundary k is the anchor plus k times the cadence, computed by index and never from boundary k - 1:
an anchor on the 31st clamps in short months and comes back in long ones.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from billing.durations import Duration
from billing.errors import InvalidValue

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from start up to, and without, end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidValue("A period's instants need an offset from UTC")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end < self.start:
            raise InvalidValue("A period does not end before it starts")

    @property
    def microseconds(self) -> int:
        """Its exact length in the smallest unit of a datetime."""
        return (self.end - self.start) // _MICROSECOND

    @property
    def seconds(self) -> Decimal:
        """Its exact length in seconds."""
        return Decimal(self.microseconds).scaleb(-6)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no instant at all."""
        return self.start == self.end

    @property
    def last(self) -> datetime:
        """The last instant that it holds, to the microsecond; the start of an empty one."""
        return self.start if self.is_empty else self.end - datetime.resolution

    def contains(self, instant: datetime) -> bool:
        """Whether the instant lies in it; the end does not."""
        return self.start <= instant < self.end

    def covers(self, other: "Period") -> bool:
        """Whether the other period lies wholly inside this one."""
        return self.start <= other.start and other.end <= self.end

    def overlap(self, other: "Period") -> "Period | None":
        """The time that both hold, None where they share no instant (neighbors share none)."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None


@lru_cache(maxsize=4_096)
def boundary(anchor: datetime, cadence: Duration, index: int) -> datetime:
    """The boundary with this index, which may be negative: anchor + index x cadence."""
    if cadence.is_zero:
        raise InvalidValue("A cadence of zero happens once and has no boundaries")
    return cadence.after(anchor, index)


def index_at(anchor: datetime, cadence: Duration, instant: datetime) -> int:
    """The index of the last boundary at or before the instant.

    An estimate from the mean length comes within a step or two, however far the instant lies;
    the loops then settle what clamped and unequal months have moved.
    """
    index = 0
    if boundary(anchor, cadence, 0) != instant:
        elapsed = Decimal((instant - anchor) // _MICROSECOND).scaleb(-6)
        index = int(elapsed // cadence.mean_seconds)
    while boundary(anchor, cadence, index) > instant:
        index -= 1
    while boundary(anchor, cadence, index + 1) <= instant:
        index += 1
    return index


def period_at(anchor: datetime, cadence: Duration, instant: datetime) -> Period:
    """The period between two boundaries that holds the instant."""
    index = index_at(anchor, cadence, instant)
    return Period(boundary(anchor, cadence, index), boundary(anchor, cadence, index + 1))


def aligned_anchor(plan_anchor: datetime | None, started_at: datetime) -> datetime:
    """The anchor of a subscription: its plan's, else its own start.

    The start is not rounded to the hour: a rounded anchor would make every first period a stub
    of odd minutes, and the customer would pay a prorated price that the catalogue does not show.
    """
    return (plan_anchor or started_at).astimezone(UTC)
