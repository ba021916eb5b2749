"""Idempotency keys: the first answer to a POST that carried one."""

from datetime import datetime

from sqlmodel import Field

from models.base import Table, instant, stored_at


class IdempotencyKey(Table, table=True):
    """A caller's key; without a status its request is still being worked on."""

    __tablename__ = "idempotency_keys"

    merchant_id: str = Field(primary_key=True, foreign_key="merchants.id")
    key: str = Field(primary_key=True)
    digest: str
    """SHA-256 of who asked for what: user, path, query and body."""
    status: int | None = None
    body: str = ""
    claimed_at: datetime = instant()
    created_at: datetime = stored_at()
