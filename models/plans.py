"""Plans and their versions: the set of prices that a subscription bills."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Table, document, exact, instant, stored_at


class Plan(Table, table=True):
    """A plan; its prices stand in its versions' lines."""

    __tablename__ = "plans"
    __table_args__ = (Index("ix_plans_newest", "merchant_id", "created_at", "id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    product_id: str = Field(foreign_key="products.id")
    name: str
    description: str | None = None
    invoice_display_name: str | None = None
    currency: str
    billing_cadence: str
    billing_version: int = 1
    billing_anchor: datetime | None = instant(nullable=True)
    default_tax_code: str = "eservice"
    default_tax_rate: Decimal = exact()
    """Percent."""
    tax_behavior: str = "exclusive"
    renewal_reminder_enabled: bool = True
    renewal_reminder_days: int = 3
    credit_allocations: list[dict[str, Any]] = document(default_factory=list)
    stable_price_ids: bool = True
    version_transition: dict[str, Any] = document()
    default_version_id: str
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class PlanVersion(Table, table=True):
    """One complete price set of a plan; numbered from 1, and what it charges never changes."""

    __tablename__ = "plan_versions"
    __table_args__ = (UniqueConstraint("plan_id", "number"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    plan_id: str = Field(foreign_key="plans.id")
    number: int
    based_on_version_id: str | None = None
    """The default when this one was made."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class PlanLine(Table, table=True):
    """A price in a plan version, under a key that stays the same from version to version."""

    __tablename__ = "plan_lines"

    plan_version_id: str = Field(primary_key=True, foreign_key="plan_versions.id")
    key: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    price_id: str = Field(foreign_key="prices.id", index=True)
    position: int
