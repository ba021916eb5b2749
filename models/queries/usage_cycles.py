"""Since when usage at another cadence than its plan's is billed; reads earlier invoices, few do.

A cycle that began before the window that ended may have begun under another plan version; see
`billing.usage_cycles`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing import intervals
from billing.durations import Duration
from billing.intervals import Boundary
from billing.periods import Period, period_at
from billing.rating import Charge, Meter, PriceTerms, charges_at
from billing.usage_cycles import BilledBefore, entered_at, left_prices, own_meter, own_meters
from models.invoices import Invoice
from models.queries.steps import Step, schedule_at
from models.queries.subscription_intervals import Overlays
from models.queries.terms import PriceSet, Terms, price_set_of, version_lines

Under = Callable[[str, PriceSet], PriceSet]
"""What the prices of a version, known by its id, are taken for."""


def _as_they_are(_: str, prices: PriceSet) -> PriceSet:
    return prices


def charges_left(
    terms: Terms, step: Step, sets: Mapping[str, PriceSet], own: Overlays
) -> list[Charge]:
    """Usage until the window began, in cycles that ran on there and that it bills no more.

    Only a version that counts for the whole running window takes usage away so.
    """
    prices = _left_prices(terms, step, sets)
    if not prices or step.ended is None:
        return []
    start = Period(step.ended.start, step.ended.start)
    at = Boundary(schedule_at(terms, step, sets), start, None, terminating=True)
    return intervals.charges_left(prices, own.over(sets[step.billed_version_id]), at)


def looks_back(terms: Terms, step: Step, sets: Mapping[str, PriceSet]) -> bool:
    """Whether a cycle is owed that began before the window that ended."""
    return any(_begun_before(terms, step, sets))


async def with_beginnings(  # noqa: PLR0913 - a step, and what it is told from
    session: AsyncSession,
    terms: Terms,
    invoice: Invoice,
    step: Step,
    sets: Mapping[str, PriceSet],
    *,
    under: Under = _as_they_are,
) -> Step:
    """The step that an invoice bills, with the instants at which such cycles were entered.

    `under`: what a version's prices are taken for, where the question is what if.
    """
    begun = list(_begun_before(terms, step, sets))
    if not begun or step.ended is None:
        return step
    since = min(cycle.start for _, cycle in begun)
    earlier = await _earlier(session, terms, invoice, since, under)
    found = ((meter, entered_at(meter, step.ended.start, earlier)) for meter, _ in begun)
    return replace(step, entered=tuple((meter, at) for meter, at in found if at is not None))


def _begun_before(
    terms: Terms, step: Step, sets: Mapping[str, PriceSet]
) -> Iterator[tuple[Meter, Period]]:
    """Usage that is owed for a cycle that began before the window that ended, and the cycle."""
    if step.ended is None:
        return
    schedule = schedule_at(terms, step, sets)
    ended = [
        (price, meter)
        for price in sets[step.ended_version_id].prices
        if (meter := own_meter(price, schedule.cadence)) is not None
    ]
    for price, meter in ended:
        due = charges_at(
            [price], schedule, ended=step.ended, coming=None, terminating=step.terminating
        )
        if any(charge.window.start < step.ended.start for charge in due):
            yield meter, period_at(schedule.anchor, meter[1], step.ended.start)
    for price in _left_prices(terms, step, sets):
        assert price.cadence is not None
        cycle = period_at(schedule.anchor, price.cadence, step.ended.start)
        if cycle.start < step.ended.start:
            yield (price.source_id, price.cadence), cycle


def _left_prices(terms: Terms, step: Step, sets: Mapping[str, PriceSet]) -> list[PriceTerms]:
    begun = sets.get(step.billed_version_id)
    if begun is None or step.billed_version_id == step.ended_version_id:
        return []
    cycles = step.cycles or terms.timeline.current
    return left_prices(begun.prices, sets[step.ended_version_id].prices, cycles.cadence)


async def _earlier(
    session: AsyncSession, terms: Terms, invoice: Invoice, since: datetime, under: Under
) -> list[BilledBefore]:
    """The windows before an invoice's that end after an instant, the newest first."""
    rows = await session.exec(
        select(Invoice)
        .where(
            col(Invoice.merchant_id) == invoice.merchant_id,
            col(Invoice.subscription_id) == invoice.subscription_id,
            col(Invoice.sequence_number) < invoice.sequence_number,
            col(Invoice.ended_from).is_not(None),
            col(Invoice.ended_to) > since,
            col(Invoice.status) != "CANCELLED",
        )
        .order_by(col(Invoice.sequence_number).desc())
    )
    found = list(rows.all())
    # With which version the window after an invoice began, the invoice of that window knows.
    following = [invoice.plan_version_id, *(row.plan_version_id for row in found)]
    billed = [row.arrears_version_id or row.plan_version_id for row in found]
    cadence = terms.timeline.of_window(invoice.sequence_number).cadence
    meters = await _meters(session, terms, {*following, *billed}, cadence, under)
    return [
        BilledBefore(_window(row), meters[version_id], meters[next_id])
        for row, version_id, next_id in zip(found, billed, following, strict=False)
    ]


async def _meters(
    session: AsyncSession, terms: Terms, version_ids: set[str], cadence: Duration, under: Under
) -> dict[str, frozenset[Meter]]:
    lines = await version_lines(session, terms.subscription.merchant_id, version_ids)
    return {
        version_id: own_meters(
            under(version_id, price_set_of(terms, version_id, found)).prices, cadence
        )
        for version_id, found in lines.items()
    }


def _window(invoice: Invoice) -> Period:
    assert invoice.ended_from is not None
    assert invoice.ended_to is not None
    return Period(invoice.ended_from, invoice.ended_to)
