"""A subscription's own terms over time, and the record of their changes."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Table, document, exact, instant, stored_at


class SubscriptionInterval(Table, table=True):
    """What is billed under a key in place of the plan's line, or beside the plan."""

    __tablename__ = "subscription_intervals"
    __table_args__ = (
        Index(
            "ix_subscription_intervals_standing",
            "subscription_id",
            "start_date",
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    price_id: str = Field(foreign_key="prices.id")
    plan_version_id: str = Field(foreign_key="plan_versions.id")
    price_key: str
    kind: str
    unit_price: Decimal | None = exact(nullable=True)
    """Null: the catalogue's."""
    base_quantity: Decimal = exact()
    quantity_transitions: list[list[str]] = document(default_factory=list)
    """Pairs of an instant and a quantity, as texts."""
    billing_cadence: str
    billing_mode: str
    bill_date: datetime | None = instant(nullable=True)
    start_date: datetime = instant()
    end_date: datetime | None = instant(nullable=True)
    ends_key: bool = False
    """Whether the plan's line does not come back after it."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    removed_at: datetime | None = instant(nullable=True)


class IntervalChange(Table, table=True):
    """One request that changed intervals, each before and after; append only."""

    __tablename__ = "interval_changes"
    __table_args__ = (
        Index("ix_interval_changes_oldest", "merchant_id", "created_at", "id"),
        Index("ix_interval_changes_subscription", "subscription_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    change_reason: str
    description: str | None = None
    custom: dict[str, Any] = document(default_factory=dict)
    entries: list[dict[str, Any]] = document(default_factory=list)
    """Interval id, before and after, as the wire shows them."""
    created_at: datetime = stored_at()
