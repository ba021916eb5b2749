"""The statements of wallets, as people look at them, and of what was paid out of them."""

from dataclasses import dataclass
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.customers import Customer
from models.ledger import LedgerAccount
from models.wallet_payouts import WalletPayout

KINDS = ("customer_wallet", "reserved_funds")


@dataclass(frozen=True, slots=True)
class Funds:
    """What a customer has paid ahead in a currency: free, and held for uses to come."""

    currency: str
    available: Decimal
    reserved: Decimal


async def any_merchants_customer(session: AsyncSession, customer_id: str) -> Customer | None:
    """The customer of whichever merchant: an operator knows an id."""
    rows = await session.exec(select(Customer).where(col(Customer.id) == customer_id))
    return rows.first()


async def get(session: AsyncSession, merchant_id: str, payout_id: str) -> WalletPayout | None:
    """The payout."""
    rows = await session.exec(
        select(WalletPayout).where(
            col(WalletPayout.merchant_id) == merchant_id, col(WalletPayout.id) == payout_id
        )
    )
    return rows.first()


async def funds(session: AsyncSession, merchant_id: str, customer_id: str) -> list[Funds]:
    """The customer's wallets, by currency; one that was never filled is none."""
    rows = await session.exec(
        select(col(LedgerAccount.currency), col(LedgerAccount.kind), col(LedgerAccount.balance))
        .where(
            col(LedgerAccount.merchant_id) == merchant_id,
            col(LedgerAccount.owner_id) == customer_id,
            col(LedgerAccount.kind).in_(KINDS),
        )
        .order_by(col(LedgerAccount.currency))
    )
    held = {(currency, kind): -(balance or Decimal(0)) for currency, kind, balance in rows}
    return [
        Funds(
            currency,
            held.get((currency, "customer_wallet"), Decimal(0)),
            held.get((currency, "reserved_funds"), Decimal(0)),
        )
        for currency in sorted({currency for currency, _ in held})
    ]


def newest_first(merchant_id: str, customer_id: str) -> SelectOfScalar[WalletPayout]:
    """A customer's payouts."""
    return (
        select(WalletPayout)
        .where(
            col(WalletPayout.merchant_id) == merchant_id,
            col(WalletPayout.customer_id) == customer_id,
        )
        .order_by(col(WalletPayout.created_at).desc(), col(WalletPayout.id).desc())
    )
