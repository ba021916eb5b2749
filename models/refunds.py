"""Refunds: credit notes that take a paid invoice back."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Table, instant, money, stored_at


class Refund(Table, table=True):
    """The whole of a paid invoice, given back; of one invoice at most one stands (`ISSUED`)."""

    __tablename__ = "refunds"
    __table_args__ = (
        Index(
            "uq_refunds_standing",
            "invoice_id",
            unique=True,
            postgresql_where=text("status = 'ISSUED'"),
        ),
        Index("ix_refunds_invoice", "invoice_id", "created_at"),
        Index("ix_refunds_issued", "merchant_id", "issued_at"),
        Index(
            "ix_refunds_unsettled",
            "created_at",
            postgresql_where=text("status = 'ISSUED' AND settled_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    invoice_id: str = Field(foreign_key="invoices.id")
    status: str
    """`ISSUED` or `VOIDED`."""
    currency: str
    amount: Decimal = money()
    """Without tax."""
    tax_amount: Decimal = money()
    total: Decimal = money()
    till: str
    """The account that the money leaves: the provider's clearing or the external one."""
    gateway_charge_id: str | None = None
    """The provider's charge that is given back; null when the merchant gives the money back."""
    gateway_refund_id: str | None = None
    reason: str | None = None
    void_reason: str | None = None
    issued_at: datetime = instant()
    settled_at: datetime | None = instant(nullable=True)
    """When the money went back and was booked; null while the provider has not confirmed it."""
    voided_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
