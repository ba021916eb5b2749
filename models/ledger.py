"""The double-entry ledger: accounts, transfers, entries; append only (a trigger holds it)."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from models.base import Table, instant, money, stored_at


class LedgerAccount(Table, table=True):
    """An account of one owner, kind and currency.

    Customers' accounts carry a running balance (debits minus credits); system accounts carry
    none, since they would be hot rows: their balance is the fold of their entries.
    """

    __tablename__ = "ledger_accounts"
    __table_args__ = (UniqueConstraint("merchant_id", "owner_id", "kind", "currency"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    owner_id: str
    kind: str
    currency: str
    normal_side: str
    balance: Decimal | None = money(nullable=True)
    created_at: datetime = stored_at()


class LedgerTransfer(Table, table=True):
    """A balanced set of entries for one fact; its id is derived from the fact."""

    __tablename__ = "ledger_transfers"
    __table_args__ = (Index("ix_ledger_transfers_document", "merchant_id", "document_id"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    kind: str
    document_id: str
    currency: str
    booked_at: datetime = instant()
    created_at: datetime = stored_at()


class LedgerEntry(Table, table=True):
    """One signed amount on one account: debits positive, credits negative."""

    __tablename__ = "ledger_entries"
    __table_args__ = (Index("ix_ledger_entries_account", "account_id"),)

    transfer_id: str = Field(primary_key=True, foreign_key="ledger_transfers.id")
    position: int = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    account_id: str = Field(foreign_key="ledger_accounts.id")
    amount: Decimal = money()
