"""What invoices have billed by meter, window by window; it decides nothing and never writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, func, select, text
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import Adjustment, kept_share, rule_of
from billing.bounds import QuantityRule
from billing.cycles import Cycles
from billing.durations import Duration, parse_duration
from billing.interval_terms import kept_interval
from billing.late_usage import DISPLAY_SUFFIX, LOOKED_BACK_DAYS, LOOKED_BACK_PERIODS, Reading
from billing.money import exact
from billing.periods import Period, boundary, index_at
from billing.rating import NO_USES, Billed, PriceTerms, Uses
from billing.taxes import TaxBehavior
from models.billable_metrics import BillableMetric
from models.invoices import Invoice, InvoiceLine
from models.organizations import Merchant
from models.queries import adjustments, allowances, billable_metrics, usage, usage_charges
from models.queries.terms import Terms, behavior_of, prices_named

UNBILLED = ("CANCELLED", "PROJECTED")


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledWindow:
    """A price and a window that were billed, by which invoice, and up to which snapshot.

    `adjustment_ids` are those under which it was billed at first.
    """

    price_id: str
    metric_id: str
    display_name: str
    name: str
    """What a bound knows the price by: its key in the plan, or its id."""
    period: Period
    side: Period
    """What it is a part of where terms changed inside it, else itself; see `billing.bounds`."""
    cadence: Duration | None
    """The price's own; None: the plan's."""
    invoice_id: str
    watermark: str
    tax_rate: Decimal
    behavior: TaxBehavior
    """Of the invoice that billed it first: what is billed of it later is taxed in the same way."""
    billed: Billed
    counted: Decimal
    """What the last invoice that billed it counted, before a deal."""
    adjustment_ids: Sequence[str]
    origin: Mapping[str, Any]
    """What it was rated from; empty of a line from before that was kept."""

    @property
    def feature_id(self) -> str:
        """The feature whose allowance its usage was held against; none before there were any."""
        return str(self.origin.get("feature_id", ""))

    @property
    def read_for(self) -> Period:
        """The time whose usage its quantity depends on: with an allowance, what has used it up."""
        since = self.origin.get("allowance", {}).get("since")
        start = self.period.start if since is None else datetime.fromisoformat(since)
        return Period(min(start, self.period.start), self.period.end)

    def rule(self, deal: Mapping[str, Adjustment]) -> QuantityRule:
        """What a deal did to its quantity."""
        return rule_of(self.reaching(deal))

    def reaching(self, deal: Mapping[str, Adjustment]) -> list[Adjustment]:
        """The terms of a deal that it was billed under."""
        return [each for key, each in deal.items() if key in self.adjustment_ids]


def billing_period(terms: Terms, side: Period, cadence: Duration | None) -> Period:
    """The whole period that a side lies in, whether or not something cut it but other cycles.

    `cadence`: of a price that has one of its own.
    """
    return terms.timeline.period_at(side.start, cadence)


async def windows_of(
    session: AsyncSession, terms: Terms, billing: Sequence[Invoice]
) -> list[BilledWindow]:
    """What these invoices billed, as far back as late usage is looked for."""
    last = max((each.ended_to or each.period_start for each in billing), default=None)
    since = terms.schedule.started_at if last is None else looked_back_to(terms, last)
    rows = await session.exec(
        select_rows(InvoiceLine).where(
            col(InvoiceLine.merchant_id) == terms.subscription.merchant_id,
            col(InvoiceLine.invoice_id).in_([each.id for each in billing]),
            col(InvoiceLine.kind).in_(("metric", "adjustment", "grant")),
            col(InvoiceLine.period_end) > since,
            col(InvoiceLine.period_start) >= _kept_since(terms),
        )
    )
    order = {each.id: position for position, each in enumerate(billing)}
    found: dict[tuple[str, datetime, datetime, str], list[InvoiceLine]] = {}
    for line in sorted(rows.all(), key=lambda line: order[line.invoice_id]):
        own = (line.origin or {}).get("interval_id", "")
        key = (line.price_id or "", line.period_start, line.period_end, own)
        found.setdefault(key, []).append(line)
    return [
        _window(lines, billing)
        for _, lines in sorted(found.items())
        if any(line.kind == "metric" for line in lines)
    ]


def _kept_since(terms: Terms) -> ColumnElement[datetime]:
    """From when on the merchant's events are there: a reading without them would fall."""
    kept = select(col(Merchant.usage_deleted_before)).where(
        col(Merchant.id) == terms.subscription.merchant_id
    )
    return func.coalesce(kept.scalar_subquery(), text("'-infinity'::timestamptz"))


def _window(lines: Sequence[InvoiceLine], billing: Sequence[Invoice]) -> BilledWindow:
    readings = [line for line in lines if line.kind == "metric"]
    first, last = readings[0], readings[-1]
    at = next(at for at, each in enumerate(billing) if each.id == first.invoice_id)
    marks = [billing[at].usage_watermark]
    marks += [each.late_watermark for each in billing[at + 1 :]]
    origin = first.origin or {}
    behavior: TaxBehavior = origin.get("behavior") or behavior_of(billing[at])
    with exact():
        # A grant's line takes off what a reading's line has shown.
        shown = (line.quantity for line in lines if line.kind != "adjustment")
        quantity = sum(shown, Decimal(0))
        amount = sum((_basis(line, behavior) for line in lines), Decimal(0))
    period = Period(first.period_start, first.period_end)
    return BilledWindow(
        price_id=first.price_id or "",
        metric_id=first.source_id,
        display_name=first.display_name.removesuffix(DISPLAY_SUFFIX),
        name=origin.get("key") or first.price_id or "",
        period=period,
        side=_kept_period(origin["period"]) if "period" in origin else period,
        cadence=parse_duration(origin["cadence"]) if "cadence" in origin else None,
        invoice_id=first.invoice_id,
        watermark=next(mark for mark in reversed(marks) if mark is not None),
        tax_rate=first.tax_rate,
        behavior=behavior,
        billed=Billed(quantity, amount, _carried(last, billing), first.invoice_id),
        counted=_counted(last),
        adjustment_ids=first.adjustment_ids,
        origin=origin,
    )


def _carried(line: InvoiceLine, billing: Sequence[Invoice]) -> Decimal:
    """What the next invoice gives back; behind an issued last one it is a customer's credit."""
    invoice = next(each for each in billing if each.id == line.invoice_id)
    is_last = invoice.ended_to is not None and invoice.coming_to is None
    return Decimal(0) if is_last and invoice.issued_at is not None else line.carried


def _kept_period(written: Sequence[str]) -> Period:
    start, end = (datetime.fromisoformat(each) for each in written)
    return Period(start, end)


def _counted(line: InvoiceLine) -> Decimal:
    origin = line.origin or {}
    allowance = origin.get("allowance", {})
    uses = Decimal(origin.get("uses", ["0"])[0])
    with exact():
        if "measured" in origin:
            covered = allowance["covered"] if "shows_covered" in origin else "0"
            return Decimal(origin["measured"]) - Decimal(covered)
        return max(Decimal(allowance.get("billed", origin.get("usage", "0"))), Decimal(0)) + uses


def _basis(line: InvoiceLine, behavior: TaxBehavior) -> Decimal:
    return line.total_amount if behavior == "inclusive" else line.total_price


def looked_back_to(terms: Terms, billed_to: datetime) -> datetime:
    """From when on late usage is looked for, where invoices have billed so far."""
    timeline = terms.timeline
    # Of longer cycles that have ended, windows are as long.
    few = [_few(each, billed_to) for each in (timeline.current, *timeline.ended)]
    return min(*few, billed_to - timedelta(days=LOOKED_BACK_DAYS))


def _few(cycles: Cycles, billed_to: datetime) -> datetime:
    index = index_at(cycles.anchor, cycles.cadence, billed_to) - LOOKED_BACK_PERIODS
    return boundary(cycles.anchor, cycles.cadence, index)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The prices and the metrics that windows were billed by."""

    prices: Mapping[str, PriceTerms]
    metrics: Mapping[str, BillableMetric]

    def metric(self, window: BilledWindow) -> BillableMetric:
        """What the window was read from."""
        return self.metrics[window.metric_id]

    def price(self, window: BilledWindow) -> PriceTerms:
        """The price as the window was billed: its id may stand for another value by now."""
        return as_billed(self.prices[window.price_id], window)


async def catalogue_of(
    session: AsyncSession, terms: Terms, windows: Sequence[BilledWindow]
) -> Catalogue:
    """What the windows name; a price that has moved to another metric leaves its own to be read."""
    found = await prices_named(session, terms, {each.price_id for each in windows})
    metrics = dict(found.metrics)
    left = {each.metric_id for each in windows} - metrics.keys()
    if left:
        metrics |= await billable_metrics.among(session, terms.subscription.merchant_id, left)
    return Catalogue({each.price_id: each for each in found.prices}, metrics)


def as_billed(price: PriceTerms, window: BilledWindow) -> PriceTerms:
    """The price with what its period was billed by: metric, rate, scope and tax.

    A correction is charged like what it corrects. A line from before its origin was kept knows
    its metric and its tax, and takes the rate of today.
    """
    origin = window.origin
    billed = replace(
        price,
        kind="metric",
        source_id=window.metric_id,
        display_name=window.display_name,
        tax_rate=window.tax_rate,
        tax_source="corrected_line",
        cadence=window.cadence,
        key=window.name if window.name != window.price_id else "",
        feature_id=origin.get("feature_id", ""),
    )
    if "model" not in origin:
        return billed
    return replace(
        billed,
        model=origin["model"],
        properties=origin["properties"],
        in_scope=not origin.get("is_out_of_scope", False),
        is_instant=origin.get("is_instant", False),
        interval_id=origin.get("interval_id", ""),
        interval=kept_interval(origin["interval"]) if "interval" in origin else None,
    )


async def deal_of(
    session: AsyncSession, terms: Terms, windows: Sequence[BilledWindow]
) -> Mapping[str, Adjustment]:
    """The adjustments under which any of the windows was billed, as they stand now."""
    named = {found for each in windows for found in each.adjustment_ids}
    return await adjustments.named(session, terms.subscription.merchant_id, named)


async def readings_of(
    session: AsyncSession,
    terms: Terms,
    windows: Sequence[BilledWindow],
    metrics: Mapping[str, BillableMetric],
    deal: Mapping[str, Adjustment],
) -> list[Reading]:
    """What each window's usage comes to now, one statement a period, and what deal it is under."""
    merchant_id = terms.subscription.merchant_id
    sums: dict[Period, Mapping[str, usage.Reading]] = {}
    for period in dict.fromkeys(each.period for each in windows):
        read = {each.metric_id for each in windows if each.period == period}
        sums[period] = await usage.usage_sums(
            session,
            merchant_id,
            [metrics[each] for each in read],
            customer_id=terms.customer.id,
            subscription_id=terms.subscription.id,
            external_id=terms.customer.external_id,
            start=period.start,
            end=period.end,
        )
    accrued = {
        invoice_id: await usage_charges.accrued(session, merchant_id, invoice_id)
        for invoice_id in dict.fromkeys(each.invoice_id for each in windows)
    }
    asked = [
        allowances.Asked(each.feature_id, metrics[each.metric_id], each.period) for each in windows
    ]
    by_metric = {(key, period): one for period, each in sums.items() for key, one in each.items()}
    divided = await allowances.divided(session, terms, asked, by_metric)
    readings = []
    for each, what in zip(windows, asked, strict=True):
        added = accrued[each.invoice_id].get(each.price_id)
        found = sums[each.period][each.metric_id]
        burned = divided.get(what.key)
        readings.append(
            Reading(
                found.value if burned is None else burned.usage,
                NO_USES if added is None else Uses(added.quantity, added.price),
                found.event_count if burned is None else burned.event_count,
                rule=each.rule(deal),
                kept=kept_share(each.period, each.reaching(deal)),
                burned=burned,
            )
        )
    return readings
