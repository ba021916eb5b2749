"""What each price owes at a billing boundary, and for how much; it reads no usage and no rows.

A boundary ends one window of the subscription and opens the next. Usage is owed for the window
that ended; a fee, and usage at another cadence than the plan's, by cycles of its own, anchored like
the subscription: a yearly fee in a monthly plan falls due once a year.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal

from billing import pricing, proration
from billing.allowances import Burned
from billing.bounds import Together
from billing.durations import Duration
from billing.ended_cycles import cycle_at, cycles_from, ended_cycles
from billing.interval_terms import Interval
from billing.periods import Period, index_at
from billing.plan_change import ChangedFee
from billing.pricing import dynamic
from billing.taxes import TaxBehavior, TaxSource, apply_tax

Meter = tuple[str, Duration]  # A metric that is billed at a cadence of its own.


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """A price as a subscription bills it; `tax_rate` is a fraction, `source_id` a fee or metric.

    A manual line has the terms of a price that no catalogue holds, an adjustment's line those of
    the price that it discounts.
    """

    price_id: str
    kind: Literal["fee", "metric", "manual", "adjustment", "grant"]
    source_id: str
    display_name: str
    model: str
    properties: Mapping[str, Any]
    payment_term: Literal["in_advance", "in_arrears"]
    cadence: Duration | None
    """None: the plan's."""
    quantity: Decimal
    """How many of a fee; a metric's quantity is its usage."""
    is_obligation: bool
    in_scope: bool
    tax_rate: Decimal
    is_instant: bool = False
    """A metric whose uses are paid one by one; only what else its meter reads is owed."""
    tax_source: TaxSource | None = None
    """Where the rate was found."""
    plan_version_id: str | None = None
    """The plan version that it was read from; None where it was asked for by its own id."""
    key: str = ""
    """What the plan calls the line; the same from version to version."""
    interval_id: str = ""
    """The subscription's own terms that it is billed by; see `billing.intervals`."""
    interval: Interval | None = None
    """These terms; None also of a line from before lines kept them."""
    feature_id: str = ""
    """The feature that it carries: a metric's usage is billed above its allowance."""
    discounts_by_grants: bool = False
    """What grants cover is billed and taken off again by a line of its own."""

    @property
    def is_once(self) -> bool:
        """Whether it is billed once, and not for a time."""
        return self.cadence is not None and self.cadence.is_zero


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a subscription started and where its boundaries lie."""

    anchor: datetime
    cadence: Duration
    started_at: datetime
    resumed_at: datetime | None = None
    """When the last pause ended; nothing is owed for the time between."""
    paid_until: datetime | None = None
    """At the end of a pause: fees in advance are paid for every cycle that began before this."""
    entering: frozenset[str] = frozenset()
    """The keys of fees in advance that no boundary has billed yet; see `billing.entering_fees`."""
    billed_from: datetime | None = None
    """The start of the first window that is billed, where it is not the subscription's start."""
    entered: Mapping[Meter, datetime] = field(default_factory=dict)
    """From when on usage is billed that a version brought later than the subscription's start."""
    leaving: frozenset[Meter] = frozenset()
    """Usage that no version bills beyond the boundary; see `billing.usage_cycles`."""

    @property
    def runs_from(self) -> datetime:
        """Since when it is billed without a pause."""
        return self.resumed_at or self.started_at

    def has_paid(self, price: PriceTerms, cycle: Period) -> bool:
        """Whether a pause lies between a cycle's fee and now."""
        is_billed = price.key not in self.entering
        return is_billed and self.paid_until is not None and cycle.start < self.paid_until

    def counted_from(self, meter: Meter) -> datetime:
        """Since when usage at a cadence of its own is owed at all."""
        since = (self.runs_from, self.billed_from, self.entered.get(meter))
        return max(each for each in since if each is not None)


@dataclass(frozen=True, slots=True)
class Charge:
    """A price owed for a window, which is part of a cycle, or all of it."""

    price: PriceTerms
    window: Period
    cycle: Period
    period: Period | None = None
    """The window that it was cut out of, for usage, which has no cycle."""

    @property
    def counted_for(self) -> Period:
        """The period that its quantity is counted for."""
        return self.period or self.cycle


@dataclass(frozen=True, slots=True)
class Uses:
    """What single uses add to a meter's reading; `amount` is at the prices that they brought."""

    quantity: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


NO_USES: Final = Uses()


@dataclass(frozen=True, slots=True)
class Measure:
    """What was used under a charge, read for a metric only, and what is billed in its place."""

    usage: Decimal
    uses: Uses = NO_USES
    event_count: int | None = None
    adjusted: Decimal | None = None
    burned: Burned | None = None
    """What an allowance leaves of the usage; None where there is none."""

    @property
    def billable(self) -> Decimal:
        """The usage that is billed."""
        return self.usage if self.burned is None else self.burned.billed


@dataclass(frozen=True, slots=True)
class Billed:
    """What invoices have billed for a price and a window so far.

    `amount` is what the price came to, discounts off: without tax, or with the tax that lies inside
    it. `carried` is what the last correction should have given back and could not.
    """

    quantity: Decimal
    amount: Decimal
    carried: Decimal = Decimal(0)
    invoice_id: str | None = None
    """The one that billed it first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a line was rated from; with its price, all that is needed to rate it again by hand."""

    cycle: Period
    usage: Decimal | None = None
    event_count: int | None = None
    """The meter's reading, and how many events it counts; None for what has no meter."""
    uses: Uses = NO_USES
    billed: Billed | None = None
    """What a correction corrects."""
    uncut: Decimal | None = None
    """The total with tax, before it was cut to what the invoice can bear."""
    measured: Decimal | None = None
    """The quantity before adjustments, where they reached it."""
    discounted: Decimal | None = None
    """What a discount is taken off."""
    part: Fraction | None = None
    """The part that a discount takes, or that discounts have left of a correction."""
    change: ChangedFee | None = None
    """What a line of a plan change was worked out from."""
    period: Period | None = None
    """What it is a part of, where terms changed inside it: bounds of a deal hold for all of it."""
    carried_from: str | None = None
    """The line whose invoice could not bear what this one gives back."""
    together: Together | None = None  # What bounded it, where that is more than itself.
    behavior: TaxBehavior | None = None  # Of a corrected period, where its invoice's is another.
    burned: Burned | None = None
    """What an allowance has left of the usage."""
    shows_covered: bool = False
    """What grants cover is in the quantity, and on a discount line of its own."""


@dataclass(frozen=True, slots=True)
class RatedLine:
    """An invoice line's amounts, unrounded; price and tax sum to the total."""

    price: PriceTerms
    window: Period
    quantity: Decimal
    unit_price: Decimal
    total_price: Decimal
    total_tax: Decimal
    total_amount: Decimal
    fraction: Fraction
    is_late: bool = False  # It corrects a period that was billed before.
    carried: Decimal = Decimal(0)
    """What it gives back and its invoice cannot take; see `billing.late_usage`."""
    origin: Origin | None = None
    adjustment_ids: tuple[str, ...] = ()
    """Which adjustments reached it; see `billing.adjustments`."""

    @property
    def origin_of_cut(self) -> Origin | None:
        """The origin of what is left when this line is cut."""
        return self.origin and replace(self.origin, uncut=self.total_amount)


@dataclass(frozen=True, slots=True)
class _Boundary:
    schedule: Schedule
    ended: Period | None
    coming: Period | None
    terminating: bool


def charges_at(
    prices: Sequence[PriceTerms],
    schedule: Schedule,
    *,
    ended: Period | None,
    coming: Period | None,
    terminating: bool = False,
) -> list[Charge]:
    """Everything owed at a boundary, in the order of the prices.

    `ended` is None at the start of the subscription and after a pause, `coming` is None once it has
    ended, and `terminating` says that the running cycles of fees in arrears end here, before their
    time.
    """
    at = _Boundary(schedule, ended, coming, terminating)
    return [charge for price in prices for charge in _owed(price, at)]


def rate_charge(
    charge: Charge,
    usage: Decimal,
    behavior: TaxBehavior,
    uses: Uses = NO_USES,
    event_count: int | None = None,
) -> RatedLine:
    """Prices, prorates and taxes a charge; `usage` and `uses` are read for a metric only."""
    return rate_measure(charge, Measure(usage, uses, event_count), behavior)


def rate_measure(charge: Charge, measure: Measure, behavior: TaxBehavior) -> RatedLine:
    """The same, also of an adjusted quantity."""
    price = charge.price
    if measure.adjusted is None:
        before, (quantity, rated) = None, _whole(charge, measure)
    else:
        before, quantity = measured(charge, measure), measure.adjusted
        rated = _rated(price, quantity)
    if price.kind == "fee":
        origin = Origin(charge.cycle, measured=before, period=charge.period)
    else:
        origin = Origin(
            charge.cycle,
            usage=measure.usage,
            event_count=measure.event_count,
            uses=measure.uses,
            measured=before,
            period=charge.period,
            burned=measure.burned,
        )
    part = proration.fraction(charge.window, charge.cycle)
    amount = proration.share(rated.amount, part)
    taxed = apply_tax(amount, price.tax_rate, behavior, in_scope=price.in_scope)
    return RatedLine(
        price=price,
        window=charge.window,
        quantity=quantity,
        unit_price=rated.unit_price,
        total_price=taxed.price,
        total_tax=taxed.tax,
        total_amount=taxed.total,
        fraction=part,
        origin=origin,
    )


def measured(charge: Charge, measure: Measure) -> Decimal:
    """The quantity that a charge bills unless it is adjusted."""
    return _whole(charge, measure)[0]


def _whole(charge: Charge, measure: Measure) -> tuple[Decimal, pricing.Rated]:
    """The same, and what it costs."""
    price = charge.price
    if price.kind == "fee":
        return price.quantity, _rated(price, price.quantity)
    return rate_usage(price, measure.billable, measure.uses)


def rate_usage(
    price: PriceTerms, usage: Decimal, uses: Uses = NO_USES
) -> tuple[Decimal, pricing.Rated]:
    """What counts of a meter's reading and of single uses in a window, and what it costs.

    Net usage below zero (corrections above consumption) is rated as none: a meter does not pay
    its customer.
    """
    metered = max(usage, Decimal(0))
    if price.model == "dynamic":
        rated = dynamic.rate_period(price.properties, metered, uses.quantity, uses.amount)
        return dynamic.countable(price.properties, metered) + uses.quantity, rated
    quantity = metered + uses.quantity
    if price.is_instant and not quantity:
        # A least charge is owed for each use, and there was none that had not been paid.
        return quantity, pricing.Rated(Decimal(0), Decimal(0))
    return quantity, _rated(price, quantity)


def _rated(price: PriceTerms, quantity: Decimal) -> pricing.Rated:
    return pricing.rate(price.model, price.properties, quantity)


def _owed(price: PriceTerms, at: _Boundary) -> Iterator[Charge]:
    cadence = at.schedule.cadence if price.cadence is None else price.cadence
    if price.kind == "metric":
        yield from _usage(price, cadence, at)
    elif cadence.is_zero:
        yield from _once(price, at)
    elif price.payment_term == "in_advance":
        yield from _in_advance(price, cadence, at)
    else:
        yield from _in_arrears(price, cadence, at)


def _usage(price: PriceTerms, cadence: Duration, at: _Boundary) -> Iterator[Charge]:
    # Usage is never prorated: the window is its own cycle. It is known at the end only, so the
    # payment term makes no difference.
    if at.ended is None:
        return
    if cadence == at.schedule.cadence:
        if not at.ended.is_empty:
            yield Charge(price, at.ended, at.ended)
        return
    meter, schedule = (price.source_id, cadence), at.schedule
    since, is_cut = schedule.counted_from(meter), at.terminating or meter in schedule.leaving
    for window, _ in ended_cycles(schedule.anchor, cadence, at.ended, since, is_cut=is_cut):
        yield Charge(price, window, window)


def _once(price: PriceTerms, at: _Boundary) -> Iterator[Charge]:
    is_advance = price.payment_term == "in_advance"
    # After a pause neither the start nor the first end comes again, not even at the same instant.
    is_resumed = at.schedule.resumed_at is not None
    if is_advance and at.ended is None and at.coming is not None and not is_resumed:
        yield Charge(price, at.coming, at.coming)
    is_first_end = at.ended is not None and at.ended.start == at.schedule.started_at
    if not is_advance and at.ended is not None and is_first_end and not is_resumed:
        yield Charge(price, at.ended, at.ended)


def _in_advance(price: PriceTerms, cadence: Duration, at: _Boundary) -> Iterator[Charge]:
    if at.coming is None or at.coming.is_empty:
        return
    anchor, start = at.schedule.anchor, at.coming.start
    index = index_at(anchor, cadence, start)
    running = cycle_at(anchor, cadence, index)
    if running.start < start:
        # Later boundaries find this cycle paid already, but of a fee that only now enters; an
        # obligation waits for its next cycle.
        is_paid = price.is_obligation or at.schedule.has_paid(price, running)
        if (at.ended is None or price.key in at.schedule.entering) and not is_paid:
            yield Charge(price, Period(start, running.end), running)
        index += 1
    for cycle in cycles_from(anchor, cadence, index):
        if cycle.start >= at.coming.end:
            return
        yield Charge(price, cycle, cycle)


def _in_arrears(price: PriceTerms, cadence: Duration, at: _Boundary) -> Iterator[Charge]:
    if at.ended is None:
        return
    anchor, runs_from = at.schedule.anchor, at.schedule.runs_from
    for window, cycle in ended_cycles(anchor, cadence, at.ended, runs_from, is_cut=at.terminating):
        if not (price.is_obligation and cycle.start < runs_from):
            # An obligation is owed whole, also when termination cuts its cycle short.
            yield Charge(price, window, window if price.is_obligation else cycle)
