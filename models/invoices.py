"""Invoices, their lines and the counter of their numbers."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from models.base import Table, document, exact, instant, money, stored_at


class Invoice(Table, table=True):
    """An invoice; while it is open (ACTIVE, CLOSING) its totals are derived on each read."""

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("subscription_id", "sequence_number"),
        UniqueConstraint("merchant_id", "invoice_number"),
        Index("ix_invoices_newest", "merchant_id", "created_at", "id"),
        Index("ix_invoices_customer", "merchant_id", "customer_id", "created_at"),
        Index("ix_invoices_issued", "merchant_id", "issued_at"),
        Index(
            "ix_invoices_due",
            "merchant_id",
            "next_action_at",
            postgresql_where=text("next_action_at IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    subscription_id: str = Field(foreign_key="subscriptions.id")
    plan_version_id: str = Field(foreign_key="plan_versions.id")
    sequence_number: int
    status: str
    currency: str
    tax_behavior: str
    ended_from: datetime | None = instant(nullable=True)
    """Start of the window whose arrears it bills; null on a first invoice of advance charges."""
    ended_to: datetime | None = instant(nullable=True)
    arrears_version_id: str | None = Field(default=None, foreign_key="plan_versions.id")
    """The plan version of its arrears, known once its period has ended; `plan_version_id` is the
    one that it was opened under."""
    coming_version_id: str | None = Field(default=None, foreign_key="plan_versions.id")
    """The plan version of its advance charges, known once its period has ended."""
    coming_to: datetime | None = instant(nullable=True)
    """End of the window whose advance charges it bills (from `ended_to`); null when terminating,
    `ended_to` itself when a pause cut it."""
    resumed_at: datetime | None = instant(nullable=True)
    """Since when it was billed without a pause, by one plan or by the same cycles; null: since it
    started."""
    paid_until: datetime | None = instant(nullable=True)
    """On the first invoice after a pause: the end of the last window whose fees were billed."""
    period_start: datetime = instant()
    period_end: datetime = instant()
    """The union of its lines' windows once stored; while open, the window it is opened for."""
    grace_period_end: datetime = instant()
    next_action_at: datetime | None = instant(nullable=True)
    auto_approve: bool = True
    invoice_number: str | None = None
    issued_at: datetime | None = instant(nullable=True)
    due_at: datetime | None = instant(nullable=True)
    paid_at: datetime | None = instant(nullable=True)
    subtotal: Decimal = money()
    total_tax: Decimal = money()
    grand_total: Decimal = money()
    paid_amount: Decimal = money()
    wallet_charge: Decimal = money()
    """The part of the grand total that tops up the customer's wallet (version 0 plans)."""
    usage_watermark: str | None = None
    """The snapshot (`pg_current_snapshot()`) of the events that its lines counted."""
    late_watermark: str | None = None
    """The snapshot up to which usage of earlier periods is billed; null: not looked for here."""
    drafted_workflow_id: str | None = None
    """The workflow that drafted it; null where its subscription's creation did."""
    drafted_run_id: str | None = None
    failure_reason: str | None = None
    written_off_at: datetime | None = instant(nullable=True)
    write_off_reason: str | None = None
    parties: dict[str, Any] | None = document(nullable=True, default=None)
    """Who sold and who bought, as they were named when it was issued (activities/issuing.py)."""
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()


class InvoiceLine(Table, table=True):
    """One charge of an invoice, unrounded; its names are frozen as they were at the close."""

    __tablename__ = "invoice_lines"
    __table_args__ = (UniqueConstraint("invoice_id", "position"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    invoice_id: str = Field(foreign_key="invoices.id")
    position: int
    kind: str
    """`metric`, `fee`, `wallet`, `manual` or `adjustment`."""
    price_id: str | None = Field(default=None, foreign_key="prices.id")
    source_id: str
    """The metric's or the fee's id."""
    display_name: str
    source_name: str = ""
    source_description: str = ""
    source_unit: str = ""
    item_id: str | None = None
    payment_term: str
    period_start: datetime = instant()
    period_end: datetime = instant()
    quantity: Decimal = exact()
    unit_price: Decimal = exact()
    fraction: str = "1"
    """The prorated part of a cycle, as a fraction of integers ("17/31"); "1" when whole."""
    total_price: Decimal = exact()
    total_tax: Decimal = exact()
    total_amount: Decimal = exact()
    tax_rate: Decimal = exact()
    carried: Decimal = exact()
    """What a line of late usage should have given back and could not: the next invoice does."""
    origin: dict[str, Any] | None = document(nullable=True, default=None)
    """What it was rated from (`billing.explanation`); null on lines from before it was kept."""
    adjustment_ids: list[str] = document(default_factory=list)
    """The adjustments that reached its quantity, or the one that an `adjustment` line is of."""


class InvoiceCounter(Table, table=True):
    """The last invoice number of a merchant's month; taken in the issuing transaction: no gaps."""

    __tablename__ = "invoice_counters"

    merchant_id: str = Field(primary_key=True, foreign_key="merchants.id")
    month: str = Field(primary_key=True)
    last_number: int
    reset_count: int = 0
    """How many of its invoices a reset has deleted."""
