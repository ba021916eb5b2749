"""When a subscription may move to another version of its plan; the lines it leads to are rated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from billing.errors import Conflict
from billing.interval_refusals import IntervalCoversPrice
from billing.interval_terms import Interval

Timing = Literal["next_period", "immediate"]


class SubscriptionNotLive(Conflict):
    """What waits for its first payment, or has ended, does not move."""

    code = "SUBSCRIPTION_NOT_LIVE"


class EndsBeforeBoundary(Conflict):
    """No period will begin in which the other version could be billed."""

    code = "SUBSCRIPTION_ENDS_BEFORE_BOUNDARY"


class BoundaryDue(Conflict):
    """A period has just ended and is about to be closed; a moment later the answer is clear."""

    code = "BOUNDARY_DUE"


class FeatureChanged(Conflict):
    """An allowance cannot be carried over to another meter or another cycle of resets."""

    code = "FEATURE_CHANGED"


class OverrideChangesMeaning(Conflict):
    """A rate that was agreed for one price would be asked for another."""

    code = "OVERRIDE_CHANGES_MEANING"


@dataclass(frozen=True, slots=True)
class LineMeaning:
    """What a rate under a key is asked for, and how often."""

    source_id: str
    cadence: str | None
    payment_term: str


@dataclass(frozen=True, slots=True)
class FeatureTerms:
    """How a version sells a feature."""

    metric_id: str | None
    reset_period: str | None
    """ISO 8601; None where the allowance is never filled again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The subscription at the time of the call; `boundary` is None where none is to come."""

    status: str
    boundary: datetime | None
    ending_at: datetime | None
    now: datetime


def check_standing(standing: Standing) -> datetime:
    """The boundary at which the move takes effect; refuses where there is none."""
    if standing.status != "active" or standing.boundary is None:
        raise SubscriptionNotLive(f"The subscription is {standing.status}")
    if standing.boundary <= standing.now:
        raise BoundaryDue("A period is being closed; try again")
    if standing.ending_at is not None and standing.ending_at <= standing.boundary:
        raise EndsBeforeBoundary("The subscription ends with its running period, or in it")
    return standing.boundary


def check_features(before: Mapping[str, FeatureTerms], after: Mapping[str, FeatureTerms]) -> None:
    """Refuses where a feature that stays is metered or refilled differently."""
    for feature_id in sorted(before.keys() & after.keys()):
        old, new = before[feature_id], after[feature_id]
        for name in ("metric_id", "reset_period"):
            if getattr(old, name) != getattr(new, name):
                details = {"featureId": feature_id, "changed": name}
                raise FeatureChanged("A feature changes its meter or its resets", details=details)


def check_intervals(
    stored: Sequence[Interval],
    before: Mapping[str, LineMeaning],
    after: Mapping[str, LineMeaning],
    boundary: datetime,
) -> None:
    """Refuses where an interval that goes on beyond the boundary would bill something else."""
    for each in stored:
        if each.end is not None and each.end <= boundary:
            continue
        details = {"priceKey": each.key, "intervalId": each.interval_id}
        if each.kind == "subscription_owned" and each.key in after:
            raise IntervalCoversPrice("The version sells what an interval bills", details=details)
        if each.kind == "plan_line" and before.get(each.key) != after.get(each.key):
            raise OverrideChangesMeaning("A rate would mean something else", details=details)
