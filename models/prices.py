"""Prices: what a metric's unit or a fee costs; which plan uses one stands in plan version lines."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class Price(Table, table=True):
    """A price of exactly one metric or one fee; `properties` has the wire's shape of its model."""

    __tablename__ = "prices"
    __table_args__ = (Index("ix_prices_newest", "merchant_id", "created_at", "id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    billable_metric_id: str | None = Field(default=None, foreign_key="billable_metrics.id")
    fee_id: str | None = Field(default=None, foreign_key="fees.id")
    invoice_display_name: str
    invoice_display_group: str | None = None
    model: str
    properties: dict[str, Any] = document()
    payment_term: str
    billing_cadence: str | None = None
    quantity: int = 1
    is_obligation: bool = False
    grant_discount_enabled: bool = False
    rate_type: str | None = None
    tax: dict[str, Any] = document()
    feature_id: str | None = Field(default=None, foreign_key="features.id")
    entitlement_template: dict[str, Any] | None = document(nullable=True, default=None)
    """The attached feature's allowance; null: attached without one."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    deleted_at: datetime | None = instant(nullable=True)

    def value(self) -> dict[str, Any]:
        """All that the price says, without its identity."""
        return self.model_dump(
            exclude={"id", "merchant_id", "created_at", "updated_at", "deleted_at"}
        )
