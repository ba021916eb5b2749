"""Billable metrics: how events become a quantity."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class BillableMetric(Table, table=True):
    """A metric of a product; aggregation and product never change, and it is never deleted."""

    __tablename__ = "billable_metrics"
    __table_args__ = (
        Index("ix_billable_metrics_newest", "merchant_id", "created_at", "id"),
        Index("ix_billable_metrics_event_type", "merchant_id", "event_type"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    product_id: str = Field(foreign_key="products.id")
    item_id: str | None = Field(default=None, foreign_key="items.id", index=True)
    name: str
    description: str
    unit: str
    aggregation: str
    event_type: str
    value_property: str | None = None
    group_by: dict[str, Any] | None = document(nullable=True, default=None)
    event_from: datetime | None = instant(nullable=True)
    late_usage: str = "bill"
    """What becomes of usage that arrives after its period was billed: `bill` or `ignore`."""
    daily_rollup: bool = False
    """Whether its days are summed every night, for reading it faster (SUM and COUNT only)."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
