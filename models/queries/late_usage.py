"""What an invoice owes for periods that earlier invoices billed; it reads and never writes.

Only the oldest open invoice of a subscription looks back: what it corrects, the next one finds
corrected. Which events came late is told by the snapshots that earlier drafts have stored.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import kept_share, rule_of
from billing.interval_terms import kept_interval
from billing.late_usage import (
    LOOKED_BACK_DAYS,
    LOOKED_BACK_PERIODS,
    Reading,
    late_line,
)
from billing.money import exact
from billing.periods import Period, boundary, index_at
from billing.rating import NO_USES, Billed, PriceTerms, RatedLine, Uses
from models.billable_metrics import BillableMetric
from models.invoices import Invoice, InvoiceLine
from models.organizations import Merchant
from models.queries import adjustments, usage, usage_charges, usage_voids
from models.queries.terms import PriceSet, SourceNames, Terms, metered_prices
from models.usage import UsageEvent

UNBILLED = ("CANCELLED", "PROJECTED")
OPEN = ("ACTIVE", "CLOSING")


@dataclass(frozen=True, slots=True)
class LateUsage:
    """The corrections; `is_complete` says whether earlier periods were looked at."""

    lines: Sequence[RatedLine]
    names: Mapping[str, SourceNames]
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """A price and a window that were billed, by which invoice, and up to which snapshot.

    `adjustment_ids` are those under which it was billed at first.
    """

    price_id: str
    period: Period
    invoice_id: str
    watermark: str
    tax_rate: Decimal
    billed: Billed
    adjustment_ids: Sequence[str]
    own_terms: Mapping[str, Any] | None
    """What it was rated from, where an interval of the subscription set its terms."""


async def late_usage(session: AsyncSession, terms: Terms, invoice: Invoice | None) -> LateUsage:
    """What the invoice corrects; without one, what no invoice has corrected yet."""
    earlier = await _earlier(session, terms, invoice)
    if any(each.status in OPEN for each in earlier):
        return LateUsage([], {}, is_complete=False)
    windows = await _windows(session, terms, earlier)
    prices = await metered_prices(session, terms, {each.price_id for each in windows})
    metrics = {key: metric for key, metric in prices.metrics.items() if metric.late_usage == "bill"}
    by_id = {each.price_id: each for each in prices.prices if each.source_id in metrics}
    wanted = [each for each in windows if each.price_id in by_id]
    changed = await _changed(session, terms, wanted, metrics.values())
    lines = []
    for period, members in _by_period(wanted).items():
        if not any(each in changed for each in members):
            continue
        readings = await _readings(session, terms, period, members, prices)
        for each in members:
            price = _as_billed(by_id[each.price_id], each)
            reading = readings[each.price_id]
            line = late_line(price, period, each.billed, reading, terms.behavior)
            if line is not None:
                lines.append(replace(line, adjustment_ids=tuple(each.adjustment_ids)))
    return LateUsage(lines, prices.names, is_complete=True)


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


async def _windows(
    session: AsyncSession, terms: Terms, earlier: Sequence[Invoice]
) -> list[_Window]:
    """What the earlier invoices billed by meter, as far back as late usage is looked for."""
    since = _looked_back_to(terms, earlier)
    rows = await session.exec(
        select_rows(InvoiceLine).where(
            col(InvoiceLine.merchant_id) == terms.subscription.merchant_id,
            col(InvoiceLine.invoice_id).in_([each.id for each in earlier]),
            col(InvoiceLine.kind).in_(("metric", "adjustment")),
            col(InvoiceLine.period_end) > since,
            col(InvoiceLine.period_start) >= _kept_since(terms),
        )
    )
    order = {each.id: position for position, each in enumerate(earlier)}
    found: dict[tuple[str, datetime, datetime, str], list[InvoiceLine]] = {}
    for line in sorted(rows.all(), key=lambda line: order[line.invoice_id]):
        own = (line.origin or {}).get("interval_id", "")
        key = (line.price_id or "", line.period_start, line.period_end, own)
        found.setdefault(key, []).append(line)
    return [
        _window(lines, earlier, terms)
        for _, lines in sorted(found.items())
        if any(line.kind == "metric" for line in lines)
    ]


def _kept_since(terms: Terms) -> ColumnElement[datetime]:
    """From when on the merchant's events are there: a reading without them would fall."""
    kept = select(col(Merchant.usage_deleted_before)).where(
        col(Merchant.id) == terms.subscription.merchant_id
    )
    return func.coalesce(kept.scalar_subquery(), text("'-infinity'::timestamptz"))


def _window(lines: Sequence[InvoiceLine], earlier: Sequence[Invoice], terms: Terms) -> _Window:
    readings = [line for line in lines if line.kind == "metric"]
    first, last = readings[0], readings[-1]
    billing = next(at for at, each in enumerate(earlier) if each.id == first.invoice_id)
    marks = [earlier[billing].usage_watermark]
    marks += [each.late_watermark for each in earlier[billing + 1 :]]
    with exact():
        quantity = sum((line.quantity for line in readings), Decimal(0))
        amount = sum((_basis(line, terms) for line in lines), Decimal(0))
    return _Window(
        price_id=first.price_id or "",
        period=Period(first.period_start, first.period_end),
        invoice_id=first.invoice_id,
        watermark=next(mark for mark in reversed(marks) if mark is not None),
        tax_rate=first.tax_rate,
        billed=Billed(quantity, amount, last.carried, first.invoice_id),
        adjustment_ids=first.adjustment_ids,
        own_terms=first.origin if first.origin and "interval_id" in first.origin else None,
    )


def _basis(line: InvoiceLine, terms: Terms) -> Decimal:
    return line.total_amount if terms.behavior == "inclusive" else line.total_price


def _looked_back_to(terms: Terms, earlier: Sequence[Invoice]) -> datetime:
    schedule = terms.schedule
    last = max((each.ended_to or each.period_start for each in earlier), default=None)
    if last is None:
        return schedule.started_at
    index = index_at(schedule.anchor, schedule.cadence, last) - LOOKED_BACK_PERIODS
    few = boundary(schedule.anchor, schedule.cadence, index)
    return min(few, last - timedelta(days=LOOKED_BACK_DAYS))


def _as_billed(price: PriceTerms, window: _Window) -> PriceTerms:
    """The price with the tax of its period: a correction is taxed like what it corrects.

    Terms of the subscription's own are those of the period too; the catalogue does not know them.
    """
    own = window.own_terms
    if own is None:
        return replace(price, tax_rate=window.tax_rate, tax_source="corrected_line")
    return replace(
        price,
        tax_rate=window.tax_rate,
        tax_source="corrected_line",
        model=own["model"],
        properties=own["properties"],
        interval_id=own["interval_id"],
        interval=kept_interval(own["interval"]) if "interval" in own else None,
    )


def _by_period(windows: Iterable[_Window]) -> dict[Period, list[_Window]]:
    found: dict[Period, list[_Window]] = {}
    for each in windows:
        found.setdefault(each.period, []).append(each)
    return found


async def _changed(
    session: AsyncSession,
    terms: Terms,
    windows: Sequence[_Window],
    metrics: Iterable[BillableMetric],
) -> list[_Window]:
    """The windows whose reading may have changed since it was billed, or that still owe."""
    types = {metric.event_type for metric in metrics}
    if not windows:
        return []
    merchant_id = terms.subscription.merchant_id
    start = min(each.period.start for each in windows)
    end = max(each.period.end for each in windows)
    voids = await usage_voids.within(session, merchant_id, types, start, end)
    invoice_ids = {each.invoice_id for each in windows}
    refunding = await usage_charges.owing_refunds(session, merchant_id, invoice_ids)
    unseen: dict[str, list[datetime]] = {}
    for mark in {each.watermark for each in windows}:
        covered = [each.period for each in windows if each.watermark == mark]
        unseen[mark] = await _unseen(session, terms, types, covered, mark)

    def is_changed(window: _Window) -> bool:
        moved = [void.timestamp for void in voids] + unseen[window.watermark]
        is_hit = any(window.period.contains(instant) for instant in moved)
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


async def _readings(
    session: AsyncSession,
    terms: Terms,
    period: Period,
    windows: Sequence[_Window],
    prices: PriceSet,
) -> dict[str, Reading]:
    """What the prices' usage in the period comes to now, by price."""
    merchant_id = terms.subscription.merchant_id
    sources = {each.price_id: each.source_id for each in prices.prices}
    metrics = {sources[each.price_id]: prices.metrics[sources[each.price_id]] for each in windows}
    sums = await usage.usage_sums(
        session,
        merchant_id,
        list(metrics.values()),
        customer_id=terms.customer.id,
        subscription_id=terms.subscription.id,
        external_id=terms.customer.external_id,
        start=period.start,
        end=period.end,
    )
    readings = {}
    deal = await adjustments.named(
        session, merchant_id, {found for each in windows for found in each.adjustment_ids}
    )
    for each in windows:
        added = (await usage_charges.accrued(session, merchant_id, each.invoice_id)).get(
            each.price_id
        )
        uses = NO_USES if added is None else Uses(added.quantity, added.price)
        read = sums[sources[each.price_id]]
        billed_under = [rule for key, rule in deal.items() if key in each.adjustment_ids]
        readings[each.price_id] = Reading(
            read.value,
            uses,
            read.event_count,
            rule=rule_of(billed_under),
            kept=kept_share(period, billed_under),
        )
    return readings
