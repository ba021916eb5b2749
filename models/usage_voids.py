"""Voided usage events: what shall not count although it was reported; the event itself stays."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, instant, stored_at


class UsageVoid(Table, table=True):
    """Says that an event counts no more, and why; the event's type and time stand beside it."""

    __tablename__ = "usage_voids"
    __table_args__ = (Index("ix_usage_voids_type", "merchant_id", "type", "timestamp"),)

    event_id: UUID = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    type: str
    timestamp: datetime = instant()
    """When the voided event happened."""
    reason: str
    voided_by: str
    """The user whose key asked for it."""
    created_at: datetime = stored_at()
