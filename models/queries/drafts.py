"""What an invoice would bill: gathers prices, rates and usage, and lets billing decide.

It reads and never writes: the closing transaction stores what it returns, and the API shows it for
an invoice that is still open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.durations import Duration, parse_duration
from billing.ids import derived_id
from billing.invoicing import Totals, floor_rebates, period_of, totals
from billing.money import to_minor_unit
from billing.periods import Period, boundary, index_at
from billing.rating import Charge, PriceTerms, RatedLine, Schedule, charges_at, rate_charge
from billing.taxes import TaxBehavior, tax_rate
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.fees import Fee
from models.invoices import Invoice, InvoiceLine
from models.plans import Plan, PlanLine
from models.prices import Price
from models.queries import ledger, usage
from models.subscriptions import Subscription

WALLET_CHARGE_MIN = Decimal(1)
WALLET_CHARGE_MAX = Decimal(5000)


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose charges are rated: the rows that a subscription's billing hangs on."""

    subscription: Subscription
    plan: Plan
    customer: Customer

    @property
    def schedule(self) -> Schedule:
        return Schedule(
            anchor=self.subscription.billing_anchor,
            cadence=parse_duration(self.subscription.billing_cadence),
            started_at=self.subscription.started_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One boundary: the window that ended there, the one that comes, and their plan versions."""

    ended: Period | None
    ended_version_id: str
    coming: Period | None
    coming_version_id: str
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class SourceNames:
    """How a line names what it charges for, frozen when the line is stored."""

    name: str
    description: str
    unit: str
    item_id: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """Rated lines, not yet stored."""

    lines: Sequence[RatedLine]
    names: Mapping[str, SourceNames]
    totals: Totals
    period: Period
    wallet_charge: Decimal

    @property
    def grand_total(self) -> Decimal:
        return self.totals.grand_total + self.wallet_charge


def window_at(terms: Terms, instant: datetime) -> Period:
    """The billing window that contains the instant, clipped to the subscription's start."""
    schedule = terms.schedule
    start = schedule.started_at
    index = index_at(schedule.anchor, schedule.cadence, max(instant, start))
    return Period(
        max(start, boundary(schedule.anchor, schedule.cadence, index)),
        boundary(schedule.anchor, schedule.cadence, index + 1),
    )


async def terms_of(session: AsyncSession, subscription: Subscription) -> Terms:
    """The rows behind a subscription."""
    merchant_id = subscription.merchant_id
    plan = (
        await session.exec(
            select(Plan).where(
                col(Plan.merchant_id) == merchant_id, col(Plan.id) == subscription.plan_id
            )
        )
    ).one()
    customer = (
        await session.exec(
            select(Customer).where(
                col(Customer.merchant_id) == merchant_id,
                col(Customer.id) == subscription.customer_id,
            )
        )
    ).one()
    return Terms(subscription, plan, customer)


@dataclass(frozen=True, slots=True)
class PriceSet:
    """A plan version's prices as billing sees them, with what they charge for."""

    prices: Sequence[PriceTerms]
    metrics: Mapping[str, BillableMetric]
    names: Mapping[str, SourceNames]


async def price_set(session: AsyncSession, terms: Terms, version_id: str) -> PriceSet:
    """The prices of a plan version, in the plan's order."""
    rows = await session.exec(
        select(Price, BillableMetric, Fee)
        .join(PlanLine, col(PlanLine.price_id) == col(Price.id))
        .outerjoin(BillableMetric, col(BillableMetric.id) == col(Price.billable_metric_id))
        .outerjoin(Fee, col(Fee.id) == col(Price.fee_id))
        .where(
            col(PlanLine.merchant_id) == terms.subscription.merchant_id,
            col(PlanLine.plan_version_id) == version_id,
        )
        .order_by(col(PlanLine.position))
    )
    prices: list[PriceTerms] = []
    metrics: dict[str, BillableMetric] = {}
    names: dict[str, SourceNames] = {}
    for price, metric, fee in rows:
        prices.append(_price_terms(terms, price))
        if metric is not None:
            metrics[metric.id] = metric
            names[price.id] = SourceNames(
                metric.name, metric.description, metric.unit, metric.item_id
            )
        if fee is not None:
            names[price.id] = SourceNames(fee.name, fee.description, "", fee.item_id)
    return PriceSet(prices, metrics, names)


def _price_terms(terms: Terms, price: Price) -> PriceTerms:
    rate = tax_rate(
        tax_exempt=terms.subscription.tax_exempt,
        metric_id=price.billable_metric_id,
        plan_id=terms.plan.id,
        customer_rates={key: Decimal(str(v)) for key, v in terms.customer.tax_rates.items()},
        plan_default=terms.plan.default_tax_rate,
    )
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
        tax_rate=rate,
    )


def _cadence(price: Price) -> Duration | None:
    return None if price.billing_cadence is None else parse_duration(price.billing_cadence)


async def rate(session: AsyncSession, terms: Terms, steps: Sequence[Step]) -> Draft:
    """Rates everything that falls due at these boundaries."""
    sets = {
        version_id: await price_set(session, terms, version_id)
        for version_id in {
            version for step in steps for version in (step.ended_version_id, step.coming_version_id)
        }
    }
    charges = [charge for step in steps for charge in _charges(terms, step, sets)]
    sums = await _usage(session, terms, charges, sets)
    behavior: TaxBehavior = "inclusive" if terms.plan.tax_behavior == "inclusive" else "exclusive"
    lines = floor_rebates(
        [
            rate_charge(
                charge, sums.get((charge.price.source_id, charge.window), Decimal(0)), behavior
            )
            for charge in charges
        ]
    )
    windows = [w for step in steps for w in (step.ended, step.coming) if w is not None]
    fallback = Period(min(w.start for w in windows), max(w.end for w in windows))
    return Draft(
        lines=lines,
        names={key: value for each in sets.values() for key, value in each.names.items()},
        totals=totals(lines, terms.plan.currency, behavior),
        period=period_of(lines, fallback),
        wallet_charge=await _wallet_charge(session, terms, steps),
    )


def _charges(terms: Terms, step: Step, sets: Mapping[str, PriceSet]) -> list[Charge]:
    """Arrears at the ended window's version, advances at the coming one's."""

    def due(version_id: str) -> list[Charge]:
        return charges_at(
            sets[version_id].prices,
            terms.schedule,
            ended=step.ended,
            coming=step.coming,
            terminating=step.terminating,
        )

    def in_advance(charge: Charge) -> bool:
        return charge.price.kind == "fee" and charge.price.payment_term == "in_advance"

    if step.ended_version_id == step.coming_version_id:
        return due(step.ended_version_id)
    arrears = [charge for charge in due(step.ended_version_id) if not in_advance(charge)]
    return arrears + [charge for charge in due(step.coming_version_id) if in_advance(charge)]


async def _usage(
    session: AsyncSession,
    terms: Terms,
    charges: Sequence[Charge],
    sets: Mapping[str, PriceSet],
) -> dict[tuple[str, Period], Decimal]:
    """The aggregate of each metric in each window that is charged, one statement a window."""
    metrics = {key: metric for each in sets.values() for key, metric in each.metrics.items()}
    wanted: dict[Period, list[BillableMetric]] = {}
    for charge in charges:
        if charge.price.kind == "metric":
            wanted.setdefault(charge.window, []).append(metrics[charge.price.source_id])
    sums: dict[tuple[str, Period], Decimal] = {}
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


async def _wallet_charge(session: AsyncSession, terms: Terms, steps: Sequence[Step]) -> Decimal:
    """What lifts the wallet to its minimum at a period's start (version 0 plans, SEMANTICS §13)."""
    minimum = terms.subscription.minimum_account_balance
    if minimum is None or terms.plan.billing_version != 0 or steps[-1].coming is None:
        return Decimal(0)
    balance = await ledger.wallet_balance(
        session, terms.subscription.merchant_id, terms.customer.id, terms.plan.currency
    )
    shortfall = to_minor_unit(minimum - balance, terms.plan.currency)
    if shortfall <= 0:
        return Decimal(0)
    return min(max(shortfall, WALLET_CHARGE_MIN), WALLET_CHARGE_MAX)


def step_of(terms: Terms, invoice: Invoice) -> Step:
    """The boundary that an invoice of a running subscription bills."""
    ended = (
        None
        if invoice.ended_from is None or invoice.ended_to is None
        else Period(invoice.ended_from, invoice.ended_to)
    )
    start = invoice.period_start if invoice.ended_to is None else invoice.ended_to
    coming = None if invoice.coming_to is None else Period(start, invoice.coming_to)
    pinned = terms.subscription.version_policy == "pinned"
    upcoming = invoice.plan_version_id if pinned else terms.plan.default_version_id
    return Step(
        ended=ended,
        ended_version_id=invoice.plan_version_id,
        coming=coming,
        coming_version_id=invoice.coming_version_id or upcoming,
        terminating=coming is None,
    )


async def of_invoice(session: AsyncSession, terms: Terms, invoice: Invoice) -> Draft:
    """What an open invoice bills as of now."""
    return await rate(session, terms, [step_of(terms, invoice)])


def line_rows(invoice: Invoice, draft: Draft) -> list[InvoiceLine]:
    """The draft's lines as rows; their ids are derived from the invoice, price and window."""
    rows = [
        InvoiceLine(
            id=derived_id("li", invoice.id, line.price.price_id, line.window.start.isoformat()),
            merchant_id=invoice.merchant_id,
            invoice_id=invoice.id,
            position=position,
            kind=line.price.kind,
            price_id=line.price.price_id,
            source_id=line.price.source_id,
            display_name=line.price.display_name,
            source_name=draft.names[line.price.price_id].name,
            source_description=draft.names[line.price.price_id].description,
            source_unit=draft.names[line.price.price_id].unit,
            item_id=draft.names[line.price.price_id].item_id,
            payment_term=line.price.payment_term,
            period_start=line.window.start,
            period_end=line.window.end,
            quantity=line.quantity,
            unit_price=line.unit_price,
            fraction=str(line.fraction),
            total_price=line.total_price,
            total_tax=line.total_tax,
            total_amount=line.total_amount,
            tax_rate=line.price.tax_rate if line.price.in_scope else Decimal(0),
        )
        for position, line in enumerate(draft.lines)
    ]
    if draft.wallet_charge:
        rows.append(_wallet_row(invoice, draft, len(rows)))
    return rows


def _wallet_row(invoice: Invoice, draft: Draft, position: int) -> InvoiceLine:
    return InvoiceLine(
        id=derived_id("li", invoice.id, "wallet"),
        merchant_id=invoice.merchant_id,
        invoice_id=invoice.id,
        position=position,
        kind="wallet",
        source_id=invoice.customer_id,
        display_name="Wallet top-up",
        payment_term="in_advance",
        period_start=draft.period.start,
        period_end=draft.period.end,
        quantity=Decimal(1),
        unit_price=draft.wallet_charge,
        total_price=draft.wallet_charge,
        total_tax=Decimal(0),
        total_amount=draft.wallet_charge,
        tax_rate=Decimal(0),
    )
