"""What a subscription bills under each key over time: the plan's lines, and what lies over them.

A stored interval takes the place of the plan's line with its key for its time; one whose key is
not the plan's belongs to the subscription alone. It rates nothing and stores nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from billing.durations import Duration, parse_duration
from billing.ids import derived_id
from billing.interval_terms import ONE_OFF, Interval, Mode
from billing.periods import Period, period_at
from billing.rating import Charge, PriceTerms, Schedule, charges_at


@dataclass(frozen=True, slots=True)
class PlanPrice:
    """A line of a plan version, as far as an interval shows it."""

    key: str
    price_id: str
    quantity: Decimal
    cadence: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class VersionSpan:
    """From when until when a subscription bills a version, and the version's lines."""

    version_id: str
    start: datetime
    end: datetime | None
    lines: Sequence[PlanPrice]


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where charges fall due: what ended there, and what comes; see `billing.rating.charges_at`."""

    schedule: Schedule
    ended: Period | None
    coming: Period | None
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """A stored interval, with the price that it bills by; `price.quantity` is not read."""

    interval: Interval
    price: PriceTerms


def effective(
    subscription_id: str, spans: Sequence[VersionSpan], stored: Sequence[Interval]
) -> list[Interval]:
    """All intervals of a subscription, ended and future ones too, by their start."""
    found = [*stored]
    for span in spans:
        for line in span.lines:
            covering = [each for each in stored if each.key == line.key]
            found += [
                _plan_interval(subscription_id, span, line, start, end)
                for start, end in _outside(span.start, span.end, covering)
            ]
    return sorted(found, key=lambda each: (each.start, each.key, each.interval_id))


def charges_under(
    prices: Sequence[PriceTerms], overlays: Sequence[Overlay], at: Boundary
) -> list[Charge]:
    """Everything owed at a boundary: the plan's charges where nothing lies over them, and more."""
    by_key: dict[str, list[Overlay]] = {}
    for each in overlays:
        by_key.setdefault(each.interval.key, []).append(each)
    found: list[Charge] = []
    for price in prices:
        covering = [each.interval for each in by_key.get(price.key, ())]
        for charge in _due(price, at):
            found += _uncovered(charge, covering) if covering else [charge]
        for each in by_key.pop(price.key, ()):
            found += _of_overlay(each, at)
    for rest in by_key.values():
        for each in rest:
            found += _of_overlay(each, at)
    return found


def charges_left(
    prices: Sequence[PriceTerms], overlays: Sequence[Overlay], at: Boundary
) -> list[Charge]:
    """What the plan's lines owe until a boundary at which they are gone; nothing lies over them."""
    return [
        part
        for price in prices
        for charge in _due(price, at)
        for part in _uncovered(
            charge, [each.interval for each in overlays if each.interval.key == price.key]
        )
    ]


def _due(price: PriceTerms, at: Boundary) -> list[Charge]:
    return charges_at(
        [price], at.schedule, ended=at.ended, coming=at.coming, terminating=at.terminating
    )


def priced(interval: Interval, price: PriceTerms) -> PriceTerms:
    """The price as the interval bills it."""
    cadence = Duration() if interval.cadence == ONE_OFF else parse_duration(interval.cadence)
    terms = replace(
        price,
        key=interval.key,
        interval_id=interval.interval_id,
        interval=interval,
        payment_term="in_advance" if interval.mode == "advance" else "in_arrears",
        cadence=cadence,
        quantity=interval.base_quantity if price.kind == "fee" else price.quantity,
    )
    if interval.unit_price is None:
        return terms
    written = {"unitPrice": format(interval.unit_price, "f")}
    return replace(terms, model="standard", properties=written)


def plan_line_id(subscription_id: str, key: str, version_id: str, start: datetime) -> str:
    """The id of a plan's line as an interval, which is not stored; start in UTC."""
    return derived_id("int", subscription_id, key, version_id, start.isoformat())


def _plan_interval(
    subscription_id: str, span: VersionSpan, line: PlanPrice, start: datetime, end: datetime | None
) -> Interval:
    is_once = line.cadence != ONE_OFF and parse_duration(line.cadence).is_zero
    return Interval(
        interval_id=plan_line_id(subscription_id, line.key, span.version_id, start),
        key=line.key,
        kind="plan_line",
        price_id=line.price_id,
        version_id=span.version_id,
        unit_price=None,
        base_quantity=line.quantity,
        cadence=ONE_OFF if is_once else line.cadence,
        mode=line.mode,
        bill_date=start if is_once else None,
        start=start,
        end=end,
        is_stored=False,
    )


def _outside(
    start: datetime, end: datetime | None, covering: Iterable[Interval]
) -> Iterator[tuple[datetime, datetime | None]]:
    """The parts of [start, end) that no interval covers or has ended."""
    at = start
    for each in sorted(covering, key=lambda each: each.start):
        if end is not None and each.start >= end:
            break
        if each.start > at:
            yield at, each.start
        if each.end is None or each.ends_key:
            return
        at = max(at, each.end)
    if end is None or at < end:
        yield at, end


def _uncovered(charge: Charge, covering: Sequence[Interval]) -> list[Charge]:
    window = charge.window
    if window.is_empty:
        is_covered = any(each.holds(window.start) for each in covering)
        return [] if is_covered else [charge]
    parts = [Period(a, b or window.end) for a, b in _outside(window.start, window.end, covering)]
    return [_part(charge, each) for each in parts]


def _part(charge: Charge, window: Period) -> Charge:
    """A part of a charge: of a fee by time, of usage what was used in it."""
    if window == charge.window:
        return charge
    if charge.price.kind == "metric":
        return Charge(charge.price, window, window, period=charge.window)
    return Charge(charge.price, window, charge.cycle)


def _of_overlay(overlay: Overlay, at: Boundary) -> Iterator[Charge]:
    interval, price = overlay.interval, overlay.price
    at = replace(at, schedule=_schedule_of(interval, at.schedule))
    if interval.bill_date is not None:
        if _falls_due(interval.bill_date, at):
            window = Period(interval.bill_date, interval.bill_date)
            yield Charge(price, window, window)
        return
    for charge in [*_due(price, at), *_begun_stub(overlay, at)]:
        clipped = _clipped(charge.window, interval)
        if clipped is None:
            continue
        if price.kind == "metric":
            yield _part(charge, clipped)
            continue
        for window in _steps(clipped, interval):
            counted = replace(charge.price, quantity=interval.quantity_at(window.start))
            yield Charge(counted, window, charge.cycle)


def _schedule_of(interval: Interval, schedule: Schedule) -> Schedule:
    """What begins with the end of the window of a pause, or later, was not paid before it.

    No version brings an interval or takes it away: it is asked for where it begins.
    """
    paid_until = schedule.paid_until
    is_after = paid_until is not None and paid_until <= interval.start
    return replace(
        schedule,
        entering=frozenset(),
        entered={},
        leaving=frozenset(),
        paid_until=None if is_after else paid_until,
    )


def _falls_due(instant: datetime, at: Boundary) -> bool:
    """Whether this is the first boundary at or after the instant."""
    if at.ended is not None:
        return at.ended.start < instant <= at.ended.end
    return at.coming is not None and instant <= at.coming.start


def _begun_stub(overlay: Overlay, at: Boundary) -> Iterator[Charge]:
    """The rest of a cycle in advance that was running already when the interval began."""
    interval, price, schedule = overlay.interval, overlay.price, at.schedule
    is_fee_in_advance = price.kind == "fee" and price.payment_term == "in_advance"
    if at.ended is None or at.coming is None or not is_fee_in_advance or price.is_obligation:
        return
    if at.coming.contains(interval.start):
        cadence = schedule.cadence if price.cadence is None else price.cadence
        cycle = period_at(schedule.anchor, cadence, interval.start)
        if cycle.start < at.coming.start:
            yield Charge(price, Period(interval.start, cycle.end), cycle)


def _clipped(window: Period, interval: Interval) -> Period | None:
    end = window.end if interval.end is None else max(interval.end, window.start)
    return window.overlap(Period(min(interval.start, end), end))


def _steps(window: Period, interval: Interval) -> list[Period]:
    """The window, cut where the quantity steps."""
    cuts = [at for at, _ in interval.transitions if window.start < at < window.end]
    return [Period(a, b) for a, b in pairwise([window.start, *cuts, window.end])]


def resolved_rate(interval: Interval, price: PriceTerms) -> Decimal:
    """The rate of a unit: the interval's own, the catalogue's, or that of the first band."""
    if interval.unit_price is not None:
        return interval.unit_price
    return catalogue_rate(price.model, price.properties) or Decimal(0)


def catalogue_rate(model: str, properties: Mapping[str, object]) -> Decimal | None:
    """What a catalogue's price asks for a unit; None where it asks no fixed rate."""
    if model == "standard":
        return Decimal(str(properties["unitPrice"]))
    tiers = properties.get("tiers")
    if isinstance(tiers, list) and tiers:
        return Decimal(str(tiers[0]["unitPrice"]))
    return None
