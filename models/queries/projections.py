"""The invoices to come, as far as the catalogue knows them: fees only, derived at each read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import Adjustment, rate_adjusted
from billing.invoicing import Totals, period_of, totals
from billing.periods import Period
from billing.rating import Charge, Measure, RatedLine
from models.invoices import Invoice
from models.queries import adjustments, invoices, subscription_intervals
from models.queries.drafts import Step, charges_of, next_version, step_of, window_at
from models.queries.terms import PriceSet, Terms, price_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """An invoice that will come, if nothing changes."""

    sequence_number: int
    version_id: str
    moment: datetime
    """The boundary that it bills."""
    ended: Period | None
    lines: Sequence[RatedLine]
    totals: Totals
    period: Period


async def project(
    session: AsyncSession, terms: Terms, span: Period, now: datetime
) -> list[Projection]:
    """The subscription's invoices whose boundary lies in the span, in their order."""
    subscription = terms.subscription
    if subscription.status == "terminated" or subscription.paused_at is not None:
        return []
    running = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    number = running[0].sequence_number if running else 1
    deal = await adjustments.of_subscription(session, subscription.merchant_id, subscription.id)
    own = await subscription_intervals.overlays(session, terms)
    sets: dict[str, PriceSet] = {}
    found: list[Projection] = []
    for step in _steps(terms, _first(terms, running, now), span.end):
        for version_id in step.version_ids - sets.keys():
            sets[version_id] = await price_set(session, terms, version_id)
        if span.start <= _moment(step):
            charges = charges_of(terms, step, sets, own)
            found.append(_projected(terms, number, step, _fee_lines(terms, charges, deal)))
        number += 1
    return found


def _first(terms: Terms, running: Sequence[Invoice], now: datetime) -> Step:
    if running:
        return step_of(terms, running[0])
    window = window_at(terms, now)
    version_id = terms.subscription.plan_version_id
    return Step(
        ended=window,
        ended_version_id=version_id,
        coming=window_at(terms, window.end),
        coming_version_id=next_version(terms, version_id),
        billed_version_id=version_id,
    )


def _steps(terms: Terms, first: Step, until: datetime) -> Iterator[Step]:
    """Boundary after boundary; a known end is the last one."""
    step, end = first, terms.subscription.ending_at
    while True:
        moment = _moment(step)
        if end is not None and step.ended is not None and end <= moment:
            if end < until:
                ended = Period(step.ended.start, end)
                yield replace(step, ended=ended, coming=None, terminating=True)
            return
        if moment >= until:
            return
        yield step
        if step.coming is None:
            return
        step = Step(
            ended=step.coming,
            ended_version_id=step.coming_version_id,
            coming=window_at(terms, step.coming.end),
            coming_version_id=next_version(terms, step.coming_version_id),
            billed_version_id=step.coming_version_id,
            resumed_at=step.resumed_at,
        )


def _moment(step: Step) -> datetime:
    if step.ended is not None:
        return step.ended.end
    assert step.coming is not None
    return step.coming.start


def _fee_lines(
    terms: Terms, charges: Sequence[Charge], deal: Sequence[Adjustment]
) -> list[RatedLine]:
    fees = [charge for charge in charges if charge.price.kind == "fee"]
    nothing = [Measure(Decimal(0))] * len(fees)
    return rate_adjusted(fees, nothing, deal, terms.behavior)


def _projected(terms: Terms, number: int, step: Step, lines: Sequence[RatedLine]) -> Projection:
    windows = [window for window in (step.ended, step.coming) if window is not None]
    fallback = Period(min(each.start for each in windows), max(each.end for each in windows))
    return Projection(
        sequence_number=number,
        version_id=step.ended_version_id,
        moment=_moment(step),
        ended=step.ended,
        lines=lines,
        totals=totals(lines, terms.plan.currency, terms.behavior),
        period=period_of(lines, fallback),
    )
