"""Entitlements to features (the contract's version 1), and the grants that fill their balances."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from models.base import Table, document, exact, instant, stored_at


class Entitlement(Table, table=True):
    """A customer's access to a feature; its terms are frozen from the price that gave it."""

    __tablename__ = "entitlements"
    __table_args__ = (
        Index(
            "uq_entitlements_standing",
            "subscription_id",
            "feature_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index("ix_entitlements_customer", "merchant_id", "customer_id", "created_at", "id"),
        Index("ix_entitlements_subscription", "subscription_id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    feature_id: str = Field(foreign_key="features.id", index=True)
    subscription_id: str | None = Field(default=None, foreign_key="subscriptions.id")
    """Null: given by hand, whatever the customer subscribes to."""
    billable_metric_id: str | None = Field(default=None, foreign_key="billable_metrics.id")
    """What uses a metered one up."""
    template: dict[str, Any] | None = document(nullable=True, default=None)
    """What is allowed of it; null: access without an allowance."""
    earlier_terms: list[dict[str, Any]] = document(default_factory=list)
    """Terms that a version has changed: the template, the metric, and `until` when they held."""
    origin: str
    """`plan`: given by a price of the subscription's plan."""
    status: str = "active"
    """`active`, or `canceled` at `active_to`."""
    active_from: datetime = instant()
    active_to: datetime | None = instant(nullable=True)
    custom: dict[str, Any] = document(default_factory=dict)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class EntitlementGrant(Table, table=True):
    """Units that a metered entitlement may use; what is left of them is counted, never stored."""

    __tablename__ = "entitlement_grants"
    __table_args__ = (UniqueConstraint("entitlement_id", "idempotency_key"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    entitlement_id: str = Field(foreign_key="entitlements.id")
    origin: str
    """`allowance`: given by the entitlement's template."""
    amount: Decimal = exact()
    priority: int = 0
    effective_at: datetime = instant()
    expires_at: datetime | None = instant(nullable=True)
    recurrence_period: str | None = None
    """ISO 8601; null: given once."""
    reset_max_rollover: Decimal | None = exact(nullable=True)
    """Null: without limit."""
    reset_min_rollover: Decimal = exact()
    idempotency_key: str | None = None
    voided_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
