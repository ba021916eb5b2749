"""What changing a subscription's plan gives back and asks for; it reads and never writes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import rate_adjusted
from billing.changing_fees import is_cut, is_missed
from billing.cycles import Cycles
from billing.periods import Period
from billing.plan_change import (
    Amount,
    ChangedFee,
    PlanNotChangeable,
    PlanTerms,
    kept_change,
    merged,
    unused,
)
from billing.rating import (
    Charge,
    Measure,
    Origin,
    RatedLine,
    Schedule,
    charges_at,
)
from billing.usage_cycles import runs_over
from models.invoices import Invoice, InvoiceLine
from models.manual_lines import ManualLine
from models.queries import adjustments, drafts, invoices
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
        tax_behavior=terms.behavior,
        tax_rate=rate_of(terms).rate,
        billing_version=terms.plan.billing_version,
    )


async def given_back(session: AsyncSession, terms: Terms, now: datetime) -> list[Amount]:
    """The unused rest of what was billed in advance, on invoices that stand and were kept.

    That are fees, and what an earlier change has asked for; not what one has returned.
    """
    merchant_id, owner_id = terms.subscription.merchant_id, terms.subscription.id
    refunded = select(col(Refund.invoice_id)).where(
        col(Refund.merchant_id) == merchant_id, col(Refund.status) == "ISSUED"
    )
    still_closing = await invoices.still_closing(session, merchant_id, owner_id)
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
    for closing in still_closing:
        lines += drafts.line_rows(closing, await drafts.of_invoice(session, terms, closing))
    returned = await _returned(session, terms.subscription)
    return unused(merged(_paid(terms, lines, now)), now, returned)


async def _returned(session: AsyncSession, subscription: Subscription) -> list[ChangedFee]:
    rows = await session.exec(
        select(ManualLine.plan_change).where(
            col(ManualLine.merchant_id) == subscription.merchant_id,
            col(ManualLine.subscription_id) == subscription.id,
            col(ManualLine.plan_change).is_not(None),
        )
    )
    fees = [kept_change(document) for document in rows.all() if document is not None]
    return [fee for fee in fees if fee.billed is not None]


def _paid(
    terms: Terms, lines: Sequence[InvoiceLine], now: datetime
) -> list[tuple[tuple[str, ...], Amount]]:
    found: list[tuple[tuple[str, ...], Amount]] = []
    for line in lines:
        origin = line.origin or {}
        fee = _billed_fee(line, origin)
        if fee is None or line.period_end <= now or fee.is_owed_whole:
            continue
        if origin.get("is_out_of_scope"):
            raise PlanNotChangeable("A fee outside the scope of tax is paid in advance")
        amount = line.total_amount if terms.behavior == "inclusive" else line.total_price
        # A discount goes by its fee's key; what a change has asked for is less discounts already.
        key = line.id if line.kind == "manual" else str(origin.get("interval_id", ""))
        found.append(
            (
                (line.invoice_id, fee.price_id, key),
                Amount(line.display_name, fee.cycle, amount, fee),
            )
        )
    return found


def _billed_fee(line: InvoiceLine, origin: dict[str, Any]) -> ChangedFee | None:
    """What a line has billed ahead; None where it is no such line."""
    window = Period(line.period_start, line.period_end)
    if line.kind in ("fee", "adjustment") and line.payment_term == "in_advance":
        return ChangedFee(
            price_id=line.price_id or "",
            plan_version_id=origin.get("plan_version_id"),
            cycle=window,
            invoice_id=line.invoice_id,
            is_owed_whole=bool(origin.get("is_obligation") or origin.get("is_once")),
        )
    asked = kept_change(origin["change"]) if "change" in origin else None
    if asked is None or asked.billed is not None:
        return None
    return replace(asked, cycle=window, invoice_id=line.invoice_id, discounts=())


async def asked_for(
    session: AsyncSession, terms: Terms, cycles: Cycles, now: datetime
) -> list[Amount]:
    """What the plan (the new one) is due in advance until a cycle ends, of those it brings."""
    prices = (await price_set(session, terms, terms.plan.default_version_id)).prices
    coming = Period(now, cycles.at(now).end)
    schedule = Schedule(cycles.anchor, cycles.cadence, now)
    fees = [price for price in prices if price.kind == "fee"]
    charges = charges_at(fees, schedule, ended=None, coming=coming)
    charges += [
        Charge(price, coming, coming)
        for price in fees
        if price.is_once and price.payment_term == "in_arrears"
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
        is_owed_whole=line.price.is_obligation or line.price.is_once,
    )
    return Amount(line.price.display_name, line.window, amount, fee)


async def cuts_cycles(
    session: AsyncSession, old: Terms, new: Terms, cycles: Cycles, boundary: datetime
) -> bool:
    """Whether a change at a boundary would cut a cycle, or miss what is billed once.

    A fee in arrears whose cycle runs on would never be billed for what has passed of it.
    """
    if await given_back(session, old, boundary):
        return True
    running = old.timeline.current
    ending = (await price_set(session, old, old.subscription.plan_version_id)).prices
    if any(is_cut(price, running, boundary) for price in ending):
        return True
    # By other cycles usage is cut; else the other plan would price what was used under this one.
    if cycles == running and runs_over(ending, old.schedule, boundary):
        return True
    prices = (await price_set(session, new, new.plan.default_version_id)).prices
    return any(is_missed(price, running, cycles) for price in prices)
