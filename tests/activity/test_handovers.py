"""Who is owed a start: by the outbox in wall time, by a clock under way, by both of them never."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from activities.invoices import InvoiceActivities
from activities.organizations import CreatedMerchant
from models.base import new_id
from models.database import Database
from models.queries import handovers, invoices, test_clocks
from models.queries.handovers import Handover
from models.queries.outbox import WorkflowStart
from tests.activity.rows import START, PlanShape, Shop, open_shop
from tests.activity.test_invoices import closing_invoice
from tests.activity.usage import report

LATER = START + timedelta(days=1)


def _handover(shop: Shop, clock_id: str | None, due_at: datetime | None) -> Handover:
    start = WorkflowStart(
        merchant_id=shop.merchant_id,
        workflow_id=f"invoice-close/{new_id('sub')}/1",
        workflow_type="InvoiceClose",
        argument={"merchant_id": shop.merchant_id},
    )
    return Handover(start=start, clock_id=clock_id, due_at=due_at)


async def _hand_over(database: Database, handover: Handover) -> None:
    async with database.transaction() as session:
        await handovers.hand_over(session, [handover])


async def _owed(database: Database, handover: Handover) -> list[dict[str, object]]:
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.execute(
            text("SELECT argument FROM outbox WHERE workflow_id = :id"),
            {"id": handover.start.workflow_id},
        )
        return list(rows.scalars())


async def _members(database: Database, shop: Shop) -> dict[str, datetime | None]:
    async with database.transaction() as session:
        return await test_clocks.live_members(session, shop.merchant_id, shop.clock_id)


async def test_in_wall_time_the_outbox_owes_it_once(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    handover = _handover(shop, None, LATER)
    for _ in range(2):
        await _hand_over(database, handover)
    owed = await _owed(database, handover)
    assert owed == [{"merchant_id": shop.merchant_id, "clock_id": None, "clock_now": None}]
    assert await _members(database, shop) == {}


@pytest.mark.parametrize("due_at", [None, START])
async def test_on_a_clock_that_rests_the_outbox_owes_what_is_due(
    database: Database, merchant: CreatedMerchant, due_at: datetime | None
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    handover = _handover(shop, shop.clock_id, due_at)
    await _hand_over(database, handover)
    (argument,) = await _owed(database, handover)
    assert argument["clock_id"] == shop.clock_id
    assert datetime.fromisoformat(str(argument["clock_now"])) == START
    assert await _members(database, shop) == {handover.start.workflow_id: due_at}


async def test_what_is_due_later_waits_for_its_clock(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    handover = _handover(shop, shop.clock_id, LATER)
    await _hand_over(database, handover)
    assert await _owed(database, handover) == []
    assert await _members(database, shop) == {handover.start.workflow_id: LATER}


@pytest.mark.parametrize("due_at", [None, START])
async def test_a_clock_under_way_starts_it_itself(
    database: Database, merchant: CreatedMerchant, due_at: datetime | None
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    async with database.transaction() as session:
        await test_clocks.move(session, shop.merchant_id, shop.clock_id, START, LATER)
    handover = _handover(shop, shop.clock_id, due_at)
    await _hand_over(database, handover)
    assert await _owed(database, handover) == []
    assert await _members(database, shop) == {handover.start.workflow_id: due_at}


async def test_a_clock_reads_from_the_rows_whom_it_starts(
    database: Database, merchant: CreatedMerchant
) -> None:
    """First the close of an invoice, then, when it is issued, its collection; then nobody."""
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    command = replace(await closing_invoice(database, shop), issue=True)
    await report(database, shop, [1000], LATER)
    clock = test_clocks.Reading(shop.clock_id, command.now)

    async def starts() -> dict[str, WorkflowStart]:
        members = await _members(database, shop)
        async with database.transaction() as session:
            return await handovers.starts_on(session, shop.merchant_id, clock, members)

    (close,) = (await starts()).values()
    assert close.workflow_type == "InvoiceClose"
    assert close.argument["invoice_id"] == command.invoice_id
    assert close.argument["clock_now"] == command.now.isoformat()
    await InvoiceActivities(database).draft_invoice(command)
    (collection,) = (await starts()).values()
    assert collection.workflow_id == f"payment/{command.invoice_id}"
    assert collection.argument["collection_id"] == command.invoice_id
    async with database.transaction() as session:
        await invoices.change(session, shop.merchant_id, command.invoice_id, status="PAID")
    assert await starts() == {}
