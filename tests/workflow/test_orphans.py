"""A workflow whose rows are gone ends by itself at its next transaction, and does not try again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.payment_collections import CollectionRef
from activities.reservations import ReservationRef, ReservationView
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import RolledPeriod, SubscriptionRef, SubscriptionView
from tests.workflow.conftest import Simulation, Working
from workflows.entitlement_reservation import EntitlementReservationWorkflow, ReservationState
from workflows.options import BILLING_QUEUE
from workflows.payment_collection import CollectionState, PaymentCollectionWorkflow
from workflows.subscription import SubscriptionState, SubscriptionWorkflow


def gone() -> ApplicationError:
    """As the refusals' interceptor raises what finds no row."""
    return ApplicationError("No such row", type="NOT_FOUND", non_retryable=True)


async def ended(simulation: Simulation, handle: Any) -> None:
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 30)
    assert (await handle.describe()).status == WorkflowExecutionStatus.FAILED
    assert (await simulation.now()) is not None


async def test_a_subscription_ends_at_its_boundary(
    simulation: Simulation, working: Working
) -> None:
    boundary = (await simulation.now()) + timedelta(days=30)
    tries = 0

    @activity.defn(name="view_subscription")
    async def view_subscription(_ref: SubscriptionRef) -> SubscriptionView:
        return SubscriptionView(
            status="active",
            customer_id="cus_1",
            plan_name="Pro",
            first_invoice_id=None,
            session_expires_at=None,
            next_boundary=boundary,
            sequence_number=1,
            ending_at=None,
        )

    @activity.defn(name="roll_period")
    async def roll_period(_command: RollPeriod) -> RolledPeriod:
        nonlocal tries
        tries += 1
        raise gone()

    async with working([view_subscription, roll_period]):
        handle = await simulation.client.start_workflow(
            SubscriptionWorkflow.run,
            SubscriptionState(subscription_id="sub_1", merchant_id="org_1"),
            id="subscription/sub_1",
            task_queue=BILLING_QUEUE,
        )
        await simulation.sleep(timedelta(days=29))
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        await simulation.sleep(timedelta(days=2))
        await ended(simulation, handle)
    assert tries == 1


async def test_a_reservation_ends_at_its_expiry(simulation: Simulation, working: Working) -> None:
    expires_at = (await simulation.now()) + timedelta(hours=24)

    @activity.defn(name="view_reservation")
    async def view_reservation(_ref: ReservationRef) -> ReservationView:
        return ReservationView(
            status="reserved",
            customer_id="cus_1",
            subscription_id="sub_1",
            expires_at=expires_at,
        )

    @activity.defn(name="expire_reservation")
    async def expire_reservation(_ref: ReservationRef) -> ReservationView:
        raise gone()

    async with working([view_reservation, expire_reservation]):
        handle = await simulation.client.start_workflow(
            EntitlementReservationWorkflow.run,
            ReservationState(reservation_id="ent_1", merchant_id="org_1"),
            id="reservation/ent_1",
            task_queue=BILLING_QUEUE,
        )
        await simulation.sleep(timedelta(hours=25))
        await ended(simulation, handle)


async def test_a_collection_that_starts_too_late_ends(
    simulation: Simulation, working: Working
) -> None:
    @activity.defn(name="open_collection")
    async def open_collection(_ref: CollectionRef) -> None:
        raise gone()

    async with working([open_collection]):
        handle = await simulation.client.start_workflow(
            PaymentCollectionWorkflow.run,
            CollectionState(collection_id="inv_1", merchant_id="org_1"),
            id="payment/inv_1",
            task_queue=BILLING_QUEUE,
        )
        await ended(simulation, handle)
