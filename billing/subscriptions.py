"""A subscription's states and first window; it knows no rows, versions or payments."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from billing.durations import Duration
from billing.errors import Conflict
from billing.periods import Period, period_at

State = Literal["pending_payment", "active", "terminated"]

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    "pending_payment": frozenset({"active", "terminated"}),
    "active": frozenset({"terminated"}),
    "terminated": frozenset(),
}


def check_transition(old: State, new: State) -> None:
    """Refuses a step that the life of a subscription does not have; terminated is for ever."""
    if new not in TRANSITIONS[old]:
        message = f"A subscription that is {old} does not become {new}"
        raise Conflict(message, details={"from": old, "to": new})


def first_window(started_at: datetime, anchor: datetime, cadence: Duration) -> Period:
    """From the start to the next boundary: a stub, unless the start is a boundary itself."""
    return Period(started_at, period_at(anchor, cadence, started_at).end)


def reminder_at(renews_at: datetime, days: int) -> datetime:
    """When the customer is told of a renewal: so many times 24 hours before it."""
    return renews_at - timedelta(days=days)
