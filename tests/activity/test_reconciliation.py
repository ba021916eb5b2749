"""The proofs hold for honest books and name the first lie in others."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from activities.reconciliation import ReconciliationActivities
from models.database import Database
from tests.activity.books import paid_subscription


async def test_honest_books_agree(own_database: Database) -> None:
    gateway, _key, _shop = await paid_subscription(own_database)
    assert await ReconciliationActivities(own_database, gateway).first_difference() is None


LIES = {
    "UPDATE invoices SET subtotal = subtotal + 1, grand_total = grand_total + 1": "its lines",
    "UPDATE invoices SET status = 'ISSUED', paid_amount = 0": "owes",
    "UPDATE ledger_accounts SET balance = 7 WHERE kind = 'customer_receivable'": "its entries",
    "UPDATE invoice_counters SET last_number = last_number + 1": "took 2 numbers",
    "UPDATE payment_attempts SET status = 'failed'": "failed for us",
    "UPDATE payment_attempts SET amount = amount + 1": "we say",
}


@pytest.mark.parametrize(("lie", "answer"), LIES.items())
async def test_a_lie_is_named(own_database: Database, lie: str, answer: str) -> None:
    gateway, _key, _shop = await paid_subscription(own_database)
    async with own_database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text(lie))
    difference = await ReconciliationActivities(own_database, gateway).first_difference()
    assert difference is not None
    assert answer in difference


async def test_a_charge_under_an_unknown_key_is_named(own_database: Database) -> None:
    """The provider's book is the judge: what it charged must be ours."""
    gateway, key, _shop = await paid_subscription(own_database)
    gateway.book["foreign"] = replace(gateway.book[key], idempotency_key="foreign")
    difference = await ReconciliationActivities(own_database, gateway).first_difference()
    assert difference == "the provider charged 53.900000000000 USD under an unknown key"


async def test_a_lost_charge_is_named(own_database: Database) -> None:
    gateway, key, _shop = await paid_subscription(own_database)
    gateway.book.clear()
    difference = await ReconciliationActivities(own_database, gateway).first_difference()
    assert difference is not None
    assert key in difference
    assert "not at the provider" in difference
