"""Fees: fixed charges of a product; amounts and cadence live on their prices."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, instant, stored_at


class Fee(Table, table=True):
    """A fee; deleted softly, since old invoices keep naming it."""

    __tablename__ = "fees"
    __table_args__ = (Index("ix_fees_newest", "merchant_id", "created_at", "id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    product_id: str = Field(foreign_key="products.id")
    item_id: str | None = Field(default=None, foreign_key="items.id", index=True)
    name: str
    description: str
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    deleted_at: datetime | None = instant(nullable=True)
