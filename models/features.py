"""Features: what an entitlement gives access to."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class Feature(Table, table=True):
    """A feature of a product; its key is unique per product while it lives."""

    __tablename__ = "features"
    __table_args__ = (
        Index(
            "uq_features_key",
            "product_id",
            "key",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_features_newest", "merchant_id", "product_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    product_id: str = Field(foreign_key="products.id")
    key: str
    name: str
    type: str
    custom: dict[str, Any] = document(default_factory=dict)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    deleted_at: datetime | None = instant(nullable=True)
