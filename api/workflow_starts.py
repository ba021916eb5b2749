"""What starts a workflow where it does not run: it may have ended, or its store be lost.

Each is started by its outbox row first of all; a change that finds none starts it again.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy

from activities.collecting import collection_workflow_id
from activities.subscription_periods import close_workflow_id
from activities.subscription_starts import workflow_id as subscription_workflow_id
from models.payments import PaymentSession
from workflows import attributes
from workflows.invoice_close import CloseState, InvoiceCloseWorkflow
from workflows.options import BILLING_QUEUE, TASK_TIMEOUT
from workflows.payment_collection import CollectionState, PaymentCollectionWorkflow
from workflows.subscription import SubscriptionState, SubscriptionWorkflow
from workflows.test_clock import TestClockState, TestClockWorkflow

Start = WithStartWorkflowOperation[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """Which invoice or payment is collected, and the time in which it is."""

    merchant_id: str
    collection_id: str
    customer_id: str | None
    subscription_id: str | None
    clock_id: str | None
    clock_now: datetime | None

    @classmethod
    def of(cls, page: PaymentSession, clock_id: str | None, clock_now: datetime | None) -> Self:
        """What a hosted page collects."""
        return cls(
            merchant_id=page.merchant_id,
            collection_id=page.collection_id,
            customer_id=page.customer_id,
            subscription_id=page.subscription_id,
            clock_id=clock_id,
            clock_now=clock_now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Which invoice closes, and whose and in which time it would be collected."""

    collecting: Collecting
    sequence_number: int
    grace_period_end: datetime


def collection(of: Collecting) -> Start:
    """The collection of an invoice or a payment."""
    state = CollectionState(
        collection_id=of.collection_id,
        merchant_id=of.merchant_id,
        clock_id=of.clock_id,
        clock_now=of.clock_now,
    )
    workflow_id = collection_workflow_id(of.collection_id)
    summary = f"collect {of.collection_id}"
    return _start(PaymentCollectionWorkflow.run, state, workflow_id, asdict(of), summary)


def subscription(of: Collecting) -> Start:
    """The subscription whose first invoice is collected."""
    assert of.subscription_id is not None
    state = SubscriptionState(
        subscription_id=of.subscription_id,
        merchant_id=of.merchant_id,
        clock_id=of.clock_id,
        clock_now=of.clock_now,
    )
    workflow_id = subscription_workflow_id(of.subscription_id)
    summary = f"subscription {of.subscription_id}"
    return _start(SubscriptionWorkflow.run, state, workflow_id, asdict(of), summary)


def close(closing: Closing) -> Start:
    """The close of an invoice; a draft waits for ever."""
    of = closing.collecting
    assert of.subscription_id is not None
    state = CloseState(
        invoice_id=of.collection_id,
        merchant_id=of.merchant_id,
        subscription_id=of.subscription_id,
        grace_period_end=closing.grace_period_end,
        clock_id=of.clock_id,
        clock_now=of.clock_now,
    )
    workflow_id = close_workflow_id(of.subscription_id, closing.sequence_number)
    summary = f"close {of.collection_id}"
    return _start(InvoiceCloseWorkflow.run, state, workflow_id, asdict(of), summary)


def test_clock(merchant_id: str, clock_id: str, now: datetime) -> Start:
    """The clock, standing at now."""
    state = TestClockState(clock_id=clock_id, merchant_id=merchant_id, now=now)
    found: dict[str, object] = {"merchant_id": merchant_id, "clock_id": clock_id}
    workflow_id = clock_workflow_id(clock_id)
    return _start(TestClockWorkflow.run, state, workflow_id, found, f"test clock {clock_id}")


def clock_workflow_id(clock_id: str) -> str:
    """The id of a clock's workflow."""
    return f"test-clock/{clock_id}"


def _start(
    run: Any, state: Any, workflow_id: str, described: dict[str, object], summary: str
) -> Start:
    return WithStartWorkflowOperation(
        run,
        state,
        id=workflow_id,
        task_queue=BILLING_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_timeout=TASK_TIMEOUT,
        search_attributes=TypedSearchAttributes(attributes.pairs(described)),
        static_summary=summary,
    )
