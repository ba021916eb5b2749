"""Posting to and reading the ledger; what is posted, and why, is decided in billing.ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.ids import derived_id
from billing.ledger import NORMAL_SIDE, AccountKind, Posting, Transfer
from models import packing, row_sets
from models.base import wall_now
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransfer
from models.row_sets import is_among

# Only customers' accounts carry a running balance; a merchant's would be a hot row.
BALANCED_KINDS: tuple[AccountKind, ...] = (
    "customer_receivable",
    "customer_wallet",
    "reserved_funds",
    "customer_credit",
)


@lru_cache(maxsize=4_096)
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
    return booking.transfer_id in await post_all(session, booking.merchant_id, [booking])


async def post_all(
    session: AsyncSession, merchant_id: str, bookings: Sequence[Booking]
) -> set[str]:
    """Writes the merchant's transfers, each once; returns the ids of those that stood not yet."""
    new = await row_sets.insert_new(
        session, LedgerTransfer, [_transfer_row(each) for each in bookings]
    )
    posted = [
        _Posted(
            booking.transfer_id,
            position,
            account_id(merchant_id, posting.owner_id, posting.account_kind, currency),
            currency,
            posting,
        )
        for booking in bookings
        if booking.transfer_id in new
        for currency in (booking.transfer.currency,)
        for position, posting in enumerate(booking.transfer.postings)
    ]
    await _lock_accounts(session, merchant_id, posted)
    await row_sets.insert(session, LedgerEntry, [_entry_row(merchant_id, each) for each in posted])
    await _move_balances(session, merchant_id, posted)
    return new


@dataclass(frozen=True, slots=True)
class _Posted:
    """A posting of a transfer, on its account."""

    transfer_id: str
    position: int
    account_id: str
    currency: str
    posting: Posting

    @property
    def is_balanced(self) -> bool:
        return self.posting.account_kind in BALANCED_KINDS


def _transfer_row(booking: Booking) -> dict[str, object]:
    return {
        "id": booking.transfer_id,
        "merchant_id": booking.merchant_id,
        "kind": booking.transfer.kind,
        "document_id": booking.transfer.document_id,
        "currency": booking.transfer.currency,
        "booked_at": booking.booked_at,
        "created_at": wall_now(),
    }


def _entry_row(merchant_id: str, posted: _Posted) -> dict[str, object]:
    return {
        "transfer_id": posted.transfer_id,
        "position": posted.position,
        "merchant_id": merchant_id,
        "account_id": posted.account_id,
        "amount": posted.posting.amount,
    }


_MOVE_BALANCES = """
UPDATE ledger_accounts SET balance = balance + moved.amount
FROM (
    SELECT id, sum(CAST(amount AS numeric)) AS amount
    FROM unnest(CAST(:ids AS text[]), CAST(:amounts AS text[])) AS posted(id, amount)
    GROUP BY id
) AS moved
WHERE ledger_accounts.merchant_id = :merchant_id AND ledger_accounts.id = moved.id
"""


async def _move_balances(
    session: AsyncSession, merchant_id: str, posted: Sequence[_Posted]
) -> None:
    """Adds to the running balances, of which the accounts are locked."""
    moved = [each for each in posted if each.is_balanced]
    if moved:
        values = {
            "merchant_id": merchant_id,
            "ids": packing.texts([each.account_id for each in moved]),
            "amounts": packing.texts([str(each.posting.amount) for each in moved]),
        }
        connection = await session.connection()
        await connection.execute(text(_MOVE_BALANCES), values)


async def is_posted(session: AsyncSession, merchant_id: str, transfer_id: str) -> bool:
    """Whether the transfer stands: what a retried command asks before it judges again."""
    rows = await session.exec(
        select(col(LedgerTransfer.id)).where(
            col(LedgerTransfer.merchant_id) == merchant_id, col(LedgerTransfer.id) == transfer_id
        )
    )
    return rows.first() is not None


async def _lock_accounts(
    session: AsyncSession, merchant_id: str, posted: Sequence[_Posted]
) -> None:
    """Opens missing accounts and locks those with a balance, in the order of their ids.

    In a statement of its own, before any write: writes that lock as they go meet in another
    order elsewhere and deadlock.
    """
    accounts = {each.account_id: each for each in posted}
    if not accounts:
        return
    ordered = [_account_row(merchant_id, accounts[each]) for each in sorted(accounts)]
    await row_sets.insert_new(session, LedgerAccount, ordered)
    balanced = [each.account_id for each in accounts.values() if each.is_balanced]
    if balanced:
        await session.exec(
            select(col(LedgerAccount.id))
            .where(
                col(LedgerAccount.merchant_id) == merchant_id,
                is_among(col(LedgerAccount.id), balanced),
            )
            .order_by(col(LedgerAccount.id))
            .with_for_update(key_share=True)
        )


def _account_row(merchant_id: str, posted: _Posted) -> dict[str, object]:
    kind = posted.posting.account_kind
    return {
        "id": posted.account_id,
        "merchant_id": merchant_id,
        "owner_id": posted.posting.owner_id,
        "kind": kind,
        "currency": posted.currency,
        "normal_side": NORMAL_SIDE[kind],
        "balance": Decimal(0) if kind in BALANCED_KINDS else None,
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
