"""A reset deletes what hangs on its scope, all of it and nothing else; the proofs hold after it."""

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, select

from activities.organizations import CreateMerchant, OrganizationActivities
from activities.reconciliation import ReconciliationActivities
from activities.reservations import ReservationActivities, TopUp
from activities.resets import Reset, ResetActivities
from activities.subscriptions import SubscriptionActivities
from billing.errors import NotAllowed, NotFound
from models.database import Database
from models.queries.resets import CATALOGUE, CONFIGURATION
from models.resets import ForgottenAttempt
from tests.activity.books import paid_subscription
from tests.activity.rows import START, Shop, open_shop
from tests.factories import a_product


async def counts(database: Database, merchant_id: str) -> dict[str, int]:
    """How many rows of each table are the merchant's, where there are any."""
    found = {}
    async with database.transaction() as session:
        connection = await session.connection()
        for table in SQLModel.metadata.sorted_tables:
            if table.name == "merchants":
                continue
            statement = text(f"SELECT count(*) FROM {table.name} WHERE merchant_id = :merchant")
            count = (await connection.execute(statement, {"merchant": merchant_id})).scalar_one()
            if count:
                found[table.name] = count
    return found


async def top_up(database: Database, shop: Shop) -> None:
    await ReservationActivities(database).top_up(
        TopUp(
            merchant_id=shop.merchant_id,
            customer_id=shop.customer_id,
            currency="USD",
            top_up_id="first",
            amount=Decimal(20),
            now=START,
        )
    )


@pytest.mark.parametrize("keep_catalogue", [True, False])
async def test_a_merchant_is_emptied(own_database: Database, keep_catalogue: bool) -> None:
    gateway, _key, shop = await paid_subscription(own_database)
    _gateway, _other_key, other = await paid_subscription(own_database, gateway)
    await top_up(own_database, shop)
    theirs = await counts(own_database, other.merchant_id)
    reset = Reset(merchant_id=shop.merchant_id, now=START, keep_catalogue=keep_catalogue)
    ended = await ResetActivities(own_database).reset(reset)
    assert len([each for each in ended if each.startswith("subscription/")]) == 1
    left = set(await counts(own_database, shop.merchant_id))
    allowed = CONFIGURATION | (CATALOGUE if keep_catalogue else frozenset())
    assert left - allowed == set()
    assert ("plans" in left) is keep_catalogue
    assert {"users", "api_keys", "forgotten_attempts"} <= left
    assert await counts(own_database, other.merchant_id) == theirs
    assert await ReconciliationActivities(own_database, gateway).first_difference() is None
    again = await ResetActivities(own_database).reset(reset)
    assert list(again) == []


async def test_one_customer_goes_and_the_others_stay(own_database: Database) -> None:
    gateway, key, shop = await paid_subscription(own_database)
    await top_up(own_database, shop)
    sibling = await open_shop(own_database, shop.merchant_id)
    await SubscriptionActivities(own_database).create_subscription(sibling.subscription())
    await top_up(own_database, sibling)
    reset = Reset(merchant_id=shop.merchant_id, now=START, customer_id=shop.customer_id)
    await ResetActivities(own_database).reset(reset)
    async with own_database.transaction() as session:
        connection = await session.connection()
        for table in ("subscriptions", "invoices", "customers", "reservations"):
            column = "id" if table == "customers" else "customer_id"
            statement = text(f"SELECT count(*) FROM {table} WHERE {column} = :customer")
            for customer_id in (shop.customer_id, sibling.customer_id):
                count = (
                    await connection.execute(statement, {"customer": customer_id})
                ).scalar_one()
                assert (count > 0) is (
                    customer_id == sibling.customer_id and table != "reservations"
                ), table
        kept = (await session.exec(select(ForgottenAttempt))).one()
        assert (kept.id, kept.status) == (key, "succeeded")
        removed = (
            await connection.execute(text("SELECT reset_count FROM invoice_counters"))
        ).scalar_one()
        assert removed == 1
    assert await ReconciliationActivities(own_database, gateway).first_difference() is None
    with pytest.raises(NotFound):
        await ResetActivities(own_database).reset(reset)


async def test_a_reset_gives_way_to_work_under_way_and_is_done_again(
    own_database: Database,
) -> None:
    """Work that has an invoice adds a row of the merchant, whom the reset has locked."""
    _gateway, _key, shop = await paid_subscription(own_database)
    async with own_database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("SELECT 1 FROM invoices FOR NO KEY UPDATE"))
        reset = Reset(merchant_id=shop.merchant_id, now=START, keep_catalogue=True)
        resetting = asyncio.ensure_future(ResetActivities(own_database).reset(reset))
        await asyncio.sleep(0.5)
        assert not resetting.done()
        await a_product(session, shop.merchant_id)
    await resetting
    left = set(await counts(own_database, shop.merchant_id))
    assert left <= CONFIGURATION | CATALOGUE


async def test_what_is_append_only_stays_so_outside_a_reset(own_database: Database) -> None:
    _gateway, _key, shop = await paid_subscription(own_database)
    await ResetActivities(own_database).reset(Reset(merchant_id=shop.merchant_id, now=START))
    _gateway, _key, shop = await paid_subscription(own_database, _gateway)
    with pytest.raises(Exception, match="append only"):
        async with own_database.transaction() as session:
            await (await session.connection()).execute(text("DELETE FROM ledger_entries"))


async def test_a_live_merchant_and_an_unknown_customer_are_refused(database: Database) -> None:
    made = await OrganizationActivities(database).create_merchant(CreateMerchant("L", live=True))
    with pytest.raises(NotAllowed):
        await ResetActivities(database).reset(Reset(merchant_id=made.merchant_id, now=START))
    sandbox = await OrganizationActivities(database).create_merchant(CreateMerchant("S"))
    unknown = Reset(merchant_id=sandbox.merchant_id, now=START, customer_id="cus_1")
    with pytest.raises(NotFound):
        await ResetActivities(database).reset(unknown)
