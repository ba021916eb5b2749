"""What every table shares: the merchant column, instants, and the drawing of new ids."""

import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import uuid_utils
from sqlalchemy import DateTime, MetaData, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from sqlmodel._compat import SQLModelConfig

SQLModel.metadata.naming_convention = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
).naming_convention


def new_id(prefix: str) -> str:
    """Draws a fresh id: the prefix and 32 hex digits of a UUIDv7 (a test clock takes 16 random).

    Time-ordered, so that the newest of a list is also the last of its index. Only for rows that a
    route creates; what runs under Temporal derives its ids (`billing.ids.derived_id`).
    """
    if prefix == "tc":
        return f"tc_{secrets.token_hex(8)}"
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def wall_now() -> datetime:
    """The wall clock, in UTC: for storage times and for what is bound to no test clock."""
    return datetime.now(UTC)


class Table(SQLModel):
    """A row of one merchant; not a wire shape."""

    model_config = SQLModelConfig(arbitrary_types_allowed=True)


def merchant_column() -> Any:
    """The tenant column that every table carries and every query filters first."""
    return Field(nullable=False, index=False)


def instant(*, nullable: bool = False, **options: Any) -> Any:
    """A `timestamptz` column; aware datetimes only."""
    options.setdefault("default", None if nullable else ...)
    return Field(sa_type=DateTime(timezone=True), nullable=nullable, **options)


def stored_at() -> Any:
    """When the row was stored: wall time, also for rows bound to a test clock."""
    return Field(default_factory=wall_now, sa_type=DateTime(timezone=True), nullable=False)


def document(**options: Any) -> Any:
    """A JSONB column."""
    nullable = options.pop("nullable", False)
    return Field(sa_type=JSONB(none_as_null=True), nullable=nullable, **options)


def exact(*, nullable: bool = False, **options: Any) -> Any:
    """A NUMERIC column without a scale: amounts that must stay unrounded (lines, prices)."""
    options.setdefault("default", None if nullable else Decimal(0))
    return Field(sa_type=Numeric(), nullable=nullable, **options)


def money(*, nullable: bool = False, **options: Any) -> Any:
    """A NUMERIC(38,12) column: amounts due and ledger amounts, rounded to their currency."""
    options.setdefault("default", None if nullable else Decimal(0))
    return Field(sa_type=Numeric(38, 12), nullable=nullable, **options)
