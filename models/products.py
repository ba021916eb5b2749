"""Products: what a merchant sells, the parent of metrics, fees, features and plans."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, stored_at


class Product(Table, table=True):
    """A product; it is never deleted."""

    __tablename__ = "products"
    __table_args__ = (Index("ix_products_newest", "merchant_id", "created_at", "id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    name: str
    description: str
    custom: dict[str, Any] = document(default_factory=dict)
    """The wire's `metadata` (SQLModel keeps that name for itself)."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
