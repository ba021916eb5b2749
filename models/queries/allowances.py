"""What of a subscription's usage its entitlements cover: reads terms, grants and usage.

`billing.allowances` divides; nothing is stored, so that what comes late is found by reading again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.allowances import (
    ADDING_UP,
    AllowanceTerms,
    Burned,
    Entitled,
    Grant,
    Used,
    begins,
    burned,
    compared,
    cuts,
)
from billing.durations import parse_duration
from billing.periods import Period
from billing.provisioning import allowance_of
from models.billable_metrics import BillableMetric
from models.entitlements import Entitlement, EntitlementGrant
from models.queries import entitlements, usage
from models.queries.terms import Terms

ALLOWANCE = "allowance"
Key = tuple[str, str, Period]
Readings = Mapping[tuple[str, Period], usage.Reading]


@dataclass(frozen=True, slots=True)
class Asked:
    """A window's usage of a metric whose price carries a feature; "": none, and no allowance."""

    feature_id: str
    metric: BillableMetric
    window: Period

    @property
    def key(self) -> Key:
        """What its answer stands under."""
        return (self.feature_id, self.metric.id, self.window)


async def divided(
    session: AsyncSession, terms: Terms, asked: Sequence[Asked], readings: Readings
) -> dict[Key, Burned]:
    """How the usage of these windows is divided; what no allowance was ever held for is left out.

    `readings` are those of the windows by metric: of what does not add up, they are what is
    divided.
    """
    wanted: dict[tuple[str, str], list[Asked]] = {}
    for each in asked:
        if each.feature_id:
            wanted.setdefault((each.feature_id, each.metric.id), []).append(each)
    if not wanted:
        return {}
    held = await _held(session, terms, {feature_id for feature_id, _ in wanted})
    found: dict[Key, Burned] = {}
    for (feature_id, metric_id), members in wanted.items():
        entitled = held.of(feature_id, metric_id)
        if not entitled.terms:
            continue
        if members[0].metric.aggregation in ADDING_UP:
            found |= await _burned(session, terms, entitled, members)
            continue
        for each in members:
            read = readings[metric_id, each.window]
            found[each.key] = compared(entitled, read.value, read.event_count, each.window)
    return found


async def _burned(
    session: AsyncSession, terms: Terms, entitled: Entitled, asked: Sequence[Asked]
) -> dict[Key, Burned]:
    windows = [each.window for each in asked]
    since = min(begins(entitled, window) for window in windows)
    until = max(window.end for window in windows)
    if since >= until:
        return {}
    bounds = {bound for window in windows for bound in (window.start, window.end)}
    instants = sorted({*cuts(entitled, Period(since, until)), *bounds})
    read = await usage.usage_between(
        session,
        terms.subscription.merchant_id,
        asked[0].metric,
        customer_id=terms.customer.id,
        subscription_id=terms.subscription.id,
        external_id=terms.customer.external_id,
        cuts=instants,
    )
    used = [
        Used(Period(start, end), each.value, each.event_count)
        for (start, end), each in zip(pairwise(instants), read, strict=True)
    ]
    return {each.key: burned(entitled, used, each.window) for each in asked}


@dataclass(frozen=True, slots=True)
class _Held:
    """A subscription's entitlements to some features, with their grants."""

    terms: Terms
    rows: Sequence[Entitlement]
    grants: Sequence[EntitlementGrant]

    def of(self, feature_id: str, metric_id: str) -> Entitled:
        """What was allowed of a feature that this metric uses up, over all time."""
        rows = [row for row in self.rows if row.feature_id == feature_id]
        spans = [span for row in rows for span in self._spans(row, metric_id)]
        ids = {row.id for row in rows}
        grants = [_grant(each) for each in self.grants if each.entitlement_id in ids]
        return Entitled(sorted(spans, key=lambda span: span.start), grants)

    def _spans(self, row: Entitlement, metric_id: str) -> list[AllowanceTerms]:
        start, found = row.active_from, []
        written: list[tuple[datetime | None, Mapping[str, Any] | None, str | None]] = [
            (datetime.fromisoformat(each["until"]), each["template"], each["metric_id"])
            for each in row.earlier_terms
        ]
        for end, template, used_by in (
            *written, (row.active_to, row.template, row.billable_metric_id)
        ):  # fmt: skip
            if template is not None and used_by == metric_id and (end is None or start < end):
                found.append(self._span(template, start, end))
            start = start if end is None else max(start, end)
        return found

    def _span(
        self, template: Mapping[str, Any], start: datetime, end: datetime | None
    ) -> AllowanceTerms:
        allowance = allowance_of(template)
        # Resets go on as they were counted when these terms began: other cycles grant nothing.
        anchor = allowance.anchor or self.terms.timeline.at(start).anchor
        return AllowanceTerms(
            start=start,
            end=end,
            is_soft=allowance.is_soft,
            anchor=anchor,
            every=allowance.every,
            preserves_overage=allowance.preserves_overage,
        )


async def _held(session: AsyncSession, terms: Terms, feature_ids: set[str]) -> _Held:
    owner = terms.subscription
    if terms.expected is not None:
        return _Held(terms, terms.expected.entitlements, terms.expected.grants)
    rows = await entitlements.metered(session, owner.merchant_id, owner.id, feature_ids)
    grants: list[EntitlementGrant] = []
    if rows:
        ids = [row.id for row in rows]
        grants = await entitlements.grants_of(session, owner.merchant_id, ids)
    return _Held(terms, rows, grants)


def _grant(row: EntitlementGrant) -> Grant:
    is_allowance = row.origin == ALLOWANCE
    every = None if row.recurrence_period is None else parse_duration(row.recurrence_period)
    return Grant(
        amount=row.amount,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        voided_at=row.voided_at,
        priority=row.priority,
        is_issued_at_resets=is_allowance and every is not None,
        every=None if is_allowance else every,
        rollover_max=row.reset_max_rollover,
        rollover_min=row.reset_min_rollover,
    )
