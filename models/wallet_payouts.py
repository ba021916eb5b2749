"""Wallet payouts: what merchants have given back of customers' prepaid funds."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, instant, money, stored_at


class WalletPayout(Table, table=True):
    """One payout, past the provider; never changed."""

    __tablename__ = "wallet_payouts"
    __table_args__ = (
        Index("ix_wallet_payouts_newest", "merchant_id", "customer_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    customer_id: str = Field(foreign_key="customers.id")
    currency: str
    amount: Decimal = money()
    reason: str
    request_digest: str
    booked_at: datetime = instant()
    created_at: datetime = stored_at()
