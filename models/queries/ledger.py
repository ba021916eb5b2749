"""Posting to and reading the ledger; what is posted, and why, is decided in billing.ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.ids import derived_id
from billing.ledger import NORMAL_SIDE, AccountKind, Posting, Transfer
from models.base import wall_now
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransfer

# Only customers' accounts carry a running balance; a merchant's would be a hot row.
BALANCED_KINDS: tuple[AccountKind, ...] = (
    "customer_receivable",
    "customer_wallet",
    "reserved_funds",
    "customer_credit",
)


def account_id(merchant_id: str, owner_id: str, kind: str, currency: str) -> str:
    """The id of the one account of this owner, kind and currency."""
    return derived_id("lac", merchant_id, owner_id, kind, currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A transfer to be written under its id at its instant."""

    merchant_id: str
    transfer_id: str
    booked_at: datetime
    transfer: Transfer


async def post(session: AsyncSession, booking: Booking) -> bool:
    """Writes a transfer once; False when it already stands (a retry), and then nothing changes."""
    transfer = booking.transfer
    inserted = await session.exec(
        insert(LedgerTransfer)
        .values(
            id=booking.transfer_id,
            merchant_id=booking.merchant_id,
            kind=transfer.kind,
            document_id=transfer.document_id,
            currency=transfer.currency,
            booked_at=booking.booked_at,
            created_at=func.now(),
        )
        .on_conflict_do_nothing()
        .returning(col(LedgerTransfer.id))
    )
    if inserted.scalar_one_or_none() is None:
        return False
    accounts = await _lock_accounts(session, booking.merchant_id, transfer)
    await session.exec(
        insert(LedgerEntry).values(
            [
                {
                    "transfer_id": booking.transfer_id,
                    "position": position,
                    "merchant_id": booking.merchant_id,
                    "account_id": accounts[position],
                    "amount": posting.amount,
                }
                for position, posting in enumerate(transfer.postings)
            ]
        )
    )
    for position, posting in enumerate(transfer.postings):
        if posting.account_kind in BALANCED_KINDS:
            await session.exec(
                update(LedgerAccount)
                .where(
                    col(LedgerAccount.merchant_id) == booking.merchant_id,
                    col(LedgerAccount.id) == accounts[position],
                )
                .values(balance=col(LedgerAccount.balance) + posting.amount)
            )
    return True


async def is_posted(session: AsyncSession, merchant_id: str, transfer_id: str) -> bool:
    """Whether the transfer stands: what a retried command asks before it judges again."""
    rows = await session.exec(
        select(col(LedgerTransfer.id)).where(
            col(LedgerTransfer.merchant_id) == merchant_id, col(LedgerTransfer.id) == transfer_id
        )
    )
    return rows.first() is not None


async def _lock_accounts(
    session: AsyncSession, merchant_id: str, transfer: Transfer
) -> Sequence[str]:
    """Opens missing accounts and locks those with a balance, in the order of their ids.

    In a statement of its own, before any write: writes that lock as they go meet in another
    order elsewhere and deadlock.
    """
    ids = [
        account_id(merchant_id, posting.owner_id, posting.account_kind, transfer.currency)
        for posting in transfer.postings
    ]
    rows = [
        _account_row(merchant_id, identifier, posting, transfer.currency)
        for identifier, posting in zip(ids, transfer.postings, strict=True)
    ]
    unique = dict(zip(ids, rows, strict=True))
    ordered = [unique[identifier] for identifier in sorted(unique)]
    await session.exec(insert(LedgerAccount).values(ordered).on_conflict_do_nothing())
    await session.exec(
        select(col(LedgerAccount.id))
        .where(
            col(LedgerAccount.merchant_id) == merchant_id,
            col(LedgerAccount.id).in_(ids),
            col(LedgerAccount.balance).is_not(None),
        )
        .order_by(col(LedgerAccount.id))
        .with_for_update(key_share=True)
    )
    return ids


def _account_row(
    merchant_id: str, identifier: str, posting: Posting, currency: str
) -> dict[str, object]:
    return {
        "id": identifier,
        "merchant_id": merchant_id,
        "owner_id": posting.owner_id,
        "kind": posting.account_kind,
        "currency": currency,
        "normal_side": NORMAL_SIDE[posting.account_kind],
        "balance": Decimal(0) if posting.account_kind in BALANCED_KINDS else None,
        "created_at": wall_now(),
    }


async def wallet_balance(
    session: AsyncSession, merchant_id: str, customer_id: str, currency: str, *, lock: bool = False
) -> Decimal:
    """What the customer may spend or reserve (a positive number of major units)."""
    wallet = account_id(merchant_id, customer_id, "customer_wallet", currency)
    if lock:
        # With the account of what is held, and in the order in which `post` locks: whoever ends
        # a hold meanwhile would otherwise wait for this one, and this one for him.
        held = account_id(merchant_id, customer_id, "reserved_funds", currency)
        await session.exec(
            select(col(LedgerAccount.id))
            .where(
                col(LedgerAccount.merchant_id) == merchant_id,
                col(LedgerAccount.id).in_((wallet, held)),
            )
            .order_by(col(LedgerAccount.id))
            .with_for_update(key_share=True)
        )
    statement = select(col(LedgerAccount.balance)).where(
        col(LedgerAccount.merchant_id) == merchant_id, col(LedgerAccount.id) == wallet
    )
    balance = (await session.exec(statement)).one_or_none()
    return -(balance or Decimal(0))


async def unbalanced_transfer(session: AsyncSession) -> tuple[str, str, Decimal] | None:
    """The first transfer of any merchant whose entries do not sum to zero (or that has none)."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                "SELECT t.merchant_id, t.id, coalesce(sum(e.amount), 0) FROM ledger_transfers t "
                "LEFT JOIN ledger_entries e ON e.transfer_id = t.id "
                "GROUP BY t.merchant_id, t.id "
                "HAVING count(e.position) < 2 OR sum(e.amount) <> 0 ORDER BY t.id LIMIT 1"
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2])


async def wrong_balance(session: AsyncSession) -> tuple[str, str, Decimal, Decimal] | None:
    """The first account of any merchant whose balance is not the fold of its entries."""
    connection = await session.connection()
    row = (
        await connection.execute(
            text(
                "SELECT a.merchant_id, a.id, a.balance, coalesce(sum(e.amount), 0) "
                "FROM ledger_accounts a LEFT JOIN ledger_entries e ON e.account_id = a.id "
                "WHERE a.balance IS NOT NULL GROUP BY a.merchant_id, a.id, a.balance "
                "HAVING a.balance <> coalesce(sum(e.amount), 0) ORDER BY a.id LIMIT 1"
            )
        )
    ).first()
    return None if row is None else (row[0], row[1], row[2], row[3])
