"""What a merchant may change about a subscription's intervals; it applies changes to values only.

What has been billed stays: an interval in advance is free from the first cycle that no invoice
has charged yet, one in arrears from the running cycle, usage from the running period.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, Literal

from billing.durations import parse_duration
from billing.errors import Conflict, InvalidValue, NotFound
from billing.interval_refusals import (
    IntervalCoversPrice,
    IntervalGap,
    IntervalOverlap,
    ObligationCut,
    OneOffTwice,
    OtherPlanVersion,
    PeriodBilled,
)
from billing.interval_terms import ONE_OFF, Interval, Kind, Mode, Transition
from billing.intervals import catalogue_rate
from billing.periods import boundary, index_at
from billing.plans import KEY
from billing.rating import Schedule

EDITABLE: Final = frozenset({"unit_price", "base_quantity", "transitions", "end"})


@dataclass(frozen=True, slots=True)
class CatalogPrice:
    """A price, as far as an interval cares."""

    kind: Literal["fee", "metric"]
    model: str
    properties: Mapping[str, Any]
    is_obligation: bool
    in_scope: bool = True
    """Of tax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddInterval:
    """A new interval; without a price id that of the plan's line with its key."""

    key: str
    price_id: str | None
    version_id: str | None
    unit_price: Decimal | None
    base_quantity: Decimal
    transitions: tuple[Transition, ...]
    cadence: str
    mode: Mode
    bill_date: datetime | None
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class EditInterval:
    """What was sent of an interval, by the names of its fields."""

    interval_id: str
    sent: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edits:
    """All that one request asks for; removals come first, additions last."""

    add: Sequence[AddInterval] = ()
    edit: Sequence[EditInterval] = ()
    remove: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the edits are judged by."""

    schedule: Schedule
    open_from: datetime | None
    """Start of the running window; None while the subscription has not begun."""
    open_to: datetime
    """The next boundary."""
    version_id: str
    plan_keys: Mapping[str, str]
    """The price of each key of the version."""
    next_keys: frozenset[str]
    """The keys of the version that comes next."""
    catalogue: Mapping[str, CatalogPrice]
    is_legacy: bool = False
    """Whether the plan is of version 0."""


@dataclass(frozen=True, slots=True)
class Change:
    """One interval before and after; None where it was not there, or is no more."""

    interval_id: str
    before: Interval | None
    after: Interval | None


@dataclass
class _Work:
    """The intervals as the edits change them; `new_ids` are used up in their order."""

    ground: Ground
    current: dict[str, Interval]
    new_ids: list[str]
    changes: list[Change] = field(default_factory=list)

    def found(self, interval_id: str) -> Interval:
        interval = self.current.get(interval_id)
        if interval is None:
            raise NotFound(f"No interval {interval_id}")
        return interval

    def put(self, before: Interval | None, after: Interval | None) -> None:
        shown = before or after
        if shown is None or before == after:
            return
        self.changes.append(Change(shown.interval_id, before, after))
        self.current.pop(shown.interval_id, None)
        if after is not None:
            self.current[after.interval_id] = after


def apply_edits(
    current: Sequence[Interval], edits: Edits, ground: Ground, new_ids: Sequence[str]
) -> list[Change]:
    """What changes, in the order of the operations; empty where everything stays as it is."""
    work = _Work(ground, {each.interval_id: each for each in current}, list(new_ids))
    for interval_id in edits.remove:
        _remove(work, interval_id)
    for edit in edits.edit:
        _edit(work, edit)
    for add in edits.add:
        _add(work, add)
    stored = [each for each in work.current.values() if each.is_stored]
    for key in sorted({each.key for each in stored}):
        _check_key([each for each in stored if each.key == key], ground)
    return work.changes


def free_from(interval: Interval, ground: Ground, *, is_new: bool = False) -> datetime:
    """From when the interval may be changed."""
    if ground.open_from is None:
        return ground.schedule.started_at
    price = ground.catalogue.get(interval.price_id)
    if price is not None and price.kind == "metric":
        return ground.open_from
    if interval.cadence == ONE_OFF:
        return ground.open_from
    cadence, anchor = parse_duration(interval.cadence), ground.schedule.anchor
    if interval.mode == "arrears":
        running = boundary(anchor, cadence, index_at(anchor, cadence, ground.open_from))
        return max(running, ground.schedule.started_at)
    if is_new and interval.kind == "subscription_owned":
        return ground.open_to
    index = index_at(anchor, cadence, ground.open_to)
    at = boundary(anchor, cadence, index)
    return at if at == ground.open_to else boundary(anchor, cadence, index + 1)


def _remove(work: _Work, interval_id: str) -> None:
    interval = work.found(interval_id)
    if not interval.is_stored:
        raise Conflict("The plan's own line is closed by an end date, not removed")
    _check_free(interval, work.ground, interval.bill_date or interval.start)
    work.put(interval, None)


def _edit(work: _Work, edit: EditInterval) -> None:
    before = work.found(edit.interval_id)
    for name, value in edit.sent.items():
        if name not in EDITABLE and getattr(before, name) != value:
            raise InvalidValue("Not editable: must match the interval's value", field=_WIRE[name])
    changed = {
        name: value
        for name, value in edit.sent.items()
        if name in EDITABLE and getattr(before, name) != value
    }
    if not changed:
        return
    after = replace(before, **changed, is_stored=True)
    if not before.is_stored and changed.get("end") is not None:
        after = replace(after, ends_key=True)
    elif before.ends_key and after.end is None:
        after = replace(after, ends_key=False)
    _check_terms(after, work.ground)
    for instant in _touched(before, changed):
        _check_free(before, work.ground, instant)
    if not before.is_stored and before.end is not None:
        _check_followed(work, before, after)
    work.put(before, after)


def _touched(before: Interval, changed: Mapping[str, Any]) -> list[datetime]:
    """The earliest instants whose billing the change touches."""
    touched = []
    if "unit_price" in changed or "base_quantity" in changed:
        touched.append(before.bill_date or before.start)
    if "transitions" in changed:
        touched += [at for at, _ in set(before.transitions) ^ set(changed["transitions"])]
    if "end" in changed:
        touched += [end for end in (before.end, changed["end"]) if end is not None]
    return touched


def _check_followed(work: _Work, before: Interval, after: Interval) -> None:
    """A plan's line that another interval follows can neither end earlier nor later than there."""
    is_followed = any(
        each.is_stored and each.key == before.key and each.start == before.end
        for each in work.current.values()
    )
    if is_followed and after.end != before.end:
        is_later = after.end is None or (before.end is not None and after.end > before.end)
        refusal = IntervalOverlap if is_later else IntervalGap
        raise refusal("Another interval of the key begins where this one ends")


def _add(work: _Work, add: AddInterval) -> None:
    ground = work.ground
    kind: Kind = "plan_line" if add.key in ground.plan_keys else "subscription_owned"
    if add.version_id not in (None, ground.version_id):
        details = {"planVersionId": ground.version_id}
        raise OtherPlanVersion("The subscription is on another version", details=details)
    price_id = _price_id(add, kind, ground)
    interval = Interval(
        interval_id=work.new_ids.pop(0),
        key=add.key,
        kind=kind,
        price_id=price_id,
        version_id=ground.version_id,
        unit_price=_kept_rate(add, kind, ground.catalogue[price_id]),
        base_quantity=add.base_quantity,
        transitions=add.transitions,
        cadence=add.cadence,
        mode=add.mode,
        bill_date=add.bill_date,
        start=add.start,
        end=add.end,
    )
    _check_terms(interval, ground)
    earliest = free_from(interval, ground, is_new=True)
    touched = interval.bill_date or interval.start
    is_billed = touched <= earliest if interval.bill_date else touched < earliest
    if is_billed and not (ground.open_from is None and touched >= earliest):
        raise PeriodBilled("It would begin in a period that is billed", details=_from(earliest))
    work.put(None, interval)


def _price_id(add: AddInterval, kind: Kind, ground: Ground) -> str:
    if kind == "plan_line":
        if add.price_id not in (None, ground.plan_keys[add.key]):
            raise InvalidValue("The plan bills another price under this key", field="priceId")
        return ground.plan_keys[add.key]
    if add.key in ground.next_keys:
        raise IntervalCoversPrice("The version that comes next has this key")
    if not KEY.fullmatch(add.key):
        raise InvalidValue("Lower-case letters, digits, - and _, 64 at most", field="priceKey")
    if add.price_id is None:
        raise InvalidValue("Needed: the key is not on the plan", field="priceId")
    if add.price_id not in ground.catalogue:
        raise InvalidValue("No such price", field="priceId")
    return add.price_id


def _kept_rate(add: AddInterval, kind: Kind, price: CatalogPrice) -> Decimal | None:
    """A subscription's own interval keeps the rate of today where the catalogue has one rate."""
    if add.unit_price is not None or kind == "plan_line" or price.model != "standard":
        return add.unit_price
    return catalogue_rate(price.model, price.properties)


def _check_terms(interval: Interval, ground: Ground) -> None:
    """Refuses terms that cannot be billed, whatever there is beside them."""
    is_once = interval.cadence == ONE_OFF
    price = ground.catalogue[interval.price_id]
    for broken, name, message in (
        (is_once != (interval.bill_date is not None), "billDate", "Goes with one_off, and only so"),
        (interval.end is not None and interval.end <= interval.start, "endDate", "After startDate"),
        (interval.start < ground.schedule.started_at, "startDate", "Before the subscription"),
        (_is_outside(interval), "billDate", "Must lie between startDate and endDate"),
        (interval.base_quantity < 0, "baseQuantity", "Must not be negative"),
        (
            not _are_steps(interval),
            "quantityTransitions",
            "Ascending, after the start, not below 0",
        ),
        (
            price.kind == "metric" and bool(interval.transitions),
            "quantityTransitions",
            "Is metered",
        ),
        (price.kind == "metric" and is_once, "billingCadence", "Usage is not billed once"),
        (price.kind == "metric" and interval.mode == "advance", "billingMode", "Usage: arrears"),
        (
            interval.unit_price is not None and price.model not in ("standard", "volume"),
            "unitPrice",
            "The price has no rate of a unit",
        ),
        (
            price.kind == "fee" and interval.unit_price is not None and interval.unit_price < 0,
            "unitPrice",
            "Only a metered price may be negative",
        ),
        (
            not price.in_scope and interval.unit_price is not None and interval.unit_price > 0,
            "unitPrice",
            "Outside the scope of tax, a price gives back: it is zero or negative",
        ),
    ):
        if broken:
            raise InvalidValue(message, field=name)
    if not is_once:
        _check_cadence(interval, price, ground)


def _check_cadence(interval: Interval, price: CatalogPrice, ground: Ground) -> None:
    cadence = parse_duration(interval.cadence)
    if cadence.is_zero or cadence.seconds:
        raise InvalidValue("Whole days or months, or one_off", field="billingCadence")
    if ground.is_legacy and price.kind == "metric" and cadence != ground.schedule.cadence:
        # Single uses accrue on the running invoice, and not in a cycle of their own.
        raise InvalidValue("In a version 0 plan: the plan's", field="billingCadence")
    if price.is_obligation:
        for instant in (interval.start, interval.end):
            if instant is not None and not _is_boundary(instant, interval, ground):
                raise ObligationCut(f"{instant.isoformat()} lies inside a period")


def _is_boundary(instant: datetime, interval: Interval, ground: Ground) -> bool:
    cadence, anchor = parse_duration(interval.cadence), ground.schedule.anchor
    return boundary(anchor, cadence, index_at(anchor, cadence, instant)) == instant


def _is_outside(interval: Interval) -> bool:
    if interval.bill_date is None:
        return False
    is_late = interval.end is not None and interval.bill_date > interval.end
    return interval.bill_date < interval.start or is_late


def _are_steps(interval: Interval) -> bool:
    instants = [at for at, _ in interval.transitions]
    is_ascending = instants == sorted(set(instants))
    is_inside = all(interval.holds(at) and at > interval.start for at in instants)
    return is_ascending and is_inside and all(quantity >= 0 for _, quantity in interval.transitions)


def _check_free(interval: Interval, ground: Ground, instant: datetime) -> None:
    earliest = free_from(interval, ground)
    if instant < earliest:
        raise PeriodBilled("A period that is billed is not changed", details=_from(earliest))


def _from(earliest: datetime) -> dict[str, str]:
    return {"changeableFrom": earliest.isoformat().replace("+00:00", "Z")}


def _check_key(stored: Sequence[Interval], ground: Ground) -> None:
    """Refuses stored intervals of one key that overlap, leave a gap, or bill once more."""
    inside = sorted(stored, key=lambda each: each.start)
    if sum(each.cadence == ONE_OFF for each in inside) > 1:
        raise OneOffTwice("A one-off price is billed once")
    is_plans = inside[0].key in ground.plan_keys
    for before, after in pairwise(inside):
        if before.end is None or before.end > after.start:
            raise IntervalOverlap("Two intervals of a key overlap", details={"key": after.key})
        if before.end < after.start and (before.ends_key or not is_plans):
            raise IntervalGap("Nothing would be billed in between", details={"key": after.key})


_WIRE: Final[Mapping[str, str]] = {
    "price_id": "priceId",
    "key": "priceKey",
    "version_id": "planVersionId",
    "cadence": "billingCadence",
    "mode": "billingMode",
    "bill_date": "billDate",
    "start": "startDate",
}
