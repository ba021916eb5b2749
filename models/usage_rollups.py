"""Daily sums of usage, for reading heavy meters faster; the events stay the only truth."""

from datetime import datetime
from decimal import Decimal

from sqlmodel import Field

from models.base import Table, exact, instant


class UsageRollup(Table, table=True):
    """How far a metric's days are summed, and from which events: those that its snapshot saw."""

    __tablename__ = "usage_rollups"

    metric_id: str = Field(primary_key=True, foreign_key="billable_metrics.id")
    merchant_id: str = Field(foreign_key="merchants.id")
    definition: str
    """What the metric read when it was summed; another definition makes the sums worthless."""
    through: datetime = instant()
    """Midnight UTC: the days before it are summed."""
    snapshot: str
    built_at: datetime = instant()


class UsageDay(Table, table=True):
    """What one owner's events of a metric come to on one day (UTC), void ones included.

    An owner is a subject, or where there is none an external subject; "" is none.
    """

    __tablename__ = "usage_days"

    metric_id: str = Field(primary_key=True, foreign_key="billable_metrics.id")
    day: datetime = instant(primary_key=True)
    subject: str = Field(primary_key=True)
    external_subject: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    event_count: int
    amount: Decimal = exact()
