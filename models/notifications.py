"""Notifications: what a customer was to be told, and when; sending it is somebody else's."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class Notification(Table, table=True):
    """One thing to tell; its id is derived from what it tells of, so that it is told once."""

    __tablename__ = "notifications"
    __table_args__ = (Index("ix_notifications_newest", "merchant_id", "created_at", "id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    subscription_id: str = Field(foreign_key="subscriptions.id", index=True)
    kind: str
    """`renewal_reminder` or `payment_link`."""
    object_id: str
    """The invoice that the renewal closes, or the session that is linked."""
    told_at: datetime = instant()
    """In the subscription's time."""
    content: dict[str, Any] = document(default_factory=dict)
    created_at: datetime = stored_at()
