"""The proofs hold for honest books and name the first lie in others."""

from dataclasses import replace
from decimal import Decimal

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
    "INSERT INTO customer_credits SELECT 'ccr_1', merchant_id, customer_id, subscription_id, id, "
    "'li_1', 'Goodwill', currency, 5, 'exclusive', 0, 5, 0, 5, 'standing', issued_at, NULL, NULL, "
    "NULL, created_at, updated_at FROM invoices WHERE sequence_number = 0": (
        "has credits of 5.000000000000 USD, 0 in the ledger"
    ),
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


async def test_a_rest_that_nobody_owes_is_named(own_database: Database) -> None:
    """A credit waits behind the last invoice, half a cent of it too little to be owed."""
    gateway, _key, _shop = await paid_subscription(own_database)
    waiting = text(
        "INSERT INTO manual_lines SELECT 'li_1', i.merchant_id, i.customer_id, i.subscription_id, "
        "NULL, NULL, NULL, 'Goodwill', NULL, i.currency, 1, :price, NULL, i.issued_at, "
        "i.issued_at, i.issued_at, NULL, NULL, i.created_at, i.created_at, NULL "
        "FROM invoices i WHERE i.sequence_number = 0"
    )
    async with own_database.transaction() as session:
        connection = await session.connection()
        await connection.execute(waiting, {"price": Decimal("-0.004")})
        await connection.execute(text("UPDATE subscriptions SET status = 'terminated'"))
        last = "UPDATE invoices SET ended_to = period_end, coming_to = NULL"
        await connection.execute(text(last))
    proofs = ReconciliationActivities(own_database, gateway)
    assert await proofs.first_difference() is None
    async with own_database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("UPDATE manual_lines SET unit_price = -0.01"))
    assert "nobody owes the rest of li_1" in str(await proofs.first_difference())


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
