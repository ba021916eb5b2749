"""Reservations of funds (the contract's version 0 entitlements): holds on a customer's wallet."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, instant, money, stored_at


class Reservation(Table, table=True):
    """A hold; resolved once: consumed, released or expired. Past `expires_at` it holds nothing."""

    __tablename__ = "reservations"
    __table_args__ = (Index("ix_reservations_customer", "merchant_id", "customer_id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    status: str
    """`reserved`, then `consumed`, `released` or `expired`."""
    items: list[dict[str, Any]] = document()
    currency: str
    amount: Decimal = money()
    consumed_amount: Decimal = money()
    max_uses: int = 1
    used_count: int = 0
    expires_at: datetime = instant()
    resolved_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
