"""Payments: one-off payments, hosted sessions and the attempts to charge a card."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Table, document, instant, money, stored_at


class Payment(Table, table=True):
    """A one-off payment that a merchant asks for; an invoice's collection has no such row."""

    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("merchant_id", "idempotency_key"),
        Index("ix_payments_newest", "merchant_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str | None = Field(default=None, foreign_key="customers.id")
    status: str
    amount: Decimal = money()
    currency: str
    idempotency_key: str | None = None
    request_digest: str | None = None
    """SHA-256 of the creating request: the same key with another body is refused."""
    reference: str | None = None
    custom: dict[str, Any] = document(default_factory=dict)
    line_items: list[dict[str, Any]] = document(default_factory=list)
    save_payment_method: bool = False
    expires_at: datetime = instant()
    completed_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class PaymentSession(Table, table=True):
    """A hosted page's session: pays an invoice or a payment, or only saves a card (`setup`)."""

    __tablename__ = "payment_sessions"
    __table_args__ = (
        Index("ix_payment_sessions_newest", "merchant_id", "created_at", "id"),
        Index("ix_payment_sessions_collection", "collection_id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    token: str = Field(unique=True)
    """The unguessable part of the page's address."""
    entity_type: str
    """`invoice`, `subscription`, `payment`, `topup`; `setup` is not listed."""
    entity_id: str
    collection_id: str
    """The invoice or payment that it pays; the customer when it only saves a card."""
    customer_id: str | None = Field(default=None, foreign_key="customers.id", index=True)
    subscription_id: str | None = Field(default=None, foreign_key="subscriptions.id", index=True)
    amount: Decimal = money()
    currency: str
    status: str
    save_payment_method: bool = False
    success_url: str | None = None
    failure_url: str | None = None
    custom: dict[str, Any] = document(default_factory=dict)
    provider_payment_ref: str | None = None
    expires_at: datetime | None = instant(nullable=True)
    completed_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class PaymentAttempt(Table, table=True):
    """One try to charge; its id is the gateway's idempotency key, so one try charges once."""

    __tablename__ = "payment_attempts"
    __table_args__ = (UniqueConstraint("collection_id", "number"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    collection_id: str
    number: int
    status: str
    """`pending` until the gateway's answer is recorded, then `succeeded` or `failed`."""
    origin: str
    """`automatic`, `checkout`, `retry` (the merchant's) or `out_of_band` (no provider saw it)."""
    amount: Decimal = money()
    currency: str
    gateway_method_id: str
    gateway_charge_id: str | None = None
    decline_code: str | None = None
    message: str | None = None
    attempted_at: datetime = instant()
    resolved_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
