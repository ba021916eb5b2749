"""Manual lines: what a merchant wants billed or credited beside the catalogue."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from models.base import Table, document, exact, instant, stored_at


class ManualLine(Table, table=True):
    """A line that waits for an invoice of its subscription, or has been billed on one."""

    __tablename__ = "manual_lines"
    __table_args__ = (
        UniqueConstraint("merchant_id", "idempotency_key"),
        Index(
            "ix_manual_lines_waiting",
            "subscription_id",
            "invoice_at",
            postgresql_where=text("billed_on IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    invoice_id: str | None = Field(default=None, foreign_key="invoices.id")
    """The invoice that it was written for; null: the next that closes after `invoice_at`."""
    billed_on: str | None = Field(default=None, foreign_key="invoices.id")
    """The invoice whose draft took it."""
    carried_from: str | None = Field(default=None, foreign_key="manual_lines.id")
    """The credit whose rest this is."""
    display_name: str
    description: str | None = None
    currency: str
    quantity: Decimal = exact()
    unit_price: Decimal = exact()
    item_id: str | None = None
    invoice_at: datetime = instant()
    period_start: datetime = instant()
    period_end: datetime = instant()
    idempotency_key: str | None = None
    request_digest: str | None = None
    plan_change: dict[str, Any] | None = document(nullable=True, default=None)
    """What a plan change worked it out from; see `billing.plan_change.ChangedFee`."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
