"""Test clocks and the workflows that live on them."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from models.base import Table, instant, stored_at


class TestClock(Table, table=True):
    """A merchant's simulated time (sandbox only); deleted softly."""

    __tablename__ = "test_clocks"
    __table_args__ = (Index("ix_test_clocks_newest", "merchant_id", "created_at", "id"),)
    __test__ = False

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    name: str | None = None
    description: str | None = None
    current_time: datetime = instant()
    target_time: datetime = instant()
    """Where the last advance goes; equal to `current_time` when nothing is under way."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
    deleted_at: datetime | None = instant(nullable=True)


class TestClockMember(Table, table=True):
    """A workflow that a clock moves; written in the transaction of the fact that needs it."""

    __tablename__ = "test_clock_members"
    __table_args__ = (
        Index(
            "ix_test_clock_members_live",
            "clock_id",
            "workflow_id",
            postgresql_where=text("ended_at IS NULL"),
        ),
    )
    __test__ = False

    workflow_id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    clock_id: str = Field(foreign_key="test_clocks.id")
    due_at: datetime | None = instant(nullable=True)
    """Nothing of it is due before; None: the workflow itself must be asked."""
    created_at: datetime = stored_at()
    ended_at: datetime | None = instant(nullable=True)
