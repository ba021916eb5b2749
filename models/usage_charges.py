"""Usage that is charged by itself (the contract's version 0 usage events): priced, then paid."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from models.base import Table, document, exact, instant, money, stored_at


class UsageCharge(Table, table=True):
    """One use of one or more metrics; paid at once, or accrued on an invoice that is open."""

    __tablename__ = "usage_charges"
    __table_args__ = (
        UniqueConstraint("merchant_id", "idempotency_key"),
        Index("ix_usage_charges_newest", "merchant_id", "timestamp", "id"),
        Index("ix_usage_charges_customer", "merchant_id", "customer_id", "timestamp"),
        Index(
            "ix_usage_charges_invoice",
            "invoice_id",
            postgresql_where=text("invoice_id IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    reservation_id: str | None = Field(default=None, foreign_key="reservations.id")
    """The hold that was to pay for it."""
    invoice_id: str | None = Field(default=None, foreign_key="invoices.id")
    """The invoice, open at the time, on which the part in arrears accrues."""
    idempotency_key: str
    timestamp: datetime = instant()
    custom: dict[str, Any] = document(default_factory=dict)
    currency: str
    paid_price: Decimal = money()
    """What was paid at once, without tax, to a billionth."""
    paid_tax: Decimal = money()
    held_amount: Decimal = money()
    """The part of it that the hold paid; the wallet paid the rest."""
    refunded_at: datetime | None = instant(nullable=True)
    refund_reason: str | None = None
    is_refund_owed: bool = False
    """It was refunded after its invoice had been drafted: the next one gives it back."""
    created_at: datetime = stored_at()


class UsageChargeItem(Table, table=True):
    """One metric's part of a use, with the price that it met."""

    __tablename__ = "usage_charge_items"

    usage_charge_id: str = Field(primary_key=True, foreign_key="usage_charges.id")
    position: int = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    billable_metric_id: str = Field(foreign_key="billable_metrics.id")
    price_id: str = Field(foreign_key="prices.id")
    quantity: Decimal = exact()
    unit_price: Decimal | None = exact(nullable=True, default=None)
    """What a dynamic price's use brought along."""
    is_accrued: bool = False
    """Whether it is billed on the invoice instead of being paid at once."""
    price: Decimal = exact()
    """Without tax, unrounded; of an accrued item what it would cost alone."""
    tax: Decimal = exact()
