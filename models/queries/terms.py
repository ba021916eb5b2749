"""The terms of a subscription: its rows and prices as billing sees them; it rates nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.cycles import Cycles, Timeline, kept_cycles, kept_plan_cycles
from billing.durations import Duration, parse_duration
from billing.rating import PriceTerms, Schedule
from billing.taxes import BUILT_IN_RATES, FoundRate, TaxBehavior, TaxCalculator, TaxCase
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.entitlements import Entitlement, EntitlementGrant
from models.fees import Fee
from models.invoices import Invoice
from models.plans import Plan, PlanLine
from models.prices import Price
from models.row_sets import is_among
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class Expected:
    """The metered entitlements that an activation will give, and their grants; no rows yet."""

    entitlements: Sequence[Entitlement]
    grants: Sequence[EntitlementGrant]


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose charges are rated: the rows that a subscription's billing hangs on."""

    subscription: Subscription
    plan: Plan
    customer: Customer
    calculator: TaxCalculator = BUILT_IN_RATES
    tax_behavior: TaxBehavior | None = None
    """That of an invoice which was opened before the plan's was changed; None: the plan's."""
    expected: Expected | None = None
    """Before the activation; None: what is given stands in rows."""

    @property
    def schedule(self) -> Schedule:
        return self.schedule_of(self.timeline.current)

    def schedule_of(self, cycles: Cycles) -> Schedule:
        """The subscription's schedule by these cycles."""
        return Schedule(
            anchor=cycles.anchor,
            cadence=cycles.cadence,
            started_at=self.subscription.started_at,
            billed_from=self._billed_from(),
        )

    def _billed_from(self) -> datetime | None:
        """Where what had elapsed at the creation is not billed, the start of what is."""
        subscription = self.subscription
        begins = subscription.billing_starts_at
        if begins is None or begins <= subscription.started_at:
            return None
        # A creation at a boundary bills the window that ends there.
        first = self.timeline.of_window(0).at(begins - datetime.resolution)
        return max(subscription.started_at, first.start)

    @property
    def timeline(self) -> Timeline:
        """Its cycles over time."""
        subscription = self.subscription
        cadence = parse_duration(subscription.billing_cadence)
        return Timeline(
            Cycles(subscription.billing_anchor, cadence), kept_cycles(subscription.earlier_cycles)
        )

    def named_cycles(self, boundary: datetime) -> Cycles | None:
        """The cycles of a plan that waits for the next boundary; None: its own go on."""
        named = self.subscription.next_cycles
        if named is None:
            return None
        running = self.timeline.current
        found = kept_plan_cycles(named).following(running, boundary)
        return None if found == running else found

    def cadence_under(self, version_id: str, start: datetime) -> str:
        """How often a version was billed that it had from `start` on, or will be."""
        is_named = version_id == self.subscription.next_version_id
        named = self.named_cycles(start) if is_named else None
        return (named or self.timeline.at(start)).cadence.text()

    def cycles_of(self, invoice: Invoice, start: datetime) -> tuple[Cycles, Cycles | None]:
        """Those of the window that an invoice ends, and of the one from `start`; None: the same.

        An invoice that is still to close after they have moved is billed by its own.
        """
        timeline, number = self.timeline, invoice.sequence_number
        ended, coming = timeline.of_window(number), timeline.of_coming(number)
        if invoice.status == "ACTIVE":
            coming = self.named_cycles(start) or coming
        return ended, None if coming == ended else coming

    @property
    def behavior(self) -> TaxBehavior:
        return self.tax_behavior or behavior_of(self.plan)

    def on(self, invoice: Invoice) -> "Terms":
        """The same, as they bill an invoice: it keeps the tax behavior that it was opened with."""
        own = behavior_of(invoice)
        return self if own == self.behavior else replace(self, tax_behavior=own)


def behavior_of(row: Plan | Invoice) -> TaxBehavior:
    """Whether its prices hold their tax."""
    return "inclusive" if row.tax_behavior == "inclusive" else "exclusive"


@dataclass(frozen=True, slots=True)
class SourceNames:
    """How a line names what it charges for, frozen when the line is stored."""

    name: str
    description: str
    unit: str
    item_id: str | None


async def terms_of(session: AsyncSession, subscription: Subscription) -> Terms:
    """The rows behind a subscription."""
    merchant_id = subscription.merchant_id
    rows = await session.exec(
        select(Plan, Customer)
        .join(Customer, col(Customer.merchant_id) == col(Plan.merchant_id))
        .where(
            col(Plan.merchant_id) == merchant_id,
            col(Plan.id) == subscription.plan_id,
            col(Customer.id) == subscription.customer_id,
        )
    )
    plan, customer = rows.one()
    return Terms(subscription, plan, customer)


async def terms_of_all(
    session: AsyncSession, merchant_id: str, subscriptions: Sequence[Subscription]
) -> list[Terms]:
    """The same of each of the merchant's subscriptions, in their order."""
    plan_ids = {each.plan_id for each in subscriptions}
    found = await session.exec(
        select(Plan).where(col(Plan.merchant_id) == merchant_id, is_among(col(Plan.id), plan_ids))
    )
    plans = {row.id: row for row in found}
    customer_ids = {each.customer_id for each in subscriptions}
    bought = await session.exec(
        select(Customer).where(
            col(Customer.merchant_id) == merchant_id, is_among(col(Customer.id), customer_ids)
        )
    )
    customers = {row.id: row for row in bought}
    return [Terms(each, plans[each.plan_id], customers[each.customer_id]) for each in subscriptions]


@dataclass(frozen=True, slots=True)
class PriceSet:
    """A plan version's prices as billing sees them, with what they charge for."""

    prices: Sequence[PriceTerms]
    metrics: Mapping[str, BillableMetric]
    names: Mapping[str, SourceNames]


async def price_set(session: AsyncSession, terms: Terms, version_id: str) -> PriceSet:
    """The prices of a plan version, in the plan's order."""
    lines = await version_lines(session, terms.subscription.merchant_id, [version_id])
    return price_set_of(terms, version_id, lines[version_id])


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A price in a plan version, with what it charges for."""

    price: Price
    metric: BillableMetric | None
    fee: Fee | None
    key: str


async def version_lines(
    session: AsyncSession, merchant_id: str, version_ids: Collection[str]
) -> dict[str, list[VersionLine]]:
    """The prices of each of these plan versions, in their plan's order."""
    rows = await session.exec(
        select(Price, BillableMetric, Fee, PlanLine)
        .join(PlanLine, col(PlanLine.price_id) == col(Price.id))
        .outerjoin(BillableMetric, col(BillableMetric.id) == col(Price.billable_metric_id))
        .outerjoin(Fee, col(Fee.id) == col(Price.fee_id))
        .where(
            col(PlanLine.merchant_id) == merchant_id,
            is_among(col(PlanLine.plan_version_id), version_ids),
        )
        .order_by(col(PlanLine.position))
    )
    found: dict[str, list[VersionLine]] = {each: [] for each in version_ids}
    for price, metric, fee, line in rows:
        found[line.plan_version_id].append(VersionLine(price, metric, fee, line.key))
    return found


def price_set_of(terms: Terms, version_id: str, lines: Sequence[VersionLine]) -> PriceSet:
    """The lines of a version as billing sees them for a subscription."""
    prices: list[PriceTerms] = []
    metrics: dict[str, BillableMetric] = {}
    names: dict[str, SourceNames] = {}
    for line in lines:
        prices.append(replace(price_terms(terms, line.price, version_id), key=line.key))
        names[line.price.id] = _names(line.metric, line.fee)
        if line.metric is not None:
            metrics[line.metric.id] = line.metric
    return PriceSet(prices, metrics, names)


def metric_names(metric: BillableMetric) -> SourceNames:
    """How a line of this metric names it."""
    return SourceNames(metric.name, metric.description, metric.unit, metric.item_id)


def _names(metric: BillableMetric | None, fee: Fee | None) -> SourceNames:
    if metric is not None:
        return metric_names(metric)
    if fee is not None:
        return SourceNames(fee.name, fee.description, "", fee.item_id)
    return SourceNames("", "", "", None)


async def prices_named(session: AsyncSession, terms: Terms, price_ids: Collection[str]) -> PriceSet:
    """These prices, whatever plan version they belong to, deleted or not."""
    if not price_ids:
        return PriceSet([], {}, {})
    rows = await session.exec(
        select(Price, BillableMetric, Fee)
        .outerjoin(BillableMetric, col(BillableMetric.id) == col(Price.billable_metric_id))
        .outerjoin(Fee, col(Fee.id) == col(Price.fee_id))
        .where(
            col(Price.merchant_id) == terms.subscription.merchant_id,
            col(Price.id).in_(price_ids),
        )
        .order_by(col(Price.id))
    )
    found = list(rows.all())
    return PriceSet(
        [price_terms(terms, price) for price, _, _ in found],
        {metric.id: metric for _, metric, _ in found if metric is not None},
        {price.id: _names(metric, fee) for price, metric, fee in found},
    )


async def metered_prices(
    session: AsyncSession, terms: Terms, price_ids: Collection[str]
) -> PriceSet:
    """Those of them that are a metric's."""
    found = await prices_named(session, terms, price_ids)
    metered = [price for price in found.prices if price.kind == "metric"]
    return PriceSet(metered, found.metrics, found.names)


def next_version(terms: Terms, version_id: str) -> str:
    """The version that follows this one at the next boundary, if nothing changes until then."""
    subscription = terms.subscription
    if subscription.version_policy != "pinned":
        return terms.plan.default_version_id
    return subscription.next_version_id or version_id


def rate_of(terms: Terms, metric_id: str | None = None) -> FoundRate:
    """The tax rate of a metric, or of what the catalogue does not name."""
    case = TaxCase(
        tax_exempt=terms.subscription.tax_exempt,
        metric_id=metric_id,
        plan_id=terms.plan.id,
        customer_rates={key: Decimal(str(v)) for key, v in terms.customer.tax_rates.items()},
        plan_default=terms.plan.default_tax_rate,
    )
    return terms.calculator.rate_of(case)


def price_terms(terms: Terms, price: Price, plan_version_id: str | None = None) -> PriceTerms:
    """A price as billing sees it for this subscription."""
    found = rate_of(terms, price.billable_metric_id)
    return PriceTerms(
        price_id=price.id,
        kind="fee" if price.fee_id is not None else "metric",
        source_id=price.fee_id or price.billable_metric_id or "",
        display_name=price.invoice_display_name,
        model=price.model,
        properties=price.properties,
        payment_term="in_advance" if price.payment_term == "in_advance" else "in_arrears",
        cadence=_cadence(price),
        quantity=Decimal(price.quantity),
        is_obligation=price.is_obligation,
        in_scope=price.tax.get("supplyScope", "IN_SCOPE") == "IN_SCOPE",
        tax_rate=found.rate,
        is_instant=price.payment_term == "instant",
        tax_source=found.source,
        plan_version_id=plan_version_id,
        feature_id=price.feature_id or "",
        discounts_by_grants=price.grant_discount_enabled,
    )


def _cadence(price: Price) -> Duration | None:
    return None if price.billing_cadence is None else parse_duration(price.billing_cadence)
