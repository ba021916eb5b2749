"""The invoices to come, as far as they are known: fees and written lines, derived at each read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import Adjustment, rate_adjusted
from billing.ids import derived_id
from billing.invoicing import period_of, totals
from billing.periods import Period
from billing.rating import Charge, Measure, RatedLine
from models.invoices import Invoice
from models.manual_lines import ManualLine
from models.queries import adjustments, drafts, invoices, manual_lines, subscription_intervals
from models.queries.drafts import (
    Draft,
    Step,
    charges_of,
    next_version,
    step_of,
    window_at,
    window_by,
)
from models.queries.terms import PriceSet, Terms, price_set

OLDER_STATUSES = ("CLOSING", "CLOSED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """An invoice that will come, if nothing changes; without what usage will cost."""

    sequence_number: int
    version_id: str
    moment: datetime
    """The boundary that it bills."""
    has_grace: bool
    """Whether usage that comes late is waited for; a start has none."""
    draft: Draft


async def project(
    session: AsyncSession, terms: Terms, span: Period, now: datetime
) -> list[Projection]:
    """The subscription's invoices whose boundary lies in the span, in their order.

    A boundary at which nothing but usage is billed is left out; its number is counted.
    """
    subscription = terms.subscription
    if subscription.status == "terminated" or subscription.paused_at is not None:
        return []
    running = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    number = running[0].sequence_number if running else 1
    deal = await adjustments.of_subscription(session, subscription.merchant_id, subscription.id)
    own = await subscription_intervals.overlays(session, terms)
    pool = await _pool(session, terms)
    sets: dict[str, PriceSet] = {"own": own.prices}
    found: list[Projection] = []
    for step in _steps(terms, _first(terms, running, now), span.end):
        for version_id in step.version_ids - sets.keys():
            sets[version_id] = await price_set(session, terms, version_id)
        fees = _fee_lines(terms, charges_of(terms, step, sets, own), deal)
        draft = _draft(terms, step, fees, pool.take(terms, number, step), sets)
        pool.keep(derived_id("inv", subscription.id, number), draft.lines)
        if span.start <= _moment(step) and draft.lines:
            found.append(
                Projection(
                    sequence_number=number,
                    version_id=step.ended_version_id,
                    moment=_moment(step),
                    has_grace=step.ended is not None,
                    draft=draft,
                )
            )
        number += 1
    return found


@dataclass(slots=True)
class _Pool:
    """The written lines that wait, as the invoices to come take them one after the other."""

    waiting: list[ManualLine]
    taken: dict[str, ManualLine] = field(default_factory=dict)

    def take(self, terms: Terms, number: int, step: Step) -> list[ManualLine]:
        """What the invoice of a boundary takes, as `manual_lines.waiting_for` has it."""
        invoice_id = derived_id("inv", terms.subscription.id, number)
        moment, is_last = _moment(step), step.coming is None
        found = [
            row
            for row in self.waiting
            if row.invoice_id == invoice_id
            or (row.invoice_id is None and (is_last or row.invoice_at < moment))
        ]
        self.waiting = [row for row in self.waiting if row not in found]
        self.taken |= {row.id: row for row in found}
        return found

    def keep(self, invoice_id: str, lines: Sequence[RatedLine]) -> None:
        """Lets the rests of credits wait that an invoice could not bear."""
        for line in lines:
            row = self.taken.get(line.price.price_id)
            if row is not None and line.carried:
                self.waiting.append(manual_lines.rest_of(row, invoice_id, line))


async def _pool(session: AsyncSession, terms: Terms) -> _Pool:
    """What waits beyond the invoices that have ended already and take theirs first."""
    owner = terms.subscription
    pool = _Pool(await manual_lines.unbilled(session, owner.merchant_id, owner.id))
    for older in await invoices.of_subscription(
        session, owner.merchant_id, owner.id, *OLDER_STATUSES
    ):
        draft = await drafts.of_invoice(session, terms, older)
        theirs = {line.price.price_id for line in draft.lines if line.price.kind == "manual"}
        pool.taken |= {row.id: row for row in pool.waiting if row.id in theirs}
        pool.waiting = [row for row in pool.waiting if row.id not in theirs]
        pool.keep(older.id, draft.lines)
    return pool


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
        cycles = step.coming_cycles or step.cycles or terms.timeline.current
        step = Step(
            ended=step.coming,
            ended_version_id=step.coming_version_id,
            coming=window_by(terms, cycles, step.coming.end),
            coming_version_id=next_version(terms, step.coming_version_id),
            billed_version_id=step.coming_version_id,
            resumed_at=step.resumed_at if step.coming_cycles is None else step.coming.start,
            cycles=cycles,
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


def _draft(
    terms: Terms,
    step: Step,
    fees: Sequence[RatedLine],
    written: Sequence[ManualLine],
    sets: Mapping[str, PriceSet],
) -> Draft:
    names = {key: name for each in sets.values() for key, name in each.names.items()}
    rated = [manual_lines.rated(terms, row) for row in written]
    lines = drafts.bounded(fees, rated, terms.behavior)
    return Draft(
        lines=lines,
        names=names | {row.id: manual_lines.names(row) for row in written},
        totals=totals(lines, terms.plan.currency, terms.behavior),
        period=period_of(
            (line for line in lines if line.price.kind != "manual"), drafts.span_of([step])
        ),
        wallet_charge=Decimal(0),
        wallet_origin={},
        watermark="",
        late_watermark=None,
    )
