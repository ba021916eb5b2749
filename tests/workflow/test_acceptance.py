"""What a person asks is in the history before its work begins: no server can forget it then."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from tests.workflow.conftest import Simulation, Working
from tests.workflow.test_payment_collection import CARD, OPEN, FakePayments
from tests.workflow.test_subscription import FakeBilling
from workflows.invoice_close import CloseState, InvoiceCloseWorkflow
from workflows.options import BILLING_QUEUE
from workflows.payment_collection import CollectionState, PaymentCollectionWorkflow, PayNow
from workflows.subscription import SubscriptionState, SubscriptionWorkflow, TerminateNow

ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
RECORDED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
MARKER = EventType.EVENT_TYPE_MARKER_RECORDED


async def _recorded_before_work(handle: WorkflowHandle[Any, Any]) -> list[bool]:
    """For each accepted update, whether a task ended between it and the next local activity.

    Of one task the events are: completed, then accepted, then what its commands did. A local
    activity whose marker follows the acceptance directly ran in the task that was to accept it.
    """
    history = await handle.fetch_history()
    found: list[bool] = []
    for position, event in enumerate(history.events):
        if event.event_type != ACCEPTED:
            continue
        for later in history.events[position + 1 :]:
            is_work = later.marker_recorded_event_attributes.marker_name == "core_local_activity"
            if later.event_type == RECORDED or (later.event_type == MARKER and is_work):
                found.append(later.event_type == RECORDED)
                break
    return found


async def _waits(handle: WorkflowHandle[Any, Any], phase: str) -> None:
    """Its first task is over, in which it reads its rows: that is not yet what is asked for."""
    while (await handle.query("state"))["phase"] != phase:  # noqa: ASYNC110 - a query is asked
        await asyncio.sleep(0.05)


async def test_a_payment_is_recorded_before_it_is_attempted(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(["succeeded"], replace(OPEN, auto_charge=False, has_method=False))
    async with working(payments.activities()):
        handle = await simulation.client.start_workflow(
            PaymentCollectionWorkflow.run,
            CollectionState(collection_id="inv_1", merchant_id="org_1"),
            id="payment/inv_1",
            task_queue=BILLING_QUEUE,
        )
        await _waits(handle, "collecting")
        paid = await handle.execute_update(PaymentCollectionWorkflow.pay_now, PayNow(CARD))
        assert paid.status == "succeeded"
        assert await _recorded_before_work(handle) == [True]


async def test_a_termination_is_recorded_before_it_is_written(
    simulation: Simulation, working: Working
) -> None:
    billing = FakeBilling(anchor=(await simulation.now()).replace(microsecond=0))
    async with working(billing.activities(simulation.client)):
        handle = await simulation.client.start_workflow(
            SubscriptionWorkflow.run,
            SubscriptionState(subscription_id="sub_1", merchant_id="org_1"),
            id="subscription/sub_1",
            task_queue=BILLING_QUEUE,
        )
        await _waits(handle, "active")
        request = TerminateNow(reason="moving on", terminated_by="org_1")
        await handle.execute_update(SubscriptionWorkflow.terminate, request)
        assert billing.status == "terminated"
        assert await _recorded_before_work(handle) == [True]


async def test_an_approval_is_recorded_before_it_is_booked(
    simulation: Simulation, working: Working
) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(anchor=now, auto_approve=False)
    async with working(billing.activities(simulation.client)):
        handle = await simulation.client.start_workflow(
            InvoiceCloseWorkflow.run,
            CloseState(
                invoice_id="inv_1",
                merchant_id="org_1",
                subscription_id="sub_1",
                grace_period_end=now + timedelta(hours=1),
            ),
            id="invoice-close/sub_1/1",
            task_queue=BILLING_QUEUE,
        )
        await simulation.sleep(timedelta(hours=2))
        await handle.execute_update(InvoiceCloseWorkflow.approve)
        assert await _recorded_before_work(handle) == [True]
