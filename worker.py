"""The Temporal worker and the outbox relay beside it; it binds activities to their servers."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.gateways.port import PaymentGateway
from activities.gateways.simulated import SimulatedGateway
from activities.invoices import InvoiceActivities
from activities.outbox import OutboxRelay, Starting
from activities.overdue import OverdueActivities
from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from activities.refusals import Refusals
from activities.reservations import ReservationActivities
from activities.retention import RetentionActivities
from activities.signatures import Signatures
from activities.subscriptions import SubscriptionActivities
from activities.test_clocks import STARTS_AT_ONCE_MAX, TestClockActivities
from activities.usage_rollups import UsageRollupActivities
from activities.write_offs import WriteOffActivities
from models.database import Database
from settings import Settings
from workflows import attributes, overdue_sweep, priorities, usage_retention, usage_rollup
from workflows.connection import connect, register_search_attributes
from workflows.entitlement_reservation import EntitlementReservationWorkflow
from workflows.invoice_close import InvoiceCloseWorkflow
from workflows.options import BILLING_QUEUE, PAYMENTS_QUEUE, STICKY_TIMEOUT, TASK_TIMEOUT
from workflows.overdue_sweep import OverdueSweepWorkflow
from workflows.payment_collection import PaymentCollectionWorkflow
from workflows.refund import RefundWorkflow
from workflows.subscription import SubscriptionWorkflow
from workflows.test_clock import TestClockWorkflow
from workflows.usage_retention import UsageRetentionWorkflow
from workflows.usage_rollup import UsageRollupWorkflow

WORKFLOWS = [
    SubscriptionWorkflow,
    InvoiceCloseWorkflow,
    PaymentCollectionWorkflow,
    RefundWorkflow,
    EntitlementReservationWorkflow,
    TestClockWorkflow,
    OverdueSweepWorkflow,
    UsageRetentionWorkflow,
    UsageRollupWorkflow,
]
WORKFLOW_TASKS_MAX = 2 * STARTS_AT_ONCE_MAX
"""Half of them for what waits in the queue: starts at once must not take every place."""
# Deterministic as far as workflows use them (messages and pure rules): loaded once for all.
PASSED_THROUGH = (
    "activities",
    "billing",
    "models",
    "pydantic",
    "sqlmodel",
    "sqlalchemy",
    "psycopg",
    "psycopg_pool",
    "structlog",
    "uuid_utils",
    "httpx2",
    "httpcore2",
    "anyio",
)


def workflow_runner(*, strict: bool = False) -> WorkflowRunner:
    """How workflows run: as they are, which is cheap, or strictly, in the sandbox, for tests.

    The sandbox loads the workflows' modules for each instance and so sees what they do that is not
    deterministic; it costs more than most workflows do (docs/adr/0043).
    """
    if not strict:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )


def _steps_of(subscriptions: SubscriptionActivities) -> list[Callable[..., Any]]:
    return [
        subscriptions.view_subscription,
        subscriptions.activate_subscription,
        subscriptions.approve_first_invoice,
        subscriptions.expire_activation,
        subscriptions.roll_period,
        subscriptions.change_subscription,
        subscriptions.remind_renewal,
        subscriptions.pause_subscription,
        subscriptions.change_plan,
        subscriptions.resume_subscription,
        subscriptions.terminate_subscription,
    ]


def _workers(client: Client, database: Database, gateway: PaymentGateway) -> list[Worker]:
    relay = _relay(client, database)
    payments = PaymentActivities(database, gateway)
    subscriptions = SubscriptionActivities(database)
    invoices = InvoiceActivities(database)
    refunds = RefundActivities(database, gateway)
    reservations = ReservationActivities(database)
    test_clocks = TestClockActivities(database, client, relay)
    billing = Worker(
        client,
        task_queue=BILLING_QUEUE,
        workflows=WORKFLOWS,
        activities=[
            *_steps_of(subscriptions),
            invoices.draft_invoice,
            invoices.finalize_invoice,
            payments.open_collection,
            payments.begin_attempt,
            payments.charge_at_once,
            payments.record_attempt,
            payments.give_up_collection,
            payments.settle_outside,
            refunds.settle_refund,
            WriteOffActivities(database).write_off_invoice,
            payments.expire_collection,
            reservations.view_reservation,
            reservations.expire_reservation,
            test_clocks.run_slice,
            OverdueActivities(database).sweep_overdue,
            RetentionActivities(database).delete_old_usage,
            UsageRollupActivities(database).roll_up_usage,
        ],
        workflow_runner=workflow_runner(),
        max_concurrent_workflow_tasks=WORKFLOW_TASKS_MAX,
        # No payload lies outside of its history: with more at once, each becomes a task of its own.
        max_workflow_task_external_storage_concurrency=1,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        interceptors=[Refusals(), Signatures()],
        graceful_shutdown_timeout=timedelta(seconds=5),
    )
    charging = Worker(
        client,
        task_queue=PAYMENTS_QUEUE,
        activities=[payments.charge, refunds.give_back],
        interceptors=[Refusals(), Signatures()],
        graceful_shutdown_timeout=timedelta(seconds=10),
    )
    return [billing, charging]


def _relay(client: Client, database: Database) -> OutboxRelay:
    starting = Starting(
        task_queue=BILLING_QUEUE,
        task_timeout=TASK_TIMEOUT,
        attributes=attributes.pairs,
        priorities=priorities.of,
    )
    return OutboxRelay(database, client, starting)


@contextlib.asynccontextmanager
async def running(
    client: Client, database: Database, gateway: PaymentGateway
) -> AsyncIterator[None]:
    """Works while the block runs: both task queues and the outbox."""
    async with contextlib.AsyncExitStack() as stack:
        for worker in _workers(client, database, gateway):
            await stack.enter_async_context(worker)
        relay = asyncio.create_task(_relay(client, database).run())
        try:
            yield
        finally:
            relay.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await relay


async def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    await register_search_attributes(client)
    await overdue_sweep.ensure_schedule(client)
    await usage_retention.ensure_schedule(client)
    await usage_rollup.ensure_schedule(client)
    database = Database(settings.database_url, pool_size=settings.database_pool_size)
    gateway = SimulatedGateway(settings.gateway_url)
    try:
        async with running(client, database, gateway):
            await stopped.wait()
    finally:
        await gateway.close()
        await database.close()
