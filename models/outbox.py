"""The outbox: what a committed fact still owes, written in the transaction of the fact."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class OutboxRow(Table, table=True):
    """A workflow to be started under its derived id; sent once, repeated safely."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_pending", "created_at", postgresql_where=text("sent_at IS NULL")),
    )

    workflow_id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    workflow_type: str
    argument: dict[str, Any] = document()
    created_at: datetime = stored_at()
    sent_at: datetime | None = instant(nullable=True)
