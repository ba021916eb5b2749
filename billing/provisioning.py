"""Which features a plan's prices give a subscription, and what must change so that it has them.

It judges no access and burns no allowance: it only says which entitlements are to stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from billing.durations import Duration, parse_duration
from billing.errors import BillingError, InvalidValue

Failure = Literal["entitlement_failed", "reset_cycle_misaligned"]
PRIORITY_MIN: Final = -32_768
PRIORITY_MAX: Final = 32_767
EVERY_SECONDS_MIN: Final = 3_600
_AMOUNTS: Final = {
    "issueAfterReset": "amount",
    "resetMaxRollover": "rollover_max",
    "resetMinRollover": "rollover_min",
}


class NotReconcilable(BillingError):
    """Only what is active has entitlements that could follow its plan."""

    code = "SUBSCRIPTION_NOT_RECONCILABLE"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a metered template gives; `every` is None where it is given once."""

    amount: Decimal = Decimal(0)
    every: Duration | None = None
    priority: int = 0
    rollover_max: Decimal = Decimal(0)
    rollover_min: Decimal = Decimal(0)
    is_soft: bool = False
    """Usage above it is billed."""
    anchor: datetime | None = None
    """Of its resets; None: the subscription's."""
    preserves_overage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldFeature:
    """A feature on a price of the version that a subscription is billed by."""

    feature_id: str
    feature_key: str
    feature_type: str
    metric_id: str | None
    template: Mapping[str, Any] | None
    """What is allowed of it; None: access without an allowance."""
    billed_every: Duration
    """Zero: the price is charged once."""
    discounts_by_grant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFeature:
    """An entitlement that stands."""

    entitlement_id: str
    feature_id: str
    feature_key: str
    metric_id: str | None
    template: Mapping[str, Any] | None
    is_planned: bool = True
    """Whether the plan gave it; what was given by hand only a hand takes away."""


@dataclass(frozen=True, slots=True)
class FailedFeature:
    """A feature that cannot be given as its price says."""

    feature_id: str
    feature_key: str
    reason: Failure


@dataclass(slots=True)
class Convergence:
    """What stands, what is to come and what is to go; `changed` stands under other terms."""

    added: list[SoldFeature] = field(default_factory=list)
    kept: list[HeldFeature] = field(default_factory=list)
    changed: list[tuple[HeldFeature, SoldFeature]] = field(default_factory=list)
    ended: list[HeldFeature] = field(default_factory=list)
    failed: list[FailedFeature] = field(default_factory=list)


def converge(sold: Iterable[SoldFeature], held: Sequence[HeldFeature]) -> Convergence:
    """Compares what the prices give with what stands; of a feature's prices one speaks for it."""
    wanted = _one_each(sold)
    standing = {each.feature_id: each for each in held}
    found = Convergence(
        ended=[each for each in held if each.is_planned and each.feature_id not in wanted]
    )
    for each in wanted.values():
        has = standing.get(each.feature_id)
        if has is not None and (not has.is_planned or _means_the_same(has, each)):
            found.kept.append(has)
        elif (reason := _failure(each)) is not None:
            found.failed.append(FailedFeature(each.feature_id, each.feature_key, reason))
        elif has is not None:
            found.changed.append((has, each))
        else:
            found.added.append(each)
    return found


def allowance_of(template: Mapping[str, Any]) -> Allowance:
    """Reads a metered template; refuses, by the wire's names, what cannot be one."""
    amounts = {name: _amount(template, key) for key, name in _AMOUNTS.items()}
    priority = template.get("issueAfterResetPriority", 0)
    if type(priority) is not int or not PRIORITY_MIN <= priority <= PRIORITY_MAX:
        raise InvalidValue("Must be a small integer", field="issueAfterResetPriority")
    every = _interval(template)
    return Allowance(
        every=every,
        priority=priority,
        is_soft=_flag(template, "isSoftLimit"),
        anchor=None if every is None else _anchor(template["usagePeriod"]),
        preserves_overage=_flag(template, "preserveOverageAtReset"),
        **amounts,
    )


def check_template(feature_type: str, template: Mapping[str, Any] | None) -> None:
    """Refuses a template that no entitlement to such a feature could have."""
    where = "feature.entitlementTemplate"
    if template is None:
        return
    if template.get("type", feature_type) != feature_type:
        raise InvalidValue("Must be of the feature's type", field=f"{where}.type")
    if feature_type == "metered":
        try:
            allowance_of(template)
        except InvalidValue as error:
            raise InvalidValue(error.message, field=f"{where}.{error.field}") from error


def is_billed_again(sold: SoldFeature, started_at: datetime, now: datetime) -> bool:
    """Whether lines of its price are still to come: what is charged once has been, at the start."""
    return not sold.billed_every.is_zero or now < started_at


def _one_each(sold: Iterable[SoldFeature]) -> dict[str, SoldFeature]:
    """The first price with an allowance speaks for a feature, else its first price."""
    found: dict[str, SoldFeature] = {}
    for each in sold:
        first = found.get(each.feature_id)
        if first is None or (first.template is None and each.template is not None):
            found[each.feature_id] = each
    return found


def _means_the_same(held: HeldFeature, sold: SoldFeature) -> bool:
    return held.template == sold.template and held.metric_id == sold.metric_id


def _failure(sold: SoldFeature) -> Failure | None:
    if sold.feature_type != "metered" or sold.template is None:
        return None
    try:
        allowance = allowance_of(sold.template)
    except InvalidValue:
        # Stored before templates were checked: the merchant sees it in each reconciliation.
        return "entitlement_failed"
    is_off = allowance.every is not None and allowance.every != sold.billed_every
    return "reset_cycle_misaligned" if sold.discounts_by_grant and is_off else None


def _amount(template: Mapping[str, Any], key: str) -> Decimal:
    value = template.get(key, 0)
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise InvalidValue("Must be a number", field=key) from error
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise InvalidValue("Must be a number, and not negative", field=key)
    return amount


def _interval(template: Mapping[str, Any]) -> Duration | None:
    period = template.get("usagePeriod")
    if period is None:
        return None
    interval = period.get("interval") if isinstance(period, Mapping) else None
    if not isinstance(interval, str):
        raise InvalidValue("Must be an ISO 8601 duration", field="usagePeriod.interval")
    try:
        every = parse_duration(interval)
    except InvalidValue as error:
        raise InvalidValue(error.message, field="usagePeriod.interval") from error
    if every.mean_seconds < EVERY_SECONDS_MIN:
        raise InvalidValue("Must be an hour at least", field="usagePeriod.interval")
    return every


def _anchor(period: Mapping[str, Any]) -> datetime | None:
    written = period.get("anchor")
    if written is None:
        return None
    try:
        anchor = datetime.fromisoformat(str(written))
    except ValueError as error:
        raise InvalidValue("Must be an instant", field="usagePeriod.anchor") from error
    if anchor.tzinfo is None:
        raise InvalidValue("Needs an offset from UTC", field="usagePeriod.anchor")
    return anchor


def _flag(template: Mapping[str, Any], key: str) -> bool:
    value = template.get(key)
    if value is not None and not isinstance(value, bool):
        raise InvalidValue("Must be true or false", field=key)
    return bool(value)
