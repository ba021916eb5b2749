"""Subscriptions: a customer's promise to pay for a plan."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Table, document, instant, money, stored_at


class Subscription(Table, table=True):
    """The row that the Subscription workflow writes; states in `billing.subscriptions`."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_newest", "merchant_id", "created_at", "id"),
        Index("ix_subscriptions_customer", "merchant_id", "customer_id", "created_at"),
        # One living subscription of a plan per customer: the same request twice makes one.
        Index(
            "uq_subscriptions_living",
            "customer_id",
            "plan_id",
            unique=True,
            postgresql_where=text("status <> 'terminated'"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    plan_id: str = Field(foreign_key="plans.id")
    plan_version_id: str = Field(foreign_key="plan_versions.id")
    test_clock_id: str | None = Field(default=None, foreign_key="test_clocks.id", index=True)
    name: str
    status: str
    currency: str
    started_at: datetime = instant()
    billing_starts_at: datetime | None = instant(nullable=True)
    billing_anchor: datetime = instant()
    billing_cadence: str
    earlier_cycles: list[dict[str, Any]] = document(default_factory=list)
    """Anchors and cadences from before plans of other cadences (`billing.cycles`)."""
    elapsed_period_billing: str | None = None
    version_policy: str = "floating"
    next_version_id: str | None = Field(default=None, foreign_key="plan_versions.id")
    """The version of the next period, where a migration has named one (pinned only)."""
    next_version_bills_arrears: bool = False
    """Whether it bills the arrears of the running period already."""
    next_cycles: dict[str, Any] | None = document(nullable=True, default=None)
    """How often the plan of that version is billed, where it is another plan."""
    auto_charge: bool = False
    tax_exempt: bool = False
    payment_term_days: int = 0
    minimum_account_balance: Decimal | None = money(nullable=True)
    """What the wallet is topped up to at each start of a period (version 0 plans only)."""
    session_expires_at: datetime | None = instant(nullable=True)
    """When the first invoice's checkout expires; null when nothing was due at the start."""
    paused_at: datetime | None = instant(nullable=True)
    """Since when nothing is billed; null: it is billed."""
    ending_at: datetime | None = instant(nullable=True)
    terminated_at: datetime | None = instant(nullable=True)
    terminated_by: str | None = None
    termination_reason: str | None = None
    termination_change_reason: str | None = None
    renewal_reminder_enabled: bool | None = None
    renewal_reminder_days: int | None = None
    redirect_urls: dict[str, Any] | None = document(nullable=True, default=None)
    custom: dict[str, Any] = document(default_factory=dict)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
