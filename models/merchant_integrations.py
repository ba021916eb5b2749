"""Merchant integrations: that a merchant is connected to another system; nothing calls it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class MerchantIntegration(Table, table=True):
    """A connection, one a provider; disconnected softly."""

    __tablename__ = "merchant_integrations"
    __table_args__ = (
        UniqueConstraint("merchant_id", "provider"),
        Index("ix_merchant_integrations_newest", "merchant_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    provider: str
    external_id: str | None = None
    status: str = "active"
    """active, disconnected or error."""
    config: dict[str, Any] = document(default_factory=dict)
    custom: dict[str, Any] = document(default_factory=dict)
    connected_at: datetime = instant()
    disconnected_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
