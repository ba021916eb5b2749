"""Resets: what must be remembered of rows that a sandbox reset has deleted."""

from datetime import datetime
from decimal import Decimal

from sqlmodel import Field

from models.base import Table, money, stored_at


class ForgottenAttempt(Table, table=True):
    """A payment attempt whose row is gone; the provider's own book keeps its charge.

    So that reconciliation can still tell a charge of ours from one that nobody ordered.
    """

    __tablename__ = "forgotten_attempts"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id", index=True)
    collection_id: str
    gateway_method_id: str
    status: str
    amount: Decimal = money()
    currency: str
    created_at: datetime = stored_at()
