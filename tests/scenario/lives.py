"""A subscription's whole life as plain values, and its calendar; it knows no amounts.

Written for the oracle, and shares nothing with the product.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

Span = tuple[datetime, datetime]
Band = tuple[Fraction | None, Fraction, Fraction]
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Price:
    """A line of a plan; a fee where it reads nothing."""

    name: str
    every: str
    model: str = "standard"
    unit: Fraction = Fraction(0)
    bands: tuple[Band, ...] = ()
    size: Fraction = Fraction(1)
    least: Fraction = Fraction(0)
    most: Fraction | None = None
    reads: str | None = None
    """The aggregation."""
    type: str = ""
    advance: bool = False
    quantity: int = 1
    obligation: bool = False

    @property
    def once(self) -> bool:
        return self.every == "P0D"


@dataclass(frozen=True)
class Event:
    """A use, and from when on it is known."""

    when: datetime
    type: str
    value: Fraction
    arrived: datetime


@dataclass(frozen=True)
class Deal:
    """An adjustment: a discount of everything, or units of one price."""

    kind: str
    value: Fraction
    since: datetime
    until: datetime | None
    target: str
    created: datetime


@dataclass(frozen=True)
class Act:
    """What happened to a subscription at an instant: pause, resume, end, mint, plan."""

    at: datetime
    what: str
    prices: tuple[Price, ...] = ()


@dataclass(frozen=True)
class Life:
    """All that a subscription was told."""

    start: datetime
    created: datetime
    anchor: datetime
    every: str
    prices: tuple[Price, ...]
    events: tuple[Event, ...] = ()
    acts: tuple[Act, ...] = ()
    deals: tuple[Deal, ...] = ()
    elapsed: bool = False
    ends: datetime | None = None
    grace: timedelta = timedelta(0)
    currency: str = "USD"
    inclusive: bool = False
    rate: Fraction = Fraction(0)


def nth(anchor: datetime, every: str, index: int) -> datetime:
    """The boundary with this index, counted from the anchor."""
    count, unit = int(every[1:-1]) * index, every[-1]
    if unit in "DW":
        return anchor + timedelta(days=count * (7 if unit == "W" else 1))
    months = anchor.year * 12 + anchor.month - 1 + count * (12 if unit == "Y" else 1)
    year, month = divmod(months, 12)
    day = min(anchor.day, monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)


def cycle_of(anchor: datetime, every: str, instant: datetime) -> Span:
    """The cycle that holds the instant."""
    index = 0
    while nth(anchor, every, index) > instant:
        index -= 1
    while nth(anchor, every, index + 1) <= instant:
        index += 1
    return nth(anchor, every, index), nth(anchor, every, index + 1)


def cycles(anchor: datetime, every: str, since: datetime, until: datetime) -> Iterator[Span]:
    """All cycles that have a part in [since, until)."""
    instant = since
    while instant < until:
        cycle = cycle_of(anchor, every, instant)
        yield cycle
        instant = cycle[1]


def share(part: Span, whole: Span) -> Fraction:
    """How much of the whole the part is, by time."""
    return Fraction((part[1] - part[0]) // TICK) / Fraction((whole[1] - whole[0]) // TICK)
