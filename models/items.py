"""Items: the accounting identity of what is sold; codes of other systems stand in references."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class Item(Table, table=True):
    """An item, filed under a product or under none; archived, never deleted."""

    __tablename__ = "items"
    __table_args__ = (Index("ix_items_newest", "merchant_id", "created_at", "id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    catalog_id: str | None = Field(default=None, foreign_key="products.id")
    name: str
    custom: dict[str, Any] = document(default_factory=dict)
    """The wire's `metadata`."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    archived_at: datetime | None = instant(nullable=True)
