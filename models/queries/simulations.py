"""What past invoices would have come to under other prices; it reads, rates, and stores nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, or_, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import rate_adjusted
from billing.grant_discounts import with_grant_discounts
from billing.invoicing import Totals, floor_rebates, totals
from billing.periods import Period
from billing.rating import Charge, RatedLine
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.fees import Fee
from models.invoices import Invoice
from models.plans import Plan, PlanVersion
from models.prices import Price
from models.queries import (
    adjustments,
    drafts,
    subscription_intervals,
    subscriptions,
    usage_cycles,
)
from models.queries.drafts import Step
from models.queries.terms import (
    PriceSet,
    SourceNames,
    Terms,
    metric_names,
    price_set,
    price_terms,
    terms_of,
)

# Of these nothing was billed for the period, or not yet.
UNBILLED = ("ACTIVE", "CLOSING", "CANCELLED", "PROJECTED")
INVOICES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which invoices are rated again: those that bill a boundary in the window."""

    merchant_id: str
    window: Period
    customer_ids: Sequence[str]
    """Empty: all customers."""


@dataclass(frozen=True, slots=True)
class Side:
    """What an invoice comes to under one price set, with the usage that is known now."""

    lines: Sequence[RatedLine]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Comparison:
    """An invoice that was billed, rated again under its own prices and under the draft."""

    invoice: Invoice
    old: Side
    new: Side
    read_since: datetime | None
    """The earliest instant whose usage was read; None where none was."""


@dataclass(frozen=True, slots=True)
class DraftPrice:
    """A price that is not stored, and the metric or fee that it charges for."""

    price: Price
    source: BillableMetric | Fee

    @property
    def names(self) -> SourceNames:
        """How its lines name what they charge for."""
        source = self.source
        if isinstance(source, BillableMetric):
            return metric_names(source)
        return SourceNames(source.name, source.description, "", source.item_id)


@dataclass(frozen=True, slots=True)
class Draft:
    """Prices in place of a plan's for the same metrics and fees, or in place of all of them."""

    prices: Sequence[DraftPrice]
    replaces_all: bool
    version_ids: Collection[str]
    """The plan's versions; what an invoice bills by those of another plan stands as it is."""


async def read_only(session: AsyncSession) -> None:
    """From here on the transaction refuses to write: the database holds the promise."""
    await session.exec(text("SET TRANSACTION READ ONLY"))  # type: ignore[call-overload]


async def any_merchants_plan(session: AsyncSession, plan_id: str) -> Plan | None:
    """The plan of whichever merchant: an operator knows an id."""
    return (await session.exec(select(Plan).where(col(Plan.id) == plan_id))).first()


async def versions_of(session: AsyncSession, plan: Plan) -> set[str]:
    """The ids of all of a plan's versions."""
    rows = await session.exec(
        select(col(PlanVersion.id)).where(
            col(PlanVersion.merchant_id) == plan.merchant_id, col(PlanVersion.plan_id) == plan.id
        )
    )
    return set(rows)


async def unknown_customers(session: AsyncSession, asked: Asked) -> set[str]:
    """Those of the named customers that the merchant does not have."""
    rows = await session.exec(
        select(col(Customer.id)).where(
            col(Customer.merchant_id) == asked.merchant_id, col(Customer.id).in_(asked.customer_ids)
        )
    )
    return set(asked.customer_ids) - set(rows.all())


async def billed(session: AsyncSession, asked: Asked, draft: Draft) -> list[Invoice]:
    """The invoices of the window that billed the draft's plan, by subscription.

    Also those of a subscription that has left it since. One more than `INVOICES_MAX` shows.
    """
    boundary = func.coalesce(col(Invoice.ended_to), col(Invoice.period_start))
    arrears = func.coalesce(col(Invoice.arrears_version_id), col(Invoice.plan_version_id))
    statement = select(Invoice).where(
        col(Invoice.merchant_id) == asked.merchant_id,
        or_(
            arrears.in_(draft.version_ids),
            col(Invoice.coming_version_id).in_(draft.version_ids),
        ),
        col(Invoice.status).not_in(UNBILLED),
        boundary >= asked.window.start,
        boundary < asked.window.end,
    )
    if asked.customer_ids:
        statement = statement.where(col(Invoice.customer_id).in_(asked.customer_ids))
    order = (col(Invoice.subscription_id), col(Invoice.sequence_number))
    return list((await session.exec(statement.order_by(*order).limit(INVOICES_MAX + 1))).all())


async def compare(session: AsyncSession, invoice: Invoice, draft: Draft) -> Comparison:
    """The invoice under its own prices and under the draft's; both from one reading of usage.

    Left out is what prices do not decide: manual lines, top-ups of a wallet, uses that were paid
    one by one. Usage that came late counts in its own period.
    """
    owners = await subscriptions.among(session, invoice.merchant_id, [invoice.subscription_id])
    terms = (await terms_of(session, owners[invoice.subscription_id])).on(invoice)
    steps = _steps(terms, invoice)
    versions = {each for step in steps for each in step.version_ids}
    old_sets = {each: await price_set(session, terms, each) for each in versions}

    def under(version_id: str, base: PriceSet) -> PriceSet:
        return _under(terms, base, draft) if version_id in draft.version_ids else base

    new_sets = {each: under(each, base) for each, base in old_sets.items()}
    # Terms of the subscription's own stand on both sides: they lie over whatever the plan charges.
    own = await subscription_intervals.overlays(session, terms)
    old, new = [], []
    for each in steps:
        step = await usage_cycles.with_beginnings(session, terms, invoice, each, old_sets)
        old += drafts.charges_of(terms, step, old_sets, own)
        step = await usage_cycles.with_beginnings(
            session, terms, invoice, each, new_sets, under=under
        )
        new += drafts.charges_of(terms, step, new_sets, own)
    # The draft's sets hold all metrics of the old ones.
    sets = {**new_sets, "own": own.prices}
    readings = await drafts.readings_of(session, terms, [*old, *new], sets)
    deal = await adjustments.of_subscription(session, invoice.merchant_id, terms.subscription.id)
    burned = await drafts.burned_of(session, terms, [*old, *new], sets, readings)

    def side(charges: Sequence[Charge]) -> Side:
        measures = [drafts.measure(charge, readings, {}, burned) for charge in charges]
        return _side(terms, rate_adjusted(charges, measures, deal, terms.behavior))

    since = [window.start for _, window in readings] + [each.since for each in burned.values()]
    return Comparison(
        invoice=invoice, old=side(old), new=side(new), read_since=min(since, default=None)
    )


def _side(terms: Terms, rated: Sequence[RatedLine]) -> Side:
    lines = floor_rebates(with_grant_discounts(rated, terms.behavior))
    return Side(lines, totals(lines, terms.plan.currency, terms.behavior))


def _steps(terms: Terms, invoice: Invoice) -> list[Step]:
    """The boundaries that it billed: of a first invoice, all that had passed when it was issued."""
    if invoice.ended_to is None and invoice.coming_to is None:
        issued_at = invoice.issued_at or invoice.period_start
        first = drafts.window_by(terms, terms.timeline.of_window(0), issued_at)
        steps = drafts.elapsed_steps(terms, first)
        own = invoice.plan_version_id
        return [replace(step, ended_version_id=own, coming_version_id=own) for step in steps]
    return [drafts.step_of(terms, invoice)]


def _under(terms: Terms, base: PriceSet, draft: Draft) -> PriceSet:
    """A plan version's prices with the draft's in their place.

    A price for what the plan charges for already goes by the same id and key, so that a deal with
    the customer reaches it, and it carries the same feature, unless it names one.
    """
    named = {each.source.id: each for each in draft.prices}
    held = {each.source_id: each for each in reversed(base.prices)}
    prices = [] if draft.replaces_all else [p for p in base.prices if p.source_id not in named]
    metrics, names = dict(base.metrics), dict(base.names)
    for source_id, each in named.items():
        own = held.get(source_id)
        price_id, key = (each.price.id, "") if own is None else (own.price_id, own.key)
        drafted = replace(price_terms(terms, each.price), price_id=price_id, key=key)
        if own is not None and not drafted.feature_id:
            drafted = replace(drafted, feature_id=own.feature_id)
        prices.append(drafted)
        names[price_id] = each.names
        if isinstance(each.source, BillableMetric):
            metrics[source_id] = each.source
    return PriceSet(prices, metrics, names)
