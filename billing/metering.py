"""Which usage events a metric counts and what they add up to; storage is not its business.

`aggregate` is the oracle that the SQL aggregation is compared with: one pass over plain events.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

from billing.errors import InvalidValue
from billing.money import context_of, exact, round_half_up

Aggregation = Literal["SUM", "COUNT", "AVG", "MIN", "MAX", "UNIQUE_COUNT", "LATEST"]
AGGREGATIONS: Final[tuple[Aggregation, ...]] = (
    "SUM",
    "COUNT",
    "AVG",
    "MIN",
    "MAX",
    "UNIQUE_COUNT",
    "LATEST",
)
# These read a number from each event; COUNT reads nothing, UNIQUE_COUNT any scalar.
NUMERIC_AGGREGATIONS: Final[frozenset[Aggregation]] = frozenset(
    {"SUM", "AVG", "MIN", "MAX", "LATEST"}
)
PATH_LENGTH_MAX: Final = 255
# A quantity fits NUMERIC(38,18): what has more digits before the point is an identifier or noise,
# and is not summed; what has more behind it is a fraction that a program has worked out.
INTEGER_DIGITS_MAX: Final = 20
DECIMALS_MAX: Final = 18
NUMBER_LENGTH_MAX: Final = 1_000
"""The longest text that is read as a number: more than any JSON number is written out to."""
# A float has at most 309 digits; what is written longer ("1e999999") is an attack on memory.
DIGITS_MAX: Final = 400

_PATH: Final = re.compile(r"\$(\.[^.\[\]*?()'\"\s\x00-\x1f]+)+")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_AVERAGE_CONTEXT: Final = context_of(34)


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """What a metric reads from which events."""

    aggregation: Aggregation
    event_type: str
    value_path: str | None
    group_by: Mapping[str, str]
    event_from: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """One usage event, as far as metering cares."""

    type: str
    subject: str
    timestamp: datetime
    data: Mapping[str, Any]


@lru_cache(maxsize=4_096)
def parse_path(path: str) -> tuple[str, ...]:
    """The names of a path such as `$.a.b`: dots only, no brackets, wildcards or filters."""
    if len(path) > PATH_LENGTH_MAX or _PATH.fullmatch(path) is None:
        raise InvalidValue("Must be a path of names such as $.tokens or $.usage.tokens")
    return tuple(path.split(".")[1:])


def text_at(data: Mapping[str, Any], path: str) -> str | None:
    """The scalar at the path as text, None where there is none; what is distinct is told by it."""
    found: Any = data
    for name in parse_path(path):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return _scalar_text(found)


def value_at(data: Mapping[str, Any], path: str) -> Decimal | str | None:
    """The number at the path, else its text, else None (missing, null, an object, a list).

    Numbers are JSON numbers and strings that are written like one, leading zeros allowed; a boolean
    is none, and neither is a number with more than 20 digits before the point. Behind it 18 are
    kept: 1 / 900 in floating point has 19, and is usage all the same.
    """
    found = text_at(data, path)
    if found is None or len(found) > NUMBER_LENGTH_MAX or _NUMBER.fullmatch(found) is None:
        return found
    number = Decimal(found)
    if number.adjusted() < INTEGER_DIGITS_MAX and _exponent(number) < -DECIMALS_MAX:
        number = round_half_up(number, DECIMALS_MAX)
    return found if number and number.adjusted() >= INTEGER_DIGITS_MAX else number


def counts(metric: MetricDefinition, event: Event) -> bool:
    """Whether the metric reads this event: its type, its time, and a value it can use."""
    if event.type != metric.event_type:
        return False
    if metric.event_from is not None and event.timestamp < metric.event_from:
        return False
    if metric.aggregation in NUMERIC_AGGREGATIONS:
        return isinstance(value_at(event.data, _value_path(metric)), Decimal)
    if metric.aggregation == "UNIQUE_COUNT" and metric.value_path is not None:
        return text_at(event.data, metric.value_path) is not None
    return True


def aggregate(metric: MetricDefinition, events: Iterable[Event]) -> Decimal:
    """The metric's reading of the events in the order given; 0 where it counts none.

    LATEST takes the greatest timestamp, and of equal ones the last given.
    """
    counted = [event for event in events if counts(metric, event)]
    if not counted:
        return Decimal(0)
    if metric.aggregation == "COUNT" or metric.value_path is None:
        return Decimal(len(counted))
    if metric.aggregation == "UNIQUE_COUNT":
        return Decimal(len({text_at(event.data, metric.value_path) for event in counted}))
    if metric.aggregation == "LATEST":
        counted.sort(key=lambda event: event.timestamp)
    return _FOLDS[metric.aggregation](_numbers(metric, counted))


def average(total: Decimal, count: int) -> Decimal:
    """The mean to 34 significant digits, half up; 0 of nothing."""
    return _AVERAGE_CONTEXT.divide(total, Decimal(count)) if count else Decimal(0)


def _scalar_text(found: Any) -> str | None:
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str):
        return found
    if isinstance(found, float):
        return _number_text(Decimal(repr(found)))
    if isinstance(found, int | Decimal):
        return _number_text(Decimal(found))
    return None


def _number_text(found: Decimal) -> str | None:
    # Never "1E+3": the text of a number is what a JSON column stores, all digits written out.
    if not found.is_finite() or max(abs(found.adjusted()), -_exponent(found)) > DIGITS_MAX:
        return None
    return format(found, "f")


def _exponent(found: Decimal) -> int:
    return int(found.as_tuple().exponent)


def _value_path(metric: MetricDefinition) -> str:
    if metric.value_path is None:
        raise InvalidValue(f"{metric.aggregation} needs a value path", field="valueProperty")
    return metric.value_path


def _numbers(metric: MetricDefinition, counted: Iterable[Event]) -> list[Decimal]:
    path = _value_path(metric)
    values = (value_at(event.data, path) for event in counted)
    return [value for value in values if isinstance(value, Decimal)]


def _sum(values: Sequence[Decimal]) -> Decimal:
    with exact():
        return sum(values, Decimal(0))


def _mean(values: Sequence[Decimal]) -> Decimal:
    return average(_sum(values), len(values))


def _latest(values: Sequence[Decimal]) -> Decimal:
    return values[-1]


_FOLDS: Final[Mapping[Aggregation, Callable[[Sequence[Decimal]], Decimal]]] = {
    "SUM": _sum,
    "AVG": _mean,
    "MIN": min,
    "MAX": max,
    "LATEST": _latest,
}
