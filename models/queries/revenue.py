"""The sums of the revenue report: invoices as they were issued, or their lines by what they bill.

Cancelled invoices are no revenue: their booking was reversed. A wallet top-up is none either.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import (
    DateTime,
    SQLColumnExpression,
    Subquery,
    Text,
    case,
    cast,
    func,
    literal,
    null,
)
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.customers import Consumer, Customer
from models.invoices import Invoice, InvoiceLine
from models.payments import Payment
from models.plans import Plan
from models.refunds import Refund
from models.subscriptions import Subscription

ISSUED = ("ISSUED", "PAID", "PAYMENT_FAILED", "WRITTEN_OFF")
OUTSTANDING = ("ISSUED", "PAYMENT_FAILED")

# Several columns at once: their types are told by the dataclasses that take the rows.
Statement = Any

Basis = Literal["issued", "billingPeriod"]
Grouping = Literal["plan", "customer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueScope:
    """Which revenue is read; no currency means every one."""

    merchant_id: str
    start: datetime
    end: datetime
    """Excluded."""
    width: str
    basis: Basis = "issued"
    currency: str | None = None
    customer_id: str | None = None
    subscription_ids: Collection[str] = field(default_factory=tuple)
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class TrendRow:
    """What one group sold in one currency in one bucket; without a grouping the key is None."""

    bucket: datetime
    currency: str
    group: str | None
    net: Decimal
    written_off: Decimal
    rebates: Decimal


@dataclass(frozen=True, slots=True)
class StandingRow:
    """How many invoices of one group stand in one state, and what they come to with tax."""

    currency: str
    group: str | None
    status: str
    count: int
    amount: Decimal
    owed: Decimal
    net: Decimal
    rebates: Decimal
    rebate_count: int


@dataclass(frozen=True, slots=True)
class RefundRow:
    """What was given back to one group in one currency in one bucket, without tax."""

    bucket: datetime
    currency: str
    group: str | None
    amount: Decimal
    ids: Sequence[str]
    """The refunds that it consists of."""


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """Payment links of one currency in one state; completed ones by bucket."""

    currency: str
    status: str
    bucket: datetime | None
    count: int
    amount: Decimal


async def trend(session: AsyncSession, scope: RevenueScope) -> list[TrendRow]:
    """Revenue by bucket, currency and group."""
    facts = _facts(scope)
    bucket, group = facts.c.bucket, facts.c.grouped
    written_off = case((facts.c.status == "WRITTEN_OFF", facts.c.gross), else_=Decimal(0))
    statement: Statement = (
        columns(
            bucket,
            facts.c.currency,
            group,
            func.sum(facts.c.net),
            func.sum(written_off),
            func.sum(facts.c.rebate),
        )
        .group_by(bucket, facts.c.currency, group)
        .order_by(bucket)
    )
    return [TrendRow(*row) for row in await _rows(session, statement)]


async def standing(session: AsyncSession, scope: RevenueScope) -> list[StandingRow]:
    """Invoices by currency, group and state; each is counted once."""
    facts = _facts(scope)
    group = facts.c.grouped
    statement: Statement = columns(
        facts.c.currency,
        group,
        facts.c.status,
        func.count(facts.c.invoice_id.distinct()),
        func.sum(facts.c.gross),
        func.sum(facts.c.owed),
        func.sum(facts.c.net),
        func.sum(facts.c.rebate),
        func.sum(facts.c.rebate_count),
    ).group_by(facts.c.currency, group, facts.c.status)
    return [StandingRow(*row) for row in await _rows(session, statement)]


async def refunds(session: AsyncSession, scope: RevenueScope) -> list[RefundRow]:
    """Standing refunds: when they were made, or in the periods whose lines they give back."""
    by_period = scope.basis == "billingPeriod"
    at = col(InvoiceLine.period_start) if by_period else col(Refund.issued_at)
    amount = col(InvoiceLine.total_price) if by_period else col(Refund.amount)
    bucket: SQLColumnExpression[Any] = _bucket(at, scope).label("bucket")
    group: SQLColumnExpression[Any] = _group(scope).label("grouped")
    statement: Statement = (
        columns(
            bucket,
            col(Refund.currency),
            group,
            func.sum(amount),
            func.array_agg(col(Refund.id).distinct()),
        )
        .select_from(Refund)
        .join(Invoice, col(Invoice.id) == col(Refund.invoice_id))
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id))
    )
    if by_period:
        statement = statement.join(InvoiceLine, col(InvoiceLine.invoice_id) == col(Invoice.id))
    statement = _narrow(statement, scope).where(
        col(Refund.merchant_id) == scope.merchant_id,
        col(Refund.status) == "ISSUED",
        at >= scope.start,
        at < scope.end,
    )
    grouped = statement.group_by(bucket, col(Refund.currency), group)
    return [RefundRow(*row) for row in await _rows(session, grouped)]


async def payment_links(session: AsyncSession, scope: RevenueScope) -> list[PaymentRow]:
    """One-off payments: completed ones when they were completed, others when they were made."""
    at = func.coalesce(col(Payment.completed_at), col(Payment.created_at))
    bucket = case((col(Payment.status) == "completed", _bucket(at, scope)))
    statement: Statement = columns(
        col(Payment.currency), col(Payment.status), bucket, func.count(), func.sum(Payment.amount)
    ).where(
        col(Payment.merchant_id) == scope.merchant_id,
        at >= scope.start,
        at < scope.end,
        col(Payment.status).in_(("completed", "pending", "processing", "expired")),
    )
    if scope.currency is not None:
        statement = statement.where(col(Payment.currency) == scope.currency)
    if scope.customer_id is not None:
        statement = statement.where(col(Payment.customer_id) == scope.customer_id)
    statement = statement.group_by(col(Payment.currency), col(Payment.status), bucket)
    return [PaymentRow(*row) for row in await _rows(session, statement)]


async def primary_currency(session: AsyncSession, merchant_id: str) -> str | None:
    """The currency of most of a merchant's invoices; before the first one, of its first plan.

    A merchant without either has that of its first payment link.
    """
    count = func.count()
    used = (
        select(Invoice.currency)
        .where(Invoice.merchant_id == merchant_id, col(Invoice.issued_at).is_not(None))
        .group_by(col(Invoice.currency))
        .order_by(count.desc(), col(Invoice.currency))
        .limit(1)
    )
    found = (await session.exec(used)).first()
    if found is not None:
        return found
    planned = (
        select(Plan.currency)
        .where(Plan.merchant_id == merchant_id)
        .order_by(col(Plan.created_at), col(Plan.id))
        .limit(1)
    )
    linked = (
        select(Payment.currency)
        .where(Payment.merchant_id == merchant_id)
        .order_by(col(Payment.created_at), col(Payment.id))
        .limit(1)
    )
    return (await session.exec(planned)).first() or (await session.exec(linked)).first()


async def issue_range(
    session: AsyncSession, scope: RevenueScope
) -> tuple[datetime, datetime] | None:
    """The first and the last issue under the scope's filters, at any time."""
    statement: Statement = _narrow(
        columns(func.min(Invoice.issued_at), func.max(Invoice.issued_at))
        .select_from(Invoice)
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id)),
        scope,
    )
    first, last = (await _rows(session, statement))[0]
    return None if first is None else (first, last)


async def group_names(
    session: AsyncSession, merchant_id: str, grouping: Grouping, keys: Collection[str]
) -> dict[str, str]:
    """What the groups are called: plans by name, customers by their consumer's."""
    plans: Statement = columns(col(Plan.id), col(Plan.name)).where(
        col(Plan.merchant_id) == merchant_id, col(Plan.id).in_(keys)
    )
    customers: Statement = (
        columns(col(Customer.id), col(Consumer.name))
        .join(Consumer, col(Consumer.id) == col(Customer.consumer_id))
        .where(col(Customer.merchant_id) == merchant_id, col(Customer.id).in_(keys))
    )
    rows = await _rows(session, plans if grouping == "plan" else customers)
    return {row[0]: row[1] for row in rows}


async def _rows(session: AsyncSession, statement: Statement) -> Sequence[Any]:
    rows: Sequence[Any] = (await (await session.connection()).execute(statement)).all()
    return rows


def _facts(scope: RevenueScope) -> Subquery:
    """One row an invoice, or one a line: when it counts, for whom, in which state, how much."""
    by_period = scope.basis == "billingPeriod"
    statement = _by_line() if by_period else _by_invoice()
    at = col(InvoiceLine.period_start) if by_period else col(Invoice.issued_at)
    facts: Subquery = (
        _narrow(statement, scope)
        .add_columns(_bucket(at, scope).label("bucket"), _group(scope).label("grouped"))
        .where(at >= scope.start, at < scope.end)
        .subquery("facts")
    )
    return facts


def _narrow(statement: Statement, scope: RevenueScope) -> Statement:
    statement = statement.where(
        col(Invoice.merchant_id) == scope.merchant_id,
        col(Invoice.issued_at).is_not(None),
        col(Invoice.status).in_(ISSUED),
    )
    if scope.currency is not None:
        statement = statement.where(col(Invoice.currency) == scope.currency)
    if scope.customer_id is not None:
        statement = statement.where(col(Invoice.customer_id) == scope.customer_id)
    if scope.subscription_ids:
        statement = statement.where(col(Invoice.subscription_id).in_(scope.subscription_ids))
    return statement


def _by_invoice() -> Statement:
    is_rebate = (col(InvoiceLine.kind) == "metric") & (col(InvoiceLine.total_price) < 0)
    rebates = (
        columns(
            col(InvoiceLine.invoice_id).label("invoice_id"),
            func.sum(-col(InvoiceLine.total_price)).label("amount"),
            func.count().label("count"),
        )
        .where(is_rebate, col(InvoiceLine.invoice_id) == col(Invoice.id))
        .group_by(col(InvoiceLine.invoice_id))
        .correlate(Invoice)
        .lateral("rebates")
    )
    return (
        columns(
            *_whose(),
            (col(Invoice.subtotal) - col(Invoice.wallet_charge)).label("net"),
            col(Invoice.grand_total).label("gross"),
            (col(Invoice.grand_total) - col(Invoice.paid_amount)).label("owed"),
            func.coalesce(rebates.c.amount, 0).label("rebate"),
            func.coalesce(rebates.c.count, 0).label("rebate_count"),
        )
        .select_from(Invoice)
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id))
        .outerjoin(rebates, literal(value=True))
    )


def _by_line() -> Statement:
    is_rebate = (col(InvoiceLine.kind) == "metric") & (col(InvoiceLine.total_price) < 0)
    is_owed = col(Invoice.status).in_(OUTSTANDING)
    return (
        columns(
            *_whose(),
            case((col(InvoiceLine.kind) == "wallet", 0), else_=InvoiceLine.total_price).label(
                "net"
            ),
            col(InvoiceLine.total_amount).label("gross"),
            case((is_owed, InvoiceLine.total_amount), else_=0).label("owed"),
            case((is_rebate, -col(InvoiceLine.total_price)), else_=0).label("rebate"),
            case((is_rebate, 1), else_=0).label("rebate_count"),
        )
        .select_from(Invoice)
        .join(Subscription, col(Subscription.id) == col(Invoice.subscription_id))
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == col(Invoice.id))
    )


def _whose() -> tuple[SQLColumnExpression[Any], ...]:
    return (
        col(Invoice.id).label("invoice_id"),
        col(Invoice.currency).label("currency"),
        col(Invoice.status).label("status"),
    )


def _group(scope: RevenueScope) -> SQLColumnExpression[Any]:
    if scope.grouping == "plan":
        return col(Subscription.plan_id)
    return col(Invoice.customer_id) if scope.grouping == "customer" else cast(null(), Text)


def _bucket(at: SQLColumnExpression[Any], scope: RevenueScope) -> SQLColumnExpression[Any]:
    """The start of the hour, day or ISO week of UTC; the first bucket begins with the window."""
    start = literal(scope.start, DateTime(timezone=True))
    return func.greatest(func.date_trunc(literal(scope.width), at, literal("UTC")), start)
