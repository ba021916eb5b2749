"""What changing a subscription's plan gives back and asks for; it reads and never writes."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import rate_adjusted
from billing.durations import parse_duration
from billing.periods import Period
from billing.plan_change import (
    Amount,
    ChangedFee,
    PlanNotChangeable,
    PlanTerms,
    merged,
    unused,
)
from billing.rating import (
    Charge,
    Measure,
    Origin,
    PriceTerms,
    RatedLine,
    Schedule,
    charges_at,
)
from models.invoices import Invoice, InvoiceLine
from models.plans import PlanVersion
from models.queries import adjustments, drafts, invoices
from models.queries.drafts import window_at
from models.queries.terms import Terms, price_set, rate_of
from models.refunds import Refund
from models.subscriptions import Subscription

STORED = ("DRAFT", "ISSUED", "PAYMENT_FAILED", "PAID")


async def any_merchants_subscription(
    session: AsyncSession, subscription_id: str
) -> Subscription | None:
    """The subscription of whichever merchant: an operator knows an id."""
    rows = await session.exec(select(Subscription).where(col(Subscription.id) == subscription_id))
    return rows.first()


def plan_terms(terms: Terms) -> PlanTerms:
    """What the plan must share with another one."""
    return PlanTerms(
        currency=terms.plan.currency,
        billing_cadence=terms.plan.billing_cadence,
        tax_behavior=terms.plan.tax_behavior,
        tax_rate=rate_of(terms).rate,
        billing_version=terms.plan.billing_version,
    )


async def given_back(session: AsyncSession, terms: Terms, now: datetime) -> list[Amount]:
    """The unused rest of what was billed in advance, on invoices that stand and were kept."""
    merchant_id, owner_id = terms.subscription.merchant_id, terms.subscription.id
    refunded = select(col(Refund.invoice_id)).where(
        col(Refund.merchant_id) == merchant_id, col(Refund.status) == "ISSUED"
    )
    rows = await session.exec(
        select(InvoiceLine)
        .join(Invoice, col(Invoice.id) == col(InvoiceLine.invoice_id))
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id) == owner_id,
            col(Invoice.status).in_(STORED),
            col(Invoice.id).not_in(refunded),
            col(InvoiceLine.period_end) > now,
        )
        .order_by(col(Invoice.sequence_number), col(InvoiceLine.position))
    )
    lines = list(rows.all())
    for closing in await invoices.of_subscription(session, merchant_id, owner_id, "CLOSING"):
        lines += drafts.line_rows(closing, await drafts.of_invoice(session, terms, closing))
    return unused(merged(_paid(terms, lines, now)), now)


def _paid(
    terms: Terms, lines: Sequence[InvoiceLine], now: datetime
) -> list[tuple[tuple[str, ...], Amount]]:
    found: list[tuple[tuple[str, ...], Amount]] = []
    for line in lines:
        is_fee = line.kind in ("fee", "adjustment") and line.payment_term == "in_advance"
        origin = line.origin or {}
        if not is_fee or line.period_end <= now or origin.get("is_obligation"):
            continue
        if origin.get("is_out_of_scope"):
            raise PlanNotChangeable("A fee outside the scope of tax is paid in advance")
        amount = line.total_amount if terms.behavior == "inclusive" else line.total_price
        window = Period(line.period_start, line.period_end)
        key = (line.invoice_id, line.price_id or "", str(origin.get("interval_id", "")))
        fee = ChangedFee(
            price_id=line.price_id or "",
            plan_version_id=origin.get("plan_version_id"),
            cycle=window,
            invoice_id=line.invoice_id,
        )
        found.append((key, Amount(line.display_name, window, amount, fee)))
    return found


async def asked_for(session: AsyncSession, terms: Terms, now: datetime) -> list[Amount]:
    """What the plan (the new one) is due in advance for the rest of the running window."""
    prices = (await price_set(session, terms, terms.plan.default_version_id)).prices
    window = window_at(terms, now)
    coming = Period(now, window.end)
    schedule = Schedule(terms.schedule.anchor, terms.schedule.cadence, now)
    fees = [price for price in prices if price.kind == "fee"]
    charges = charges_at(fees, schedule, ended=None, coming=coming)
    charges += [
        Charge(price, coming, coming)
        for price in fees
        if _is_once(price) and price.payment_term == "in_arrears"
    ]
    if any(not charge.price.in_scope for charge in charges):
        raise PlanNotChangeable("A fee outside the scope of tax is due in advance")
    owner = terms.subscription
    deal = await adjustments.of_subscription(session, owner.merchant_id, owner.id)
    nothing = [Measure(Decimal(0))] * len(charges)
    lines = rate_adjusted(charges, nothing, deal, terms.behavior)
    return merged([((line.price.price_id,), _asked(terms, line)) for line in lines])


def _asked(terms: Terms, line: RatedLine) -> Amount:
    amount = line.total_amount if terms.behavior == "inclusive" else line.total_price
    origin = line.origin or Origin(line.window)
    fee = ChangedFee(
        price_id=line.price.price_id,
        plan_version_id=line.price.plan_version_id,
        cycle=origin.cycle,
        model=line.price.model,
        properties=line.price.properties,
        quantity=line.quantity,
        discounts=tuple((name, origin.part) for name in line.adjustment_ids if origin.part),
    )
    return Amount(line.price.display_name, line.window, amount, fee)


def _is_once(price: PriceTerms) -> bool:
    return price.cadence is not None and price.cadence.is_zero


async def has_changed_inside(session: AsyncSession, terms: Terms, now: datetime) -> bool:
    """Whether what an earlier change has asked for is still running: it is no line of a fee."""
    subscription = terms.subscription
    rows = await session.exec(
        select(col(Invoice.ended_to))
        .join(PlanVersion, col(PlanVersion.id) == col(Invoice.arrears_version_id))
        .where(
            col(Invoice.merchant_id) == subscription.merchant_id,
            col(Invoice.subscription_id) == subscription.id,
            col(Invoice.coming_to) == col(Invoice.ended_to),
            col(PlanVersion.plan_id) != subscription.plan_id,
        )
        .order_by(col(Invoice.sequence_number).desc())
        .limit(1)
    )
    changed_at = rows.first()
    if changed_at is None:
        return False
    return any(each.window.end > now for each in await asked_for(session, terms, changed_at))


async def cuts_cycles(session: AsyncSession, old: Terms, new: Terms, boundary: datetime) -> bool:
    """Whether a change at a boundary would cut a cycle, or miss what is billed once."""
    if await given_back(session, old, boundary):
        return True
    prices = (await price_set(session, new, new.plan.default_version_id)).prices
    cadence = parse_duration(new.subscription.billing_cadence)
    return any(
        price.kind == "fee" and price.cadence is not None and price.cadence != cadence
        for price in prices
    )
