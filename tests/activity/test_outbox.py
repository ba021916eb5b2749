"""The outbox relay on a real Temporal server: what is owed is started, once, whatever happens."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.organizations import CreatedMerchant
from activities.outbox import OutboxRelay, Starting
from local.temporal import running_temporal
from models.base import new_id
from models.database import Database
from models.queries import outbox
from workflows import attributes, priorities
from workflows.connection import connect, register_search_attributes


@pytest.fixture(scope="module")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of a Temporal server of this module's own."""
    folder: Path = tmp_path_factory.mktemp("temporal")
    with running_temporal(folder) as server:
        client = await connect(server.address, "default")
        await register_search_attributes(client)
        yield client


def _relay(database: Database, client: Client) -> OutboxRelay:
    starting = Starting(
        task_queue="nobody-polls",
        task_timeout=timedelta(seconds=5),
        attributes=attributes.pairs,
        priorities=priorities.of,
    )
    return OutboxRelay(database, client, starting)


def _start(
    merchant: CreatedMerchant, workflow_id: str, argument: object = "x"
) -> outbox.WorkflowStart:
    return outbox.WorkflowStart(
        merchant_id=merchant.merchant_id,
        workflow_id=workflow_id,
        workflow_type="Subscription",
        argument={"subscription_id": argument, "merchant_id": merchant.merchant_id},
    )


async def _owe(database: Database, start: outbox.WorkflowStart) -> None:
    async with database.transaction() as session:
        await outbox.add(session, start)


async def test_a_start_stands_where_its_kind_and_its_merchant_put_it(
    database: Database, temporal: Client, merchant: CreatedMerchant
) -> None:
    start = _start(merchant, f"subscription/first-{merchant.merchant_id}")
    close = replace(start, workflow_id=f"{start.workflow_id}/0", workflow_type="InvoiceClose")
    async with database.transaction() as session:
        for each in (start, close):
            await outbox.add(session, each)
    while await _relay(database, temporal).relay_once():
        pass
    levels = []
    for workflow_id in (start.workflow_id, close.workflow_id):
        described = await temporal.get_workflow_handle(workflow_id).describe()
        priority = described.raw_description.workflow_execution_info.priority
        assert priority.fairness_key == merchant.merchant_id
        levels.append(priority.priority_key)
    assert levels == [2, 4]


async def test_what_is_owed_is_started_and_marked(
    own_database: Database, temporal: Client, merchant_of_own: CreatedMerchant
) -> None:
    workflow_id = f"subscription/{new_id('sub')}"
    for _ in range(2):
        await _owe(own_database, _start(merchant_of_own, workflow_id))
    relay = _relay(own_database, temporal)
    assert await relay.relay_once() is False
    described = await temporal.get_workflow_handle(workflow_id).describe()
    assert described.workflow_type == "Subscription"
    async with own_database.transaction() as session:
        assert await outbox.claim(session, 10) == []


async def test_a_workflow_that_runs_already_is_marked(
    own_database: Database, temporal: Client, merchant_of_own: CreatedMerchant
) -> None:
    """The relay died between the start and the mark."""
    workflow_id = f"subscription/{new_id('sub')}"
    await temporal.start_workflow("Subscription", {}, id=workflow_id, task_queue="nobody-polls")
    await _owe(own_database, _start(merchant_of_own, workflow_id))
    await _relay(own_database, temporal).relay_once()
    async with own_database.transaction() as session:
        assert await outbox.claim(session, 10) == []


async def test_a_workflow_that_has_ended_is_marked(
    own_database: Database, temporal: Client, merchant_of_own: CreatedMerchant
) -> None:
    workflow_id = f"subscription/{new_id('sub')}"
    handle = await temporal.start_workflow(
        "Subscription", {}, id=workflow_id, task_queue="nobody-polls"
    )
    await handle.terminate()
    await _owe(own_database, _start(merchant_of_own, workflow_id))
    relay = _relay(own_database, temporal)
    assert await relay.start_owed(merchant_of_own.merchant_id, workflow_id)
    assert not await relay.start_owed(merchant_of_own.merchant_id, workflow_id)


async def test_a_rolled_back_fact_owes_nothing(
    own_database: Database, merchant_of_own: CreatedMerchant
) -> None:
    start = _start(merchant_of_own, f"subscription/{new_id('sub')}")
    with pytest.raises(LookupError):
        await _owe_and_fail(own_database, start)
    async with own_database.transaction() as session:
        assert await outbox.claim(session, 10) == []


async def _owe_and_fail(database: Database, start: outbox.WorkflowStart) -> None:
    async with database.transaction() as session:
        await outbox.add(session, start)
        raise LookupError
