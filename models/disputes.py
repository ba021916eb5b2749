"""Disputes: a customer's objection to a charged use, and how the merchant answered."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Table, instant, money, stored_at


class Dispute(Table, table=True):
    """One a use; `pending`, then `accepted` (which refunds the use) or `declined`."""

    __tablename__ = "disputes"
    __table_args__ = (
        UniqueConstraint("usage_charge_id"),
        Index("ix_disputes_newest", "merchant_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    usage_charge_id: str = Field(foreign_key="usage_charges.id")
    customer_id: str = Field(foreign_key="customers.id")
    status: str
    customer_message: str
    merchant_message: str | None = None
    currency: str
    disputed_amount: Decimal = money()
    resolved_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
