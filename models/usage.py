"""Usage events: the only truth of metering; a row is never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, text
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field

from models.base import Table, document, exact, instant, stored_at


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's `xid8`: the storing transaction, for an invoice's usage watermark."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "xid8"


class UsageEvent(Table, table=True):
    """One metered fact; `id` is a 128-bit hash of (merchant, source, key), the only unique key.

    Each event stands in one covering index: by its subject, or, where it has none, by its
    external subject. Fixed widths come first, so that a row holds no padding.
    """

    __tablename__ = "usage_events"
    __table_args__ = (
        Index(
            "ix_usage_events_subject",
            "merchant_id",
            "type",
            "subject",
            "timestamp",
            postgresql_include=["quantity"],
            postgresql_where=text("subject IS NOT NULL"),
        ),
        Index(
            "ix_usage_events_external_subject",
            "merchant_id",
            "type",
            "external_subject",
            "timestamp",
            postgresql_include=["quantity"],
            postgresql_where=text("subject IS NULL"),
        ),
        # A few bytes for each range of blocks: it finds what was stored lately.
        Index(
            "ix_usage_events_created_at",
            "created_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": True},
        ),
    )

    id: UUID = Field(primary_key=True)
    timestamp: datetime = instant()
    created_at: datetime = stored_at()
    transaction_id: int | None = Field(
        default=None,
        sa_column=Column(
            TransactionId(), nullable=False, server_default=text("pg_current_xact_id()")
        ),
    )
    checksum: int = 0
    """CRC-32 of the content as it was sent, so that the same key with other content shows."""
    merchant_id: str
    type: str
    subject: str | None = None
    external_subject: str | None = None
    source: str
    idempotency_key: str
    external_id: str | None = None
    quantity: Any = exact(nullable=True)
    """The number at the path in `usage_quantity_paths`; None where there is none."""
    properties: dict[str, Any] = document()
    """The wire's `data`; numbers keep every digit (jsonb numbers are exact)."""


class QuantityPath(Table, table=True):
    """By which path the `quantity` of a type's events was ever read; "" where none was.

    Stored in the transaction of the events. A type with one path can be summed by that column;
    with several, a reading takes its numbers from `properties`.
    """

    __tablename__ = "usage_quantity_paths"

    merchant_id: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    path: str = Field(primary_key=True)


class UsageConflict(Table, table=True):
    """A key that came again with other content: the first event stands, this was not stored."""

    __tablename__ = "usage_conflicts"
    __table_args__ = (
        Index("ix_usage_conflicts_newest", "merchant_id", "last_seen_at", "event_id", "checksum"),
    )

    event_id: UUID = Field(primary_key=True)
    checksum: int = Field(primary_key=True)
    merchant_id: str
    source: str
    idempotency_key: str
    timestamp: datetime | None = instant(nullable=True)
    type: str
    subject: str | None = None
    external_subject: str | None = None
    external_id: str | None = None
    properties: dict[str, Any] = document()
    times_seen: int = 1
    first_seen_at: datetime = stored_at()
    last_seen_at: datetime = stored_at()
