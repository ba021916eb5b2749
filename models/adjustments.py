"""Adjustments: the terms of a deal with one customer, beside his plan's prices."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Table, document, exact, instant, stored_at


class Adjustment(Table, table=True):
    """One adjustment of a subscription; what it means for a charge: `billing.adjustments`.

    Soft-deleted, because a draft may have billed it and late usage is billed as its period was.
    """

    __tablename__ = "adjustments"
    __table_args__ = (
        UniqueConstraint("subscription_id", "idempotency_key"),
        Index("ix_adjustments_window", "subscription_id", "effective_from", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    kind: str
    value: Decimal = exact()
    target_price_ids: list[str] = document(default_factory=list)
    target_key: str | None = None
    """The plan's key of the target: the same charge under another price id, or in a version."""
    effective_from: datetime = instant()
    effective_to: datetime | None = instant(nullable=True)
    description: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    deleted_at: datetime | None = instant(nullable=True)
