"""Customer credits: what ended subscriptions could not give back on an invoice any more."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, exact, instant, money, stored_at


class CustomerCredit(Table, table=True):
    """The rest of one credit behind the last invoice of its subscription; amounts are positive."""

    __tablename__ = "customer_credits"
    __table_args__ = (
        Index("ix_customer_credits_newest", "merchant_id", "created_at", "id"),
        Index("ix_customer_credits_subscription", "subscription_id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    invoice_id: str = Field(foreign_key="invoices.id")
    """The last one, which could not bear it."""
    line_id: str
    """The waiting manual line, or the line of late usage, whose rest it is."""
    display_name: str
    currency: str
    rest: Decimal = exact()
    """Unrounded, as the plan states prices: with its tax inside where that is inclusive."""
    tax_behavior: str
    tax_rate: Decimal = exact()
    subtotal: Decimal = money()
    tax: Decimal = money()
    total: Decimal = money()
    status: str = "standing"
    arisen_at: datetime = instant()
    settled_at: datetime | None = instant(nullable=True)
    reason: str | None = None
    """Why it was paid out or waived."""
    moved_to: str | None = Field(default=None, foreign_key="manual_lines.id")
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
