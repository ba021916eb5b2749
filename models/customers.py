"""Customers: the pair of a merchant and a consumer organization, and the cards they saved."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, func, text
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class Consumer(Table, table=True):
    """An organization that buys; managed by one merchant, without a login."""

    __tablename__ = "consumers"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    name: str
    email: str
    phone: str | None = None
    address: dict[str, Any] = document(default_factory=dict)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


Index("uq_consumers_email", Consumer.merchant_id, func.lower(Consumer.email), unique=True)


class Customer(Table, table=True):
    """A consumer as this merchant's customer; deleted softly."""

    __tablename__ = "customers"
    __table_args__ = (
        Index("ix_customers_newest", "merchant_id", "created_at", "id"),
        Index(
            "uq_customers_consumer",
            "merchant_id",
            "consumer_id",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "uq_customers_external_id",
            "merchant_id",
            "external_id",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    consumer_id: str = Field(foreign_key="consumers.id")
    external_id: str | None = None
    tax_id: str | None = None
    locale: str | None = None
    """How its documents are written, as BCP 47 has it ("de-AT"); null: in English."""
    tax_rates: dict[str, Any] = document(default_factory=dict)
    """Percent by metric id, plan id or `default`, as decimal strings."""
    notification_settings: dict[str, Any] = document(default_factory=dict)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    deleted_at: datetime | None = instant(nullable=True)


class PaymentMethod(Table, table=True):
    """A saved card as the gateway knows it: its token and what may be shown, never its number."""

    __tablename__ = "payment_methods"
    __table_args__ = (
        UniqueConstraint("customer_id", "gateway_method_id"),
        Index("ix_payment_methods_newest", "merchant_id", "customer_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    gateway_method_id: str
    type: str = "card"
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    created_at: datetime = stored_at()
