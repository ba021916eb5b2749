"""Merchants, their users and API keys; consumers (who buys) live with the customers."""

from datetime import date, datetime
from typing import Any

from sqlmodel import Field

from models.base import Table, document, instant, stored_at

EVERYTHING = "*"


class Merchant(Table, table=True):
    """An organization that sells; a live and a sandbox merchant are two rows with separate data."""

    __tablename__ = "merchants"

    id: str = Field(primary_key=True)
    name: str
    live: bool = False
    legacy_billing: bool = True
    """Whether version 0 plans and legacy price models are accepted (default: sandbox only)."""
    auto_approve: bool = True
    grace_period: str = "PT24H"
    """How long a closed period waits for late events (ISO 8601 duration)."""
    usage_retention_months: int | None = None
    """How long usage events are kept; null: for ever."""
    usage_deleted_before: datetime | None = instant(nullable=True)
    """Before this instant events may be gone: nothing is billed from them any more."""
    email: str = ""
    address: dict[str, Any] = document(default_factory=dict)
    """Where its documents say that it is; as a consumer's."""
    tax_id: str | None = None
    """The number under which it files tax; on its documents."""
    reset_at: datetime | None = instant(nullable=True)
    """When its data was last reset (sandbox only)."""
    created_at: datetime = stored_at()


class User(Table, table=True):
    """A person acting for a merchant."""

    __tablename__ = "users"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id", index=True)
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str | None = None
    date_of_birth: date | None = None
    address: dict[str, Any] = document(default_factory=dict)
    type: str | None = None
    """COMPANY or INDIVIDUAL."""
    permissions: list[str] = document(default_factory=lambda: [EVERYTHING])
    """`<area>:read|write`, or the one word for all of them."""
    removed_at: datetime | None = instant(nullable=True)
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class ApiKey(Table, table=True):
    """A bearer key: only its SHA-256 is stored, the key itself is shown once."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id", index=True)
    user_id: str = Field(foreign_key="users.id")
    prefix: str
    """The first characters, to recognize a key in a list."""
    digest: str = Field(unique=True)
    permissions: list[str] | None = document(nullable=True, default=None)
    """What the key narrows its user's permissions to; none: the key may all that its user may."""
    created_at: datetime = stored_at()
    last_used_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)
