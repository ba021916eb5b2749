"""The revenue report on the wire: billings without tax, by bucket, group and currency."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import OwnMerchant, Session
from api.idempotency import KeptRoute
from api.revenue_answers import (
    CategorySummary,
    CurrencyEntry,
    EmptyRevenueSummary,
    GroupSummary,
    GroupTrend,
    InvoiceSummary,
    PaymentSummary,
    RevenueRange,
    RevenueSummary,
    TrendBucket,
)
from api.schema import Currency, CustomerId, Instant, SubscriptionId
from billing.currencies import is_currency
from billing.errors import InvalidValue
from billing.money import amount_text, exact
from billing.periods import Period
from billing.revenue import BucketWidth, buckets, net_revenue
from models.queries import revenue
from models.queries.revenue import (
    OUTSTANDING,
    Basis,
    Grouping,
    PaymentRow,
    RefundRow,
    RevenueScope,
    StandingRow,
    TrendRow,
)

router = APIRouter(prefix="/v0/revenue", tags=["Revenue"], route_class=KeptRoute)

CURRENCY_DEFAULT = "USD"
SUBSCRIPTIONS_MAX = 100
# So many groups are shown; where there are more, the last place is what the others come to.
GROUPS_MAX: Mapping[Grouping, int] = {"plan": 5, "customer": 25}
OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Figures:
    """Everything that was read for a report, in one currency or in several."""

    trend: Sequence[TrendRow]
    standing: Sequence[StandingRow]
    payments: Sequence[PaymentRow]
    refunds: Sequence[RefundRow]

    @property
    def net(self) -> Decimal:
        return net_revenue((row.net for row in self.standing), (row.amount for row in self.refunds))

    def of(self, currency: str) -> "_Figures":
        return _Figures(
            [row for row in self.trend if row.currency == currency],
            [row for row in self.standing if row.currency == currency],
            [row for row in self.payments if row.currency == currency],
            [row for row in self.refunds if row.currency == currency],
        )

    @property
    def currencies(self) -> set[str]:
        sold = {row.currency for row in self.standing}
        returned = {row.currency for row in self.refunds}
        return sold | returned | {row.currency for row in self.payments}


@dataclass(frozen=True, slots=True)
class _Groups:
    """Which groups stand for themselves, and how all are called."""

    names: Mapping[str, str]
    shown: Sequence[str]

    def key(self, group: str | None) -> str:
        return group if group is not None and group in self.shown else OTHER

    def label(self, key: str) -> str:
        return self.names.get(key, "Other" if key == OTHER else key)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report is asked for."""

    scope: RevenueScope
    windows: Sequence[Period]
    by_currency: bool


async def wanted_figures(
    merchant_id: OwnMerchant,
    currency: Currency | None = None,
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
    subscription_ids: Annotated[
        list[SubscriptionId] | None, Query(alias="subscriptionIds", max_length=SUBSCRIPTIONS_MAX)
    ] = None,
    period_basis: Annotated[Basis, Query(alias="periodBasis")] = "issued",
) -> Callable[[datetime, datetime, BucketWidth], RevenueScope]:
    """What the report is narrowed to; its window is read apart."""
    if currency is not None and not is_currency(currency):
        raise InvalidValue("Not a currency of ISO 4217", field="currency")

    def scope(start: datetime, end: datetime, width: BucketWidth) -> RevenueScope:
        return RevenueScope(
            merchant_id=merchant_id,
            start=start,
            end=end,
            width=width,
            basis=period_basis,
            currency=currency,
            customer_id=customer_id,
            subscription_ids=tuple(subscription_ids or ()),
        )

    return scope


async def wanted_report(
    scope: Annotated[
        Callable[[datetime, datetime, BucketWidth], RevenueScope], Depends(wanted_figures)
    ],
    start: Annotated[Instant, Query(alias="startTime")],
    end: Annotated[Instant, Query(alias="endTime")],
    width: Annotated[BucketWidth, Query(alias="bucketWidth")] = "day",
    group_by: Annotated[Grouping | Literal["currency"] | None, Query(alias="groupBy")] = None,
) -> Wanted:
    """The report's window, cut into buckets, and its grouping."""
    if end <= start:
        raise InvalidValue("Must lie after startTime", field="endTime")
    grouping = None if group_by == "currency" else group_by
    narrowed = replace(scope(start, end, width), grouping=grouping)
    return Wanted(narrowed, buckets(start, end, width), group_by == "currency")


@router.get("", operation_id="getRevenue")
async def get_revenue(
    wanted: Annotated[Wanted, Depends(wanted_report)], session: Session
) -> EmptyRevenueSummary | RevenueSummary:
    """Get what was billed in a window, without tax, with its course over time."""
    scope = wanted.scope
    primary = await revenue.primary_currency(session, scope.merchant_id) or CURRENCY_DEFAULT
    if scope.currency is None and not wanted.by_currency:
        scope = replace(scope, currency=primary)
    figures = await _read(session, scope)
    if wanted.by_currency:
        summary = _by_currency(figures, wanted, primary)
    else:
        groups = None if scope.grouping is None else await _groups(session, scope, figures)
        summary = _summary(figures, wanted, scope.currency or primary, groups)
    if figures.currencies:
        return summary
    found = await revenue.issue_range(session, scope)
    shown = None if found is None else RevenueRange(from_=found[0], to=found[1])
    return EmptyRevenueSummary(**dict(summary), revenue_range=shown)


async def _read(session: AsyncSession, scope: RevenueScope) -> _Figures:
    # A payment link bills no period.
    has_payments = scope.basis == "issued"
    return _Figures(
        await revenue.trend(session, scope),
        await revenue.standing(session, scope),
        await revenue.payment_links(session, scope) if has_payments else [],
        await revenue.refunds(session, scope),
    )


async def _groups(session: AsyncSession, scope: RevenueScope, figures: _Figures) -> _Groups:
    """The groups with the most revenue; one too many, and the last make room for the others."""
    assert scope.grouping is not None
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    with exact():
        for row in figures.standing:
            totals[row.group or OTHER] += row.net
        for refund in figures.refunds:
            totals[refund.group or OTHER] -= refund.amount
    ordered = sorted(totals, key=lambda key: (-totals[key], key))
    places = GROUPS_MAX[scope.grouping]
    shown = ordered if len(ordered) <= places else ordered[: places - 1]
    names = await revenue.group_names(session, scope.merchant_id, scope.grouping, shown)
    return _Groups(names, shown)


def _by_currency(figures: _Figures, wanted: Wanted, primary: str) -> RevenueSummary:
    ordered = sorted(figures.currencies, key=lambda currency: (currency != primary, currency))
    entries = []
    for currency in ordered:
        own = figures.of(currency)
        entries.append(
            CurrencyEntry(
                currency=currency,
                net_revenue=amount_text(own.net, currency),
                invoices=_invoices(own.standing, currency),
                payments=_payments(own.payments, currency),
                trend=_trend(own, wanted.windows, currency, None),
            )
        )
    return RevenueSummary(currency_breakdown=entries)


def _summary(
    figures: _Figures, wanted: Wanted, currency: str, groups: _Groups | None
) -> RevenueSummary:
    return RevenueSummary(
        currency=currency,
        net_revenue=amount_text(figures.net, currency),
        total_refunds=_text((row.amount for row in figures.refunds), currency),
        refund_count=len({each for row in figures.refunds for each in row.ids}),
        total_rebates=_text((row.rebates for row in figures.standing), currency),
        rebate_count=sum(row.rebate_count for row in figures.standing),
        invoices=_invoices(figures.standing, currency),
        payments=_payments(figures.payments, currency),
        trend=_trend(figures, wanted.windows, currency, groups),
        group_breakdown=None if groups is None else _breakdown(figures, currency, groups),
    )


def _text(amounts: Iterable[Decimal], currency: str) -> str:
    with exact():
        return amount_text(sum(amounts, Decimal(0)), currency)


def _category(rows: Iterable[StandingRow], currency: str) -> CategorySummary:
    found = list(rows)
    return CategorySummary(
        count=sum(row.count for row in found),
        amount=_text((row.amount for row in found), currency),
    )


def _outstanding(rows: Iterable[StandingRow], currency: str) -> CategorySummary:
    """What is still owed; all else is what it came to."""
    found = [row for row in rows if row.status in OUTSTANDING]
    return CategorySummary(
        count=sum(row.count for row in found), amount=_text((row.owed for row in found), currency)
    )


def _in_state(rows: Iterable[StandingRow], status: str) -> list[StandingRow]:
    return [row for row in rows if row.status == status]


def _invoices(rows: Sequence[StandingRow], currency: str) -> InvoiceSummary:
    return InvoiceSummary(
        issued=_category(rows, currency),
        outstanding=_outstanding(rows, currency),
        paid=_category(_in_state(rows, "PAID"), currency),
        written_off=_category(_in_state(rows, "WRITTEN_OFF"), currency),
    )


def _payments(rows: Sequence[PaymentRow], currency: str) -> PaymentSummary:
    def count(*statuses: str) -> int:
        return sum(row.count for row in rows if row.status in statuses)

    def amount(*statuses: str) -> str:
        return _text((row.amount for row in rows if row.status in statuses), currency)

    return PaymentSummary(
        completed_count=count("completed"),
        completed_amount=amount("completed"),
        pending_count=count("pending", "processing"),
        pending_amount=amount("pending", "processing"),
        expired_count=count("expired"),
        expired_amount=amount("expired"),
    )


def _trend(
    figures: _Figures, windows: Sequence[Period], currency: str, groups: _Groups | None
) -> list[TrendBucket]:
    """Every bucket of the window, also those in which nothing was billed."""
    sold: defaultdict[datetime, list[TrendRow]] = defaultdict(list)
    for row in figures.trend:
        sold[row.bucket].append(row)
    answers = []
    for window in windows:
        rows = sold[window.start]
        paid = (row.amount for row in figures.payments if row.bucket == window.start)
        back = [row for row in figures.refunds if row.bucket == window.start]
        answers.append(
            TrendBucket(
                timestamp=window.start,
                revenue=_net(rows, back, currency),
                issued_invoices=_text((row.net for row in rows), currency),
                written_off_invoices=_text((row.written_off for row in rows), currency),
                completed_payments=_text(paid, currency),
                rebates=_text((row.rebates for row in rows), currency),
                group_breakdown=None
                if groups is None
                else _group_trend(rows, back, currency, groups),
            )
        )
    return answers


def _net(sold: Iterable[TrendRow], back: Iterable[RefundRow], currency: str) -> str:
    net = net_revenue((row.net for row in sold), (row.amount for row in back))
    return amount_text(net, currency)


def _group_trend(
    rows: Iterable[TrendRow], back: Iterable[RefundRow], currency: str, groups: _Groups
) -> list[GroupTrend]:
    sold: defaultdict[str, list[TrendRow]] = defaultdict(list)
    returned: defaultdict[str, list[RefundRow]] = defaultdict(list)
    for row in rows:
        sold[groups.key(row.group)].append(row)
    for refund in back:
        returned[groups.key(refund.group)].append(refund)
    return [
        GroupTrend(
            group_key=key,
            group_label=groups.label(key),
            revenue=_net(sold[key], returned[key], currency),
            issued_invoices=_text((row.net for row in sold[key]), currency),
        )
        for key in (*groups.shown, OTHER)
        if key in sold or key in returned
    ]


def _breakdown(figures: _Figures, currency: str, groups: _Groups) -> list[GroupSummary]:
    members: defaultdict[str, list[StandingRow]] = defaultdict(list)
    for row in figures.standing:
        members[groups.key(row.group)].append(row)
    return [
        GroupSummary(
            group_key=key,
            group_label=groups.label(key),
            outstanding=_outstanding(members[key], currency),
            paid=_category(_in_state(members[key], "PAID"), currency),
            written_off=_category(_in_state(members[key], "WRITTEN_OFF"), currency),
        )
        for key in (*groups.shown, OTHER)
        if key in members
    ]
