"""Prices that change while somebody begins to bill them: each interleaving is forced by locks."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from activities import subscription_starts as starts
from activities.organizations import CreatedMerchant
from activities.subscription_starts import CreateSubscription
from models.base import wall_now
from models.customers import Customer
from models.database import Database
from models.features import Feature
from models.plans import Plan
from models.prices import Price
from models.queries import features, plans, prices
from tests.factories import a_customer, a_feature, a_fee, a_plan, a_price, a_product

Client = httpx2.AsyncClient
Answer = httpx2.Response
# PostgreSQL looks for a deadlock when somebody has waited so long.
DEADLOCK_SECONDS = 1
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


class Catalog:
    """Two plans with a price each, and another price for both."""

    merchant_id: str
    sold: Price
    also_sold: Price
    other: Price
    plans: tuple[Plan, Plan]
    feature: Feature

    def mint(self, client: Client, at: int) -> Coroutine[Any, Any, Answer]:
        """A version of a plan with the other price in place of the one that it sells."""
        key = (self.sold, self.also_sold)[at].id
        body = {"prices": [{"priceId": self.other.id, "key": key}]}
        return client.post(f"/v0/plans/{self.plans[at].id}/versions", json=body)

    def subscription(self, customer: Customer) -> CreateSubscription:
        """A subscription of the first plan, from now."""
        return CreateSubscription(
            merchant_id=self.merchant_id,
            customer_id=customer.id,
            plan_id=self.plans[0].id,
            name="Contract",
            started_at=wall_now(),
        )


@pytest.fixture
async def catalog(database: Database, merchant: CreatedMerchant) -> Catalog:
    made = Catalog()
    made.merchant_id = merchant.merchant_id
    async with database.transaction() as session:
        product = await a_product(session, merchant.merchant_id)
        fee = await a_fee(session, product)
        made.sold, made.also_sold, made.other = [
            await a_price(session, fee, amount, payment_term="in_advance")
            for amount in ("10", "15", "20")
        ]
        made.plans = (
            await a_plan(session, product, made.sold),
            await a_plan(session, product, made.also_sold),
        )
        made.feature = await a_feature(session, product, type="boolean")
    return made


async def _begun(
    database: Database, asked: Coroutine[Any, Any, Answer], *, waiting: int = 1
) -> "asyncio.Task[Answer]":
    """The request, once so many wait for a lock that the test holds, or it has its answer."""
    task = asyncio.create_task(asked)
    for _ in range(200):
        if task.done():
            break
        async with database.transaction() as session:
            connection = await session.connection()
            if (await connection.execute(WAITING)).scalar_one() >= waiting:
                break
        await asyncio.sleep(0.02)
    return task


async def test_an_edit_waits_for_who_begins_to_bill_the_price(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """A creation that has rated its first invoice at 10 and not committed yet is in use."""
    async with database.transaction() as session:
        customer = await a_customer(session, catalog.merchant_id)
    path = f"/v0/prices/{catalog.sold.id}"
    async with database.transaction() as session:
        await starts.create(session, catalog.subscription(customer))
        edit = await _begun(database, client.patch(path, json={"properties": {"unitPrice": "11"}}))
    answer = await edit
    assert (answer.status_code, answer.json()["code"]) == (409, "PRICE_IN_USE")
    assert (await client.get(path)).json()["properties"] == {"unitPrice": "10"}


async def test_a_creation_waits_for_an_edit(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """What it then bills is what the edit left, whole: it has read nothing before."""
    async with database.transaction() as session:
        customer = await a_customer(session, catalog.merchant_id)

    async def create() -> None:
        async with database.transaction() as creating:
            await starts.create(creating, catalog.subscription(customer))

    async with database.transaction() as session:
        await plans.hold_alone(session, catalog.merchant_id, [catalog.plans[0].id])
        await _reprice(session, catalog.sold, "11")
        creation = asyncio.create_task(create())
        await asyncio.sleep(0.3)
        assert not creation.done()
    await creation
    lines = (await client.get("/v2/invoices", params={"customerId": customer.id})).json()["data"]
    assert [line["grandTotal"] for line in lines] == ["11.00"]


async def test_a_version_keeps_what_an_edit_left(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """The older version goes on at 12, not at the 10 that was read before the lock was there."""
    async with database.transaction() as session:
        await _reprice(session, catalog.sold, "12")
        mint = await _begun(database, catalog.mint(client, 0))
    assert (await mint).status_code == 201
    path = f"/v0/plans/{catalog.plans[0].id}/versions"
    billed = [(await client.get(f"{path}/{number}")).json()["prices"][0] for number in (1, 2)]
    assert [each["properties"]["unitPrice"] for each in billed] == ["12", "20"]
    assert billed[1]["id"] == catalog.sold.id


async def test_two_plans_take_the_same_price_one_after_the_other(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """Neither holds for reading what the other wants to change: nothing is done twice."""
    async with database.transaction() as session:
        await prices.get(session, catalog.merchant_id, catalog.other.id, lock=True)
        mints = [await _begun(database, catalog.mint(client, at), waiting=at + 1) for at in (0, 1)]
    async with asyncio.timeout(DEADLOCK_SECONDS):
        assert [(await mint).status_code for mint in mints] == [201, 201]


async def test_an_edit_and_a_version_wait_in_one_order(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """Both ask for the plan before the price: neither has what the other waits for."""
    path = f"/v0/prices/{catalog.sold.id}"
    async with database.transaction() as session:
        await plans.hold_alone(session, catalog.merchant_id, [catalog.plans[0].id])
        mint = await _begun(database, catalog.mint(client, 0))
        change = {"properties": {"unitPrice": "11"}}
        edit = await _begun(database, client.patch(path, json=change), waiting=2)
    async with asyncio.timeout(DEADLOCK_SECONDS):
        assert [(await each).status_code for each in (mint, edit)] == [201, 200]


async def test_a_route_that_gives_way_is_done_again(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """It has the plan and waits for the price; who has the price asks for the plan."""
    path = f"/v0/prices/{catalog.sold.id}"
    async with database.transaction() as session:
        await prices.get(session, catalog.merchant_id, catalog.sold.id, lock=True)
        edit = await _begun(database, client.patch(path, json={"properties": {"unitPrice": "11"}}))
        await plans.hold_alone(session, catalog.merchant_id, [catalog.plans[0].id])
        assert not edit.done()
    answer = await edit
    assert (answer.status_code, answer.json()["properties"]) == (200, {"unitPrice": "11"})


async def test_a_feature_is_not_deleted_under_a_new_price(
    client: Client, database: Database, catalog: Catalog
) -> None:
    """A price that carries it and is not committed yet is in the way."""
    async with database.transaction() as session:
        await features.get(session, catalog.merchant_id, catalog.feature.id, lock=True)
        path = f"/v0/prices/{catalog.sold.id}"
        change = {"feature": {"featureId": catalog.feature.id}}
        attach = await _begun(database, client.patch(path, json=change))
        path = f"/v0/features/{catalog.feature.id}"
        deletion = await _begun(database, client.delete(path), waiting=2)
        assert not deletion.done()
        assert not attach.done()
    assert [(await each).status_code for each in (attach, deletion)] == [200, 409]


async def _reprice(session: AsyncSession, price: Price, amount: str) -> None:
    row = await prices.get(session, price.merchant_id, price.id, lock=True)
    assert row is not None
    row.properties = {"unitPrice": amount}
    await session.flush()
