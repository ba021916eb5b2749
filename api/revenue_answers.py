"""The shapes of the revenue report; what is in them is summed elsewhere."""

from typing import Literal

from pydantic import Field

from api.schema import Absent, Instant, Wire


class CategorySummary(Wire):
    """Invoices in one state, tax included."""

    count: int
    amount: str


class InvoiceSummary(Wire):
    """Invoices by what has become of them."""

    issued: CategorySummary
    outstanding: CategorySummary
    paid: CategorySummary
    written_off: CategorySummary


class PaymentSummary(Wire):
    """Payment links, which are beside revenue and not in it."""

    completed_count: int
    completed_amount: str
    pending_count: int
    pending_amount: str
    expired_count: int
    expired_amount: str


class GroupTrend(Wire):
    """A group's revenue in a bucket."""

    group_key: str
    group_label: str
    revenue: str
    issued_invoices: str


class TrendBucket(Wire):
    """Revenue from one instant to the next bucket's."""

    timestamp: Instant
    revenue: str
    issued_invoices: str
    written_off_invoices: str
    completed_payments: str
    rebates: str
    group_breakdown: Absent[list[GroupTrend]] = None


class GroupSummary(Wire):
    """A group's invoices."""

    group_key: str
    group_label: str
    outstanding: CategorySummary
    paid: CategorySummary
    written_off: CategorySummary


class CurrencyEntry(Wire):
    """The report in one currency."""

    currency: str
    net_revenue: str
    invoices: InvoiceSummary
    payments: PaymentSummary
    trend: list[TrendBucket]


class RevenueRange(Wire):
    """When there is any revenue at all; both instants belong to it."""

    from_: Instant = Field(alias="from")
    to: Instant


class RevenueSummary(Wire):
    """The report; by currency it has its figures in the breakdown only."""

    object: Literal["revenue_summary"] = "revenue_summary"
    currency: Absent[str] = None
    net_revenue: Absent[str] = None
    total_refunds: Absent[str] = None
    refund_count: Absent[int] = None
    total_rebates: Absent[str] = None
    rebate_count: Absent[int] = None
    invoices: Absent[InvoiceSummary] = None
    payments: Absent[PaymentSummary] = None
    trend: Absent[list[TrendBucket]] = None
    group_breakdown: Absent[list[GroupSummary]] = None
    currency_breakdown: Absent[list[CurrencyEntry]] = None


class EmptyRevenueSummary(RevenueSummary):
    """The report of a window without anything: it says where to look instead, or null."""

    revenue_range: RevenueRange | None
