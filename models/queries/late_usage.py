"""What an invoice owes for periods that earlier invoices billed; it reads and never writes.

Only the oldest open invoice of a subscription looks back: what it corrects, the next one finds
corrected. Which events came late is told by the snapshots that earlier drafts have stored.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import Adjustment
from billing.bounds import Part, settled
from billing.late_usage import Reading, late_line
from billing.periods import Period
from billing.rating import PriceTerms, RatedLine, rate_usage
from models.billable_metrics import BillableMetric
from models.invoices import Invoice
from models.queries import usage_charges, usage_voids
from models.queries.billed_windows import (
    UNBILLED,
    BilledWindow,
    billing_period,
    catalogue_of,
    deal_of,
    readings_of,
    windows_of,
)
from models.queries.terms import SourceNames, Terms, metric_names
from models.usage import UsageEvent

OPEN = ("ACTIVE", "CLOSING")


@dataclass(frozen=True, slots=True)
class LateUsage:
    """The corrections; `is_complete` says whether earlier periods were looked at.

    Names stand under the metrics' ids: a price's id may stand for another metric by now.
    """

    lines: Sequence[RatedLine]
    names: Mapping[str, SourceNames]
    is_complete: bool


async def late_usage(session: AsyncSession, terms: Terms, invoice: Invoice | None) -> LateUsage:
    """What the invoice corrects; without one, what no invoice has corrected yet."""
    earlier = await _earlier(session, terms, invoice)
    if any(each.status in OPEN for each in earlier):
        return LateUsage([], {}, is_complete=False)
    windows = await windows_of(session, terms, earlier)
    catalogue = await catalogue_of(session, terms, windows)
    wanted = [each for each in windows if catalogue.metric(each).late_usage == "bill"]
    metrics = {each.metric_id: catalogue.metric(each) for each in wanted}
    changed = await _changed(session, terms, wanted, metrics.values())
    deal = await deal_of(session, terms, wanted)
    moved = [
        group
        for group in _bounded_together(terms, wanted, deal)
        if any(each in changed for each in group)
    ]
    flat = [each for group in moved for each in group]
    readings = iter(await readings_of(session, terms, flat, metrics, deal))
    lines = []
    for group in moved:
        billed_as = [catalogue.price(each) for each in group]
        found = _with_bounds(group, billed_as, [next(readings) for _ in group])
        for each, price, reading in zip(group, billed_as, found, strict=True):
            line = late_line(price, each.period, each.billed, reading, each.behavior)
            if line is not None:
                lines.append(_on(terms, each, line))
    lines.sort(key=lambda line: line.window.start)
    names = {key: metric_names(metric) for key, metric in metrics.items()}
    return LateUsage(lines, names, is_complete=True)


def _on(terms: Terms, window: BilledWindow, line: RatedLine) -> RatedLine:
    """The correction as its invoice keeps it: taxed like its period, whatever the plan says now."""
    kept = replace(line, adjustment_ids=tuple(window.adjustment_ids))
    if line.origin is None or window.behavior == terms.behavior:
        return kept
    return replace(kept, origin=replace(line.origin, behavior=window.behavior))


def _bounded_together(
    terms: Terms, windows: Sequence[BilledWindow], deal: Mapping[str, Adjustment]
) -> list[list[BilledWindow]]:
    """The windows, those together that a bound of a deal holds for."""
    groups: dict[tuple[str, Period], list[BilledWindow]] = {}
    for each in windows:
        groups.setdefault((each.name, billing_period(terms, each.side, each.cadence)), []).append(
            each
        )
    found: list[list[BilledWindow]] = []
    for group in groups.values():
        if any(each.rule(deal).has_bounds for each in group):
            found.append(group)
        else:
            found += [[each] for each in group]
    return found


def _with_bounds(
    group: Sequence[BilledWindow], prices: Sequence[PriceTerms], readings: Sequence[Reading]
) -> list[Reading]:
    parts = [
        Part(window.side, rate_usage(price, now.billable, now.uses)[0], now.rule)
        for window, price, now in zip(group, prices, readings, strict=True)
    ]
    together = settled(parts) if any(now.rule.has_bounds for now in readings) else []
    if not together:
        return list(readings)
    return [replace(now, together=each) for now, each in zip(readings, together, strict=True)]


async def _earlier(session: AsyncSession, terms: Terms, invoice: Invoice | None) -> list[Invoice]:
    statement = select_rows(Invoice).where(
        col(Invoice.merchant_id) == terms.subscription.merchant_id,
        col(Invoice.subscription_id) == terms.subscription.id,
        col(Invoice.status).not_in(UNBILLED),
    )
    if invoice is not None:
        statement = statement.where(col(Invoice.sequence_number) < invoice.sequence_number)
    rows = await session.exec(statement.order_by(col(Invoice.sequence_number)))
    return list(rows.all())


async def _changed(
    session: AsyncSession,
    terms: Terms,
    windows: Sequence[BilledWindow],
    metrics: Iterable[BillableMetric],
) -> list[BilledWindow]:
    """The windows whose reading may have changed since it was billed, or that still owe."""
    types = {metric.event_type for metric in metrics}
    if not windows:
        return []
    merchant_id = terms.subscription.merchant_id
    start = min(each.read_for.start for each in windows)
    end = max(each.period.end for each in windows)
    voids = await usage_voids.within(session, merchant_id, types, start, end)
    invoice_ids = {each.invoice_id for each in windows}
    refunding = await usage_charges.owing_refunds(session, merchant_id, invoice_ids)
    unseen: dict[str, list[datetime]] = {}
    for mark in {each.watermark for each in windows}:
        marked = [each for each in windows if each.watermark == mark]
        covered = [time for each in marked for time in (each.read_for, each.period)]
        unseen[mark] = await _unseen(session, terms, types, covered, mark)

    def is_changed(window: BilledWindow) -> bool:
        moved = [void.timestamp for void in voids] + unseen[window.watermark]
        is_hit = any(window.read_for.contains(instant) for instant in moved)
        return is_hit or window.billed.carried != 0 or window.invoice_id in refunding

    return [each for each in windows if is_changed(each)]


async def _unseen(
    session: AsyncSession,
    terms: Terms,
    types: Collection[str],
    periods: Sequence[Period],
    watermark: str,
) -> list[datetime]:
    """One instant in each period for which events were stored that the snapshot did not see."""
    starts = sorted({each.start for each in periods})
    bounds = cast(literal(starts, ARRAY(TIMESTAMP(timezone=True))), ARRAY(TIMESTAMP(timezone=True)))
    bucket = func.width_bucket(col(UsageEvent.timestamp), bounds)
    found: set[int] = set()
    connection = await session.connection()
    for theirs in _owners(terms):
        statement = (
            select(bucket)
            .distinct()
            .where(
                col(UsageEvent.merchant_id) == terms.subscription.merchant_id,
                col(UsageEvent.type).in_(types),
                theirs,
                col(UsageEvent.timestamp) >= starts[0],
                col(UsageEvent.timestamp) < max(each.end for each in periods),
                text(
                    "NOT pg_visible_in_snapshot(transaction_id, CAST(:watermark AS pg_snapshot))"
                ).bindparams(watermark=watermark),
            )
        )
        found.update((await connection.execute(statement)).scalars())
    return [starts[number - 1] for number in sorted(found)]


def _owners(terms: Terms) -> list[ColumnElement[bool]]:
    """The subscription's events, as `usage.usage_sums` reads them; one branch an index."""
    own = col(UsageEvent.subject).in_((terms.customer.id, terms.subscription.id))
    if terms.customer.external_id is None:
        return [own]
    linked = col(UsageEvent.external_subject) == terms.customer.external_id
    return [own, and_(col(UsageEvent.subject).is_(None), linked)]
