"""Usage events: the only truth of metering; a row is never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, text
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field

from models.base import Table, document, instant, stored_at


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's `xid8`: the storing transaction, for an invoice's usage watermark."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "xid8"


class UsageEvent(Table, table=True):
    """One metered fact; `id` is a 128-bit hash of (merchant, source, key), the only unique key."""

    __tablename__ = "usage_events"
    __table_args__ = (
        Index("ix_usage_events_subject", "merchant_id", "subject", "type", "timestamp"),
        Index(
            "ix_usage_events_external_subject",
            "merchant_id",
            "external_subject",
            "type",
            "timestamp",
            postgresql_where=text("external_subject IS NOT NULL"),
        ),
        Index("ix_usage_events_type", "merchant_id", "type", "timestamp"),
    )

    id: UUID = Field(primary_key=True)
    merchant_id: str
    source: str
    idempotency_key: str
    type: str
    subject: str | None = None
    external_subject: str | None = None
    external_id: str | None = None
    timestamp: datetime = instant()
    properties: dict[str, Any] = document()
    """The wire's `data`; numbers keep every digit (jsonb numbers are exact)."""
    transaction_id: int | None = Field(
        default=None,
        sa_column=Column(
            TransactionId(), nullable=False, server_default=text("pg_current_xact_id()")
        ),
    )
    created_at: datetime = stored_at()
