"""The ledger's own guards in the database: append only, balanced, never below zero."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.organizations import CreatedMerchant
from billing.ids import derived_id
from billing.ledger import Parties, funds_reserved, wallet_topped_up
from models.base import new_id
from models.database import Database
from models.queries import ledger

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _top_up(merchant: CreatedMerchant, customer_id: str, amount: str) -> ledger.Booking:
    parties = Parties(merchant.merchant_id, customer_id, "USD")
    return ledger.Booking(
        merchant_id=merchant.merchant_id,
        transfer_id=derived_id("ltr", customer_id, amount),
        booked_at=NOW,
        transfer=wallet_topped_up(parties, customer_id, amount=Decimal(amount)),
    )


async def _execute(database: Database, statement: str, merchant: CreatedMerchant) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text(statement), {"merchant_id": merchant.merchant_id})


async def _post(database: Database, booking: ledger.Booking) -> None:
    async with database.transaction() as session:
        await ledger.post(session, booking)


async def test_a_transfer_is_posted_once(database: Database, merchant: CreatedMerchant) -> None:
    customer_id = new_id("cus")
    booking = _top_up(merchant, customer_id, "10")
    async with database.transaction() as session:
        assert await ledger.post(session, booking)
    async with database.transaction() as session:
        assert not await ledger.post(session, booking)
        balance = await ledger.wallet_balance(session, merchant.merchant_id, customer_id, "USD")
    assert balance == 10


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_entries SET amount = amount + 1 WHERE merchant_id = :merchant_id",
        "DELETE FROM ledger_entries WHERE merchant_id = :merchant_id",
        "UPDATE ledger_transfers SET kind = 'x' WHERE merchant_id = :merchant_id",
    ],
)
async def test_what_is_booked_stays(
    database: Database, merchant: CreatedMerchant, change: str
) -> None:
    async with database.transaction() as session:
        await ledger.post(session, _top_up(merchant, new_id("cus"), "10"))
    with pytest.raises(DBAPIError, match="append only"):
        await _execute(database, change, merchant)


async def test_an_unbalanced_transfer_cannot_commit(
    database: Database, merchant: CreatedMerchant
) -> None:
    customer_id = new_id("cus")
    async with database.transaction() as session:
        await ledger.post(session, _top_up(merchant, customer_id, "10"))
    entry = (
        "INSERT INTO ledger_entries "
        "SELECT transfer_id, 9, merchant_id, account_id, 1 FROM ledger_entries "
        "WHERE merchant_id = :merchant_id LIMIT 1"
    )
    with pytest.raises(DBAPIError, match="does not balance"):
        await _execute(database, entry, merchant)


async def test_a_wallet_never_goes_below_zero(
    database: Database, merchant: CreatedMerchant
) -> None:
    customer_id = new_id("cus")
    async with database.transaction() as session:
        await ledger.post(session, _top_up(merchant, customer_id, "10"))
    parties = Parties(merchant.merchant_id, customer_id, "USD")
    beyond = ledger.Booking(
        merchant_id=merchant.merchant_id,
        transfer_id=derived_id("ltr", customer_id, "beyond"),
        booked_at=NOW,
        transfer=funds_reserved(parties, customer_id, amount=Decimal("10.01")),
    )
    with pytest.raises(DBAPIError, match="floor"):
        await _post(database, beyond)
