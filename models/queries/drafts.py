"""What an invoice would bill: gathers prices, rates and usage, and lets billing decide.

It reads and never writes: the closing transaction stores what it returns, and the API shows it for
an invoice that is still open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import ALONE, Adjustment, Bounded, rate_adjusted
from billing.allowances import Burned
from billing.bounds import OtherSides
from billing.cycles import Cycles
from billing.grant_discounts import with_grant_discounts
from billing.intervals import Boundary, charges_under
from billing.invoicing import floor_rebates, period_of, totals
from billing.late_usage import with_carried
from billing.manual_lines import fit_credits
from billing.money import text, to_minor_unit
from billing.periods import Period
from billing.rating import NO_USES, Charge, Measure, PriceTerms, RatedLine, Schedule, Uses
from billing.taxes import TaxBehavior
from models.billable_metrics import BillableMetric
from models.invoices import Invoice
from models.manual_lines import ManualLine
from models.queries import (
    adjustments,
    allowances,
    invoices,
    ledger,
    manual_lines,
    sides,
    subscription_intervals,
    usage,
    usage_charges,
    usage_cycles,
)
from models.queries.draft_lines import Draft, line_columns, line_rows
from models.queries.late_usage import LateUsage, late_usage
from models.queries.steps import (
    Step,
    arrears_version,
    coming_schedule,
    schedule_at,
    step_of,
)
from models.queries.subscription_intervals import Overlays
from models.queries.terms import (
    PriceSet,
    Terms,
    metered_prices,
    next_version,
    price_set,
    terms_of,
)

__all__ = [
    "Draft",
    "Step",
    "Terms",
    "arrears_version",
    "charges_of",
    "line_columns",
    "line_rows",
    "next_version",
    "of_invoice",
    "rate",
    "step_of",
    "terms_of",
    "window_at",
]

NO_READING = usage.Reading(Decimal(0), 0)
NOTHING_LATE = LateUsage([], {}, is_complete=True)
WALLET_CHARGE_MIN = Decimal(1)
WALLET_CHARGE_MAX = Decimal(5000)


def window_at(terms: Terms, instant: datetime) -> Period:
    """The billing window that contains the instant, clipped to the subscription's start."""
    return window_by(terms, terms.timeline.at(instant), instant)


def window_by(terms: Terms, cycles: Cycles, instant: datetime) -> Period:
    """The same by these cycles."""
    start = terms.subscription.started_at
    cycle = cycles.at(max(instant, start))
    return Period(max(start, cycle.start), cycle.end)


def billed_from(terms: Terms) -> datetime:
    """The start of the first window that is billed, of which all of the usage is."""
    # A creation at a boundary, without what elapsed, bills the window that ends there.
    begins = terms.subscription.billing_starts_at or terms.subscription.started_at
    return window_at(terms, begins - datetime.resolution).start


async def rate(
    session: AsyncSession, terms: Terms, steps: Sequence[Step], invoice: Invoice | None = None
) -> Draft:
    """Rates everything that falls due at these boundaries.

    For an invoice that was open, also the uses that accrued on it and the usage that came late
    for earlier ones.
    """
    own = terms if invoice is None else terms.on(invoice)
    return rated(own, steps, await _facts(session, own, steps, invoice))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a draft is rated from; what has defaults is of invoices that are read alone."""

    charges: Sequence[Charge]
    sets: Mapping[str, PriceSet]
    readings: Mapping[tuple[str, Period], usage.Reading]
    watermark: str
    burned: Mapping[allowances.Key, Burned] = field(default_factory=dict)
    uses: Mapping[str, Uses] = field(default_factory=dict)
    deal: Sequence[Adjustment] = ()
    other_sides: Mapping[Bounded, OtherSides] = field(default_factory=dict)
    late: LateUsage = NOTHING_LATE
    manual: Sequence[ManualLine] = ()
    wallet_charge: Decimal = Decimal(0)
    wallet_origin: Mapping[str, str] = field(default_factory=dict)


async def _facts(
    session: AsyncSession, terms: Terms, steps: Sequence[Step], invoice: Invoice | None
) -> Facts:
    # Before any usage is read: what the snapshot does not see is looked for again by the next
    # invoice, and found counted; the other way round it would be lost.
    watermark = await invoices.snapshot(session)
    sets = {
        version_id: await price_set(session, terms, version_id)
        for version_id in {version for step in steps for version in step.version_ids}
    }
    own = await subscription_intervals.overlays(session, terms)
    if invoice is not None:
        steps = [await usage_cycles.with_beginnings(session, terms, invoice, steps[0], sets)]
    charges = [charge for step in steps for charge in charges_of(terms, step, sets, own)]
    uses = {} if invoice is None else await _uses(session, invoice)
    others = await metered_prices(session, terms, set(uses) - _price_ids(charges))
    charges += [_accrued_charge(price, steps) for price in others.prices]
    sets |= {"": others, "own": own.prices}
    owner = terms.subscription
    deal = await adjustments.of_subscription(session, owner.merchant_id, owner.id)
    late, other_sides = NOTHING_LATE, ALONE
    if invoice is not None:
        late = await late_usage(session, terms, invoice)
        cut = sides.cut_by(terms, charges, deal)
        other_sides = await sides.other_sides(session, terms, invoice, cut, late.lines)
    wallet_charge, wallet_origin = await _wallet_charge(session, terms, steps)
    readings = await readings_of(session, terms, charges, sets)
    return Facts(
        charges=charges,
        sets=sets,
        readings=readings,
        watermark=watermark,
        burned=await burned_of(session, terms, charges, sets, readings),
        uses=uses,
        deal=deal,
        other_sides=other_sides,
        late=late,
        manual=[] if invoice is None else await manual_lines.waiting_for(session, invoice),
        wallet_charge=wallet_charge,
        wallet_origin=wallet_origin,
    )


def rated(terms: Terms, steps: Sequence[Step], facts: Facts) -> Draft:
    """What the facts come to."""
    behavior = terms.behavior
    measures = [
        measure(charge, facts.readings, facts.uses, facts.burned) for charge in facts.charges
    ]
    rates = rate_adjusted(facts.charges, measures, facts.deal, behavior, facts.other_sides)
    full = [*with_grant_discounts(rates, behavior), *facts.late.lines]
    written = [manual_lines.rated(terms, row) for row in facts.manual]
    lines = bounded(full, written, behavior)
    names = {key: value for each in facts.sets.values() for key, value in each.names.items()}
    manual = {row.id: manual_lines.names(row) for row in facts.manual}
    return Draft(
        lines=lines,
        names={**facts.late.names, **names, **manual},
        totals=totals(lines, terms.plan.currency, behavior),
        period=period_of((line for line in lines if line.price.kind != "manual"), span_of(steps)),
        wallet_charge=facts.wallet_charge,
        wallet_origin=facts.wallet_origin,
        watermark=facts.watermark,
        late_watermark=facts.watermark if facts.late.is_complete else None,
    )


def span_of(steps: Sequence[Step]) -> Period:
    """All the time that the boundaries bill."""
    windows = [w for step in steps for w in (step.ended, step.coming) if w is not None]
    return Period(min(w.start for w in windows), max(w.end for w in windows))


def measure(
    charge: Charge,
    readings: Mapping[tuple[str, Period], usage.Reading],
    uses: Mapping[str, Uses],
    burned: Mapping[allowances.Key, Burned],
) -> Measure:
    """What was read for a charge, what an allowance leaves of it, and what single uses add."""
    price = charge.price
    used = uses.get(price.price_id, NO_USES)
    divided = burned.get((price.feature_id, price.source_id, charge.window))
    if price.kind == "metric" and divided is not None:
        return Measure(divided.usage, used, divided.event_count, burned=divided)
    read = readings.get((price.source_id, charge.window), NO_READING)
    return Measure(read.value, used, read.event_count)


def bounded(
    full: Sequence[RatedLine], written: Sequence[RatedLine], behavior: TaxBehavior
) -> list[RatedLine]:
    """The lines, never below zero: rebates are cut first, and credits take what is left."""
    charges = [*full, *(line for line in written if line.total_amount >= 0)]
    charged = with_carried(charges, floor_rebates(charges), behavior)
    given = [line for line in written if line.total_amount < 0]
    return charged + fit_credits(charged, given, behavior)


def _price_ids(charges: Sequence[Charge]) -> set[str]:
    return {charge.price.price_id for charge in charges if charge.price.kind == "metric"}


async def _uses(session: AsyncSession, invoice: Invoice) -> dict[str, Uses]:
    """What single uses have added to the invoice, by price."""
    found = await usage_charges.accrued(session, invoice.merchant_id, invoice.id)
    return {price_id: Uses(each.quantity, each.price) for price_id, each in found.items()}


def _accrued_charge(price: PriceTerms, steps: Sequence[Step]) -> Charge:
    """A price that the plan no longer has, under which uses accrued while it had."""
    window = next(step.ended for step in reversed(steps) if step.ended is not None)
    return Charge(price, window, window)


def elapsed_steps(terms: Terms, running: Period) -> list[Step]:
    """Every boundary from the start to the running window: normally one, the start itself."""
    version_id, cycles = terms.subscription.plan_version_id, terms.timeline.of_window(0)
    windows: list[Period | None] = [None]
    window = window_by(terms, cycles, terms.subscription.started_at)
    while window.start <= running.start:
        windows.append(window)
        window = window_by(terms, cycles, window.end)

    def step(ended: Period | None, coming: Period | None) -> Step:
        return Step(
            ended=ended,
            coming=coming,
            ended_version_id=version_id,
            coming_version_id=version_id,
            cycles=cycles,
        )

    return [step(ended, coming) for ended, coming in pairwise(windows)]


def charges_of(
    terms: Terms, step: Step, sets: Mapping[str, PriceSet], own: Overlays
) -> list[Charge]:
    """Arrears at the ended window's version, advances at the coming one's."""
    ended_by = schedule_at(terms, step, sets)
    coming_by = coming_schedule(ended_by, step, sets)

    def due(version_id: str, schedule: Schedule) -> list[Charge]:
        at = Boundary(schedule, step.ended, step.coming, step.terminating)
        return charges_under(sets[version_id].prices, own.over(sets[version_id]), at)

    def in_advance(charge: Charge) -> bool:
        return charge.price.kind == "fee" and charge.price.payment_term == "in_advance"

    left = usage_cycles.charges_left(terms, step, sets, own)
    if step.ended_version_id == step.coming_version_id:
        return [*due(step.ended_version_id, ended_by), *left]
    arrears = [each for each in due(step.ended_version_id, ended_by) if not in_advance(each)]
    advance = [each for each in due(step.coming_version_id, coming_by) if in_advance(each)]
    return [*arrears, *left, *advance]


def metered(
    charges: Sequence[Charge], sets: Mapping[str, PriceSet]
) -> list[tuple[Charge, BillableMetric]]:
    """The charges of usage, each with the metric that reads it."""
    metrics = {key: metric for each in sets.values() for key, metric in each.metrics.items()}
    return [
        (charge, metrics[charge.price.source_id])
        for charge in charges
        if charge.price.kind == "metric"
    ]


async def readings_of(
    session: AsyncSession,
    terms: Terms,
    charges: Sequence[Charge],
    sets: Mapping[str, PriceSet],
) -> dict[tuple[str, Period], usage.Reading]:
    """The aggregate of each metric in each window that is charged, one statement a window."""
    wanted: dict[Period, list[BillableMetric]] = {}
    for charge, metric in metered(charges, sets):
        wanted.setdefault(charge.window, []).append(metric)
    sums: dict[tuple[str, Period], usage.Reading] = {}
    for window, members in wanted.items():
        found = await usage.usage_sums(
            session,
            terms.subscription.merchant_id,
            members,
            customer_id=terms.customer.id,
            subscription_id=terms.subscription.id,
            external_id=terms.customer.external_id,
            start=window.start,
            end=window.end,
        )
        sums.update({(metric_id, window): value for metric_id, value in found.items()})
    return sums


async def burned_of(
    session: AsyncSession,
    terms: Terms,
    charges: Sequence[Charge],
    sets: Mapping[str, PriceSet],
    readings: Mapping[tuple[str, Period], usage.Reading],
) -> dict[allowances.Key, Burned]:
    """What allowances leave of the usage that is charged."""
    asked = [
        allowances.Asked(charge.price.feature_id, metric, charge.window)
        for charge, metric in metered(charges, sets)
    ]
    return await allowances.divided(session, terms, asked, readings)


async def _wallet_charge(
    session: AsyncSession, terms: Terms, steps: Sequence[Step]
) -> tuple[Decimal, dict[str, str]]:
    """What lifts the wallet to its minimum at a period's start (version 0 plans, SEMANTICS §13)."""
    minimum = terms.subscription.minimum_account_balance
    if minimum is None or terms.plan.billing_version != 0 or steps[-1].terminating:
        return Decimal(0), {}
    balance = await ledger.wallet_balance(
        session, terms.subscription.merchant_id, terms.customer.id, terms.plan.currency
    )
    shortfall = to_minor_unit(minimum - balance, terms.plan.currency)
    if shortfall <= 0:
        return Decimal(0), {}
    origin = {"minimum": text(minimum), "balance": text(balance)}
    return min(max(shortfall, WALLET_CHARGE_MIN), WALLET_CHARGE_MAX), origin


async def of_invoice(session: AsyncSession, terms: Terms, invoice: Invoice) -> Draft:
    """What an open invoice bills as of now."""
    return await rate(session, terms, [step_of(terms, invoice)], invoice)
