"""The one door to life cycles: creations in the aggregate's own transaction, changes by update.

Creations work while Temporal is away (the outbox starts their workflows later); changes do not,
and raise `Unavailable`, which is answered 503.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.adjustments import (
    AdjustmentActivities,
    CreateAdjustment,
    CreatedAdjustment,
    DeleteAdjustment,
)
from activities.collecting import collection_workflow_id
from activities.customer_credits import CustomerCreditActivities, MoveCredit, SettleCredit
from activities.disputes import AnswerDispute, DisputeActivities, OpenDispute
from activities.entitlements import (
    EntitlementActivities,
    ReconciledFeatures,
    ReconcileFeatures,
)
from activities.gateways.port import CardDetails, GatewayUnavailable, PaymentGateway, SavedCard
from activities.gateways.simulated import SimulatedGateway
from activities.manual_lines import CreatedManualLine, CreateManualLine, ManualLineActivities
from activities.payment_attempts import CardChoice
from activities.payment_pages import CreatedPayment, CreateLink, CreatePayment, CreateSetup
from activities.payments import PaymentActivities
from activities.refunds import CreateRefund, RefundActivities, RefundInProgress, VoidRefund
from activities.refunds import workflow_id as refund_workflow_id
from activities.reservations import ReservationActivities, Reserve
from activities.reservations import workflow_id as reservation_workflow_id
from activities.resets import Reset, ResetActivities
from activities.subscription_changes import SubscriptionChanges
from activities.subscription_intervals import EditedIntervals, EditIntervals
from activities.subscription_periods import close_workflow_id
from activities.subscription_plans import ChangePlan, PlannedChange
from activities.subscription_starts import CreatedSubscription, CreateSubscription
from activities.subscription_starts import workflow_id as subscription_workflow_id
from activities.subscription_versions import MigratedVersion, MigrateVersion
from activities.subscriptions import SubscriptionActivities
from activities.usage_charges import RecordUsage, RefundUsage, UsageChargeActivities
from billing.errors import BillingError, Conflict, InvalidValue, NotFound
from models.database import Database, repeats_deadlocks
from models.payments import PaymentSession
from workflows import attributes
from workflows.connection import connect
from workflows.entitlement_reservation import EntitlementReservationWorkflow
from workflows.invoice_close import CloseState, InvoiceCloseWorkflow
from workflows.options import BILLING_QUEUE, TASK_TIMEOUT
from workflows.payment_collection import (
    CollectionState,
    GiveUp,
    MarkPaid,
    PaymentCollectionWorkflow,
    PayNow,
    PayResult,
    Retry,
)
from workflows.subscription import (
    ChangePlanTo,
    SubscriptionState,
    SubscriptionWorkflow,
    TerminateNow,
)
from workflows.test_clock import Advance, Advanced, TestClockState, TestClockWorkflow

T = TypeVar("T")
PaymentResult = PayResult
"""How a charge ended, for routes: they know no workflow."""
log = structlog.get_logger(__name__)

CHANGE_LIMIT = timedelta(seconds=10)
PAYMENT_LIMIT = timedelta(seconds=25)
RETRY_LIMIT = timedelta(seconds=15)
PING_LIMIT = timedelta(seconds=1)
# A busy machine answers late; only one that does not answer at all is away.
AWAY_AFTER = timedelta(seconds=3)
FORGET_LIMIT_SECONDS = 5.0
PARALLEL_ENDINGS = 16
ABSENT_LIMIT_SECONDS = 5.0
ABSENT_RETRY_SECONDS = 0.1


class Unavailable(Exception):
    """A server that the change needs is away: try again later; nothing was changed by us."""


class ClockMemberFailed(BillingError):
    """The clock has reached its target, but a workflow on it did not follow."""

    code = "CLOCK_MEMBER_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSubscription:
    """Which subscription changes, and how."""

    merchant_id: str
    subscription_id: str
    changes: SubscriptionChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPaused:
    """Which subscription pauses, or goes on."""

    merchant_id: str
    subscription_id: str
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateSubscription:
    """Which subscription ends, why, and by whom."""

    merchant_id: str
    subscription_id: str
    reason: str
    terminated_by: str
    change_reason: str | None = None
    at: datetime | None = None
    """As of when; None: now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """Which invoice or payment is collected, and the time in which it is."""

    merchant_id: str
    collection_id: str
    customer_id: str | None
    subscription_id: str | None
    clock_id: str | None
    clock_now: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Which invoice closes, and whose and in which time it would be collected."""

    collecting: Collecting
    sequence_number: int
    grace_period_end: datetime


class Commands:
    """What routes and pages may do to a life cycle."""

    @classmethod
    async def open(
        cls,
        database: Database,
        *,
        temporal_address: str | None,
        temporal_namespace: str | None,
        gateway_url: str,
    ) -> "Commands":
        """Connects lazily: Temporal may be away when the API starts."""
        client = await connect(temporal_address, temporal_namespace, lazy=True, patient=False)
        return cls(database, client, SimulatedGateway(gateway_url))

    def __init__(self, database: Database, client: Client, gateway: PaymentGateway) -> None:
        self._client = client
        self._gateway = gateway
        self._subscriptions = SubscriptionActivities(database)
        self._payments = PaymentActivities(database, gateway)
        self._reservations = ReservationActivities(database)
        self._credits = CustomerCreditActivities(database)
        self._refunds = RefundActivities(database, gateway)
        self._manual_lines = ManualLineActivities(database)
        self._resets = ResetActivities(database)
        self._usage_charges = UsageChargeActivities(database)
        self._disputes = DisputeActivities(database)
        self._adjustments = AdjustmentActivities(database)
        self._entitlements = EntitlementActivities(database)

    async def close(self) -> None:
        """Gives back what was opened."""
        await self._gateway.close()

    async def ready(self) -> bool:
        """Whether Temporal answers."""
        try:
            await self._client.workflow_service.get_system_info(
                GetSystemInfoRequest(), timeout=AWAY_AFTER
            )
        except (RPCError, RuntimeError):
            return False
        return True

    async def _require_temporal(self) -> None:
        """Refuses a change at once while Temporal does not answer, instead of after its limit."""
        if not await self.ready():
            raise Unavailable("Temporal is away")

    @repeats_deadlocks
    async def create_subscription(self, command: CreateSubscription) -> CreatedSubscription:
        """Creates a subscription, or finds the living one of the same customer and plan."""
        return await self._subscriptions.create_subscription(command)

    @repeats_deadlocks
    async def create_payment(self, command: CreatePayment) -> CreatedPayment:
        """Creates a one-off payment, or finds the one that its key made."""
        return await self._payments.create_payment(command)

    @repeats_deadlocks
    async def create_setup(self, command: CreateSetup) -> str:
        """Opens a session that saves a card; returns its id."""
        return await self._payments.create_setup(command)

    @repeats_deadlocks
    async def reserve(self, command: Reserve) -> str:
        """Holds funds; returns the reservation's id."""
        return await self._reservations.reserve(command)

    @repeats_deadlocks
    async def record_usage(self, command: RecordUsage) -> str:
        """Charges a use; returns its id. A hold that it ended tells its workflow."""
        recorded = await self._usage_charges.record_usage(command)
        if recorded.ended_reservation_id is not None:
            await self._tell_resolved(recorded.ended_reservation_id)
        return recorded.charge_id

    @repeats_deadlocks
    async def refund_usage(self, command: RefundUsage) -> None:
        """Takes a charged use back."""
        await self._usage_charges.refund_usage(command)

    @repeats_deadlocks
    async def open_dispute(self, command: OpenDispute) -> str:
        """Opens a dispute; returns its id."""
        return await self._disputes.open_dispute(command)

    @repeats_deadlocks
    async def answer_dispute(self, command: AnswerDispute) -> None:
        """Accepts or declines a dispute."""
        await self._disputes.answer_dispute(command)

    async def _tell_resolved(self, reservation_id: str) -> None:
        handle = self._client.get_workflow_handle(reservation_workflow_id(reservation_id))
        try:
            await handle.signal(EntitlementReservationWorkflow.resolved, rpc_timeout=PING_LIMIT)
        except (RPCError, RuntimeError):
            # The hold is resolved in SQL; its workflow finds that out at the expiry.
            log.info("workflow_not_told", workflow=reservation_workflow_id(reservation_id))

    async def terminate_subscription(self, command: TerminateSubscription) -> None:
        """Ends a subscription now; the caller has checked that it lives."""
        handle = self._client.get_workflow_handle(subscription_workflow_id(command.subscription_id))
        request = TerminateNow(
            command.reason, command.terminated_by, command.change_reason, command.at
        )
        await self._require_temporal()
        await _reach(
            lambda: handle.execute_update(
                SubscriptionWorkflow.terminate, request, rpc_timeout=CHANGE_LIMIT
            )
        )

    async def change_subscription(self, command: UpdateSubscription) -> None:
        """Changes a living subscription."""
        handle = self._client.get_workflow_handle(subscription_workflow_id(command.subscription_id))
        await self._require_temporal()
        await _reach(
            lambda: handle.execute_update(
                SubscriptionWorkflow.change, command.changes, rpc_timeout=CHANGE_LIMIT
            )
        )

    async def set_paused(self, command: SetPaused) -> None:
        """Pauses a living subscription, or lets it go on."""
        handle = self._client.get_workflow_handle(subscription_workflow_id(command.subscription_id))
        change = SubscriptionWorkflow.pause if command.paused else SubscriptionWorkflow.resume
        await self._require_temporal()
        await _reach(lambda: handle.execute_update(change, rpc_timeout=CHANGE_LIMIT))

    async def advance_test_clock(
        self, merchant_id: str, clock_id: str, now: datetime, target: datetime
    ) -> Advanced:
        """Answers when the target is reached and everything due by then has happened.

        Another advance under way is a Conflict; the same target again joins it.
        """
        argument: dict[str, object] = {"merchant_id": merchant_id, "clock_id": clock_id}
        start = WithStartWorkflowOperation(
            TestClockWorkflow.run,
            TestClockState(clock_id=clock_id, merchant_id=merchant_id, now=now),
            id=clock_workflow_id(clock_id),
            task_queue=BILLING_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=TASK_TIMEOUT,
            search_attributes=TypedSearchAttributes(attributes.pairs(argument)),
            static_summary=f"test clock {clock_id}",
        )
        await self._require_temporal()
        advanced = await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                TestClockWorkflow.advance, Advance(target), start_workflow_operation=start
            )
        )
        if advanced.failed:
            raise ClockMemberFailed(
                "The clock moved, but not everything on it followed",
                details={m.workflow_id: m.reason for m in advanced.failed},
            )
        return advanced

    async def delete_test_clock(self, clock_id: str) -> None:
        """Ends the clock's workflow, if it ever ran; the row is already marked."""
        handle = self._client.get_workflow_handle(clock_workflow_id(clock_id))
        try:
            await handle.signal(TestClockWorkflow.deleted, rpc_timeout=CHANGE_LIMIT)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise Unavailable("Temporal is away") from error
        except RuntimeError as error:
            raise Unavailable("Temporal is away") from error

    async def reset_merchant(self, command: Reset) -> None:
        """Deletes a sandbox's rows, then ends the workflows that have lost theirs.

        With Temporal away they end by themselves: their next transaction finds nothing.
        """
        await self._forget(await self._resets.reset(command))

    async def _forget(self, workflow_ids: Sequence[str]) -> None:
        limit = asyncio.Semaphore(PARALLEL_ENDINGS)

        async def end(workflow_id: str) -> None:
            async with limit:
                handle = self._client.get_workflow_handle(workflow_id)
                try:
                    await handle.terminate(reason="reset", rpc_timeout=CHANGE_LIMIT)
                except RPCError as error:
                    # Not started yet, or ended already.
                    if error.status != RPCStatusCode.NOT_FOUND:
                        raise

        try:
            async with asyncio.timeout(FORGET_LIMIT_SECONDS):
                await asyncio.gather(*(end(workflow_id) for workflow_id in workflow_ids))
        except (RPCError, RuntimeError, TimeoutError) as error:
            log.warning(
                "workflows_left_behind", count=len(workflow_ids), error=type(error).__name__
            )

    async def create_card(self, card: CardDetails) -> SavedCard:
        """Hands a card to the gateway; raises CardDeclined for details that are no card."""
        try:
            return await self._gateway.create_payment_method(card)
        except GatewayUnavailable as error:
            raise Unavailable("The payment provider is away") from error

    async def pay(
        self,
        session: PaymentSession,
        card: SavedCard,
        *,
        clock_now: datetime | None,
        clock_id: str | None,
        save: bool,
    ) -> PayResult:
        """Charges the checkout's card through the collection; answered with the outcome."""
        choice = CardChoice(
            gateway_method_id=card.payment_method_id,
            brand=card.brand,
            last4=card.last4,
            exp_month=card.exp_month,
            exp_year=card.exp_year,
            save=save,
        )
        collecting = Collecting(
            merchant_id=session.merchant_id,
            collection_id=session.collection_id,
            customer_id=session.customer_id,
            subscription_id=session.subscription_id,
            clock_id=clock_id,
            clock_now=clock_now,
        )
        return await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                PaymentCollectionWorkflow.pay_now,
                PayNow(choice),
                start_workflow_operation=_collection(collecting),
                id=f"pay-{choice.gateway_method_id}",
                rpc_timeout=PAYMENT_LIMIT,
            )
        )

    async def mark_paid(self, collecting: Collecting, reason: str | None) -> PayResult:
        """Ends an invoice's collection with money that came past the provider."""
        return await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                PaymentCollectionWorkflow.mark_paid,
                MarkPaid(reason),
                start_workflow_operation=_collection(collecting),
                rpc_timeout=CHANGE_LIMIT,
            )
        )

    async def write_off(self, collecting: Collecting, reason: str) -> PayResult:
        """Ends an invoice's collection without its money."""
        return await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                PaymentCollectionWorkflow.write_off,
                GiveUp(reason),
                start_workflow_operation=_collection(collecting),
                rpc_timeout=CHANGE_LIMIT,
            )
        )

    async def approve_invoice(self, closing: Closing) -> None:
        """Agrees to a draft; answered when it is issued."""
        await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                InvoiceCloseWorkflow.approve,
                start_workflow_operation=_close(closing),
                rpc_timeout=CHANGE_LIMIT,
            )
        )

    async def approve_first_invoice(self, collecting: Collecting) -> None:
        """Agrees to the first invoice of a subscription; answered when it is issued."""
        await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                SubscriptionWorkflow.approve_first,
                start_workflow_operation=_subscription(collecting),
                rpc_timeout=CHANGE_LIMIT,
            )
        )

    async def retry_payment(self, collecting: Collecting) -> PayResult:
        """Charges the saved card now; without an answer in time it is `Unavailable`."""
        return await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                PaymentCollectionWorkflow.retry,
                Retry(),
                start_workflow_operation=_collection(collecting),
                rpc_timeout=RETRY_LIMIT,
            )
        )

    @repeats_deadlocks
    async def create_link(self, command: CreateLink) -> str:
        """Opens a new hosted page for an unpaid invoice; returns its session's id."""
        return await self._payments.create_link(command)

    @repeats_deadlocks
    async def create_manual_line(
        self, command: CreateManualLine, now: datetime
    ) -> CreatedManualLine:
        """Writes a line for an invoice to come, or finds the one that its key made."""
        return await self._manual_lines.create_manual_line(command, now)

    @repeats_deadlocks
    async def migrate_version(self, command: MigrateVersion) -> MigratedVersion:
        """Moves a subscription to another version of its plan."""
        return await self._subscriptions.migrate_version(command)

    async def planned_change(self, command: ChangePlan) -> PlannedChange:
        """What a change of a plan would bill; nothing is written."""
        return await self._subscriptions.plan_change(command)

    async def change_plan(self, command: ChangePlan) -> None:
        """Changes the plan of a living subscription."""
        handle = self._client.get_workflow_handle(subscription_workflow_id(command.subscription_id))
        request = ChangePlanTo(command.plan_id, command.at)
        await self._require_temporal()
        await _reach(
            lambda: handle.execute_update(
                SubscriptionWorkflow.change_plan, request, rpc_timeout=CHANGE_LIMIT
            )
        )

    @repeats_deadlocks
    async def edit_intervals(self, command: EditIntervals) -> EditedIntervals:
        """Changes what a subscription bills over time."""
        return await self._subscriptions.edit_intervals(command)

    @repeats_deadlocks
    async def create_adjustment(self, command: CreateAdjustment) -> CreatedAdjustment:
        """Writes an adjustment of a subscription, or finds the one that its key made."""
        return await self._adjustments.create_adjustment(command)

    @repeats_deadlocks
    async def delete_adjustment(self, command: DeleteAdjustment) -> bool:
        """Takes an adjustment back: True if it is gone, False if it was only ended."""
        return await self._adjustments.delete_adjustment(command)

    async def reconcile_features(self, command: ReconcileFeatures) -> ReconciledFeatures:
        """Makes a subscription's entitlements those of its plan, or tells what that would do."""
        return await self._entitlements.reconcile(command)

    @repeats_deadlocks
    async def pay_out_credit(self, command: SettleCredit) -> None:
        """Records that a merchant has given a credit back himself."""
        await self._credits.pay_out(command)

    @repeats_deadlocks
    async def waive_credit(self, command: SettleCredit) -> None:
        """Records that nothing is owed for a credit any more."""
        await self._credits.waive(command)

    @repeats_deadlocks
    async def move_credit(self, command: MoveCredit) -> None:
        """Lets another subscription give a credit back."""
        await self._credits.move(command)

    @repeats_deadlocks
    async def create_refund(self, command: CreateRefund) -> str:
        """Gives a paid invoice back; returns the refund's id."""
        return await self._refunds.create_refund(command)

    async def void_refund(self, command: VoidRefund) -> None:
        """Takes a refund back; one that the provider has yet to confirm is waited for."""
        try:
            await self._refunds.void_refund(command)
        except RefundInProgress:
            if not await self._has_ended(refund_workflow_id(command.refund_id)):
                raise
            await self._refunds.void_refund(command)

    async def _has_ended(self, workflow_id: str) -> bool:
        """Whether the workflow ends soon; one that has not been started yet is waited for too."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(CHANGE_LIMIT.total_seconds()):
                await _reach(handle.result)
        except (TimeoutError, Unavailable, WorkflowFailureError):
            return False
        return True

    async def provider_answers(self) -> bool:
        """Whether the payment provider can be reached; it is asked for a charge that is none."""
        try:
            await self._gateway.find_charge("none")
        except GatewayUnavailable:
            return False
        return True

    async def save_card(self, session: PaymentSession, card: SavedCard) -> None:
        """Saves a set-up session's card and lets failed collections try it."""
        try:
            await self._gateway.attach(card.payment_method_id)
        except GatewayUnavailable as error:
            raise Unavailable("The payment provider is away") from error
        waiting = await self._payments.complete_setup(session.merchant_id, session.id, card)
        for invoice_id in waiting:
            handle = self._client.get_workflow_handle(collection_workflow_id(invoice_id))
            try:
                await handle.signal(
                    PaymentCollectionWorkflow.method_changed, rpc_timeout=PING_LIMIT
                )
            except (RPCError, RuntimeError):
                # The card is saved; dunning's next attempt charges it in any case.
                continue


def _collection(collecting: Collecting) -> WithStartWorkflowOperation[Any, Any]:
    """Starts the collection where it does not run: it may have ended, or not been started yet."""
    return WithStartWorkflowOperation(
        PaymentCollectionWorkflow.run,
        CollectionState(
            collection_id=collecting.collection_id,
            merchant_id=collecting.merchant_id,
            clock_id=collecting.clock_id,
            clock_now=collecting.clock_now,
        ),
        id=collection_workflow_id(collecting.collection_id),
        task_queue=BILLING_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_timeout=TASK_TIMEOUT,
        search_attributes=TypedSearchAttributes(attributes.pairs(asdict(collecting))),
        static_summary=f"collect {collecting.collection_id}",
    )


def _subscription(of: Collecting) -> WithStartWorkflowOperation[Any, Any]:
    """Starts the subscription's workflow where it does not run: its store may be lost."""
    assert of.subscription_id is not None
    return WithStartWorkflowOperation(
        SubscriptionWorkflow.run,
        SubscriptionState(
            subscription_id=of.subscription_id,
            merchant_id=of.merchant_id,
            clock_id=of.clock_id,
            clock_now=of.clock_now,
        ),
        id=subscription_workflow_id(of.subscription_id),
        task_queue=BILLING_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_timeout=TASK_TIMEOUT,
        search_attributes=TypedSearchAttributes(attributes.pairs(asdict(of))),
        static_summary=f"subscription {of.subscription_id}",
    )


def _close(closing: Closing) -> WithStartWorkflowOperation[Any, Any]:
    """Starts the close where it does not run: a draft waits for ever, a store may be lost."""
    of = closing.collecting
    assert of.subscription_id is not None
    workflow_id = close_workflow_id(of.subscription_id, closing.sequence_number)
    return WithStartWorkflowOperation(
        InvoiceCloseWorkflow.run,
        CloseState(
            invoice_id=of.collection_id,
            merchant_id=of.merchant_id,
            subscription_id=of.subscription_id,
            grace_period_end=closing.grace_period_end,
            clock_id=of.clock_id,
            clock_now=of.clock_now,
        ),
        id=workflow_id,
        task_queue=BILLING_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_timeout=TASK_TIMEOUT,
        search_attributes=TypedSearchAttributes(attributes.pairs(asdict(of))),
        static_summary=f"close {of.collection_id}",
    )


def clock_workflow_id(clock_id: str) -> str:
    """The id of a clock's workflow."""
    return f"test-clock/{clock_id}"


async def _reach(call: Callable[[], Awaitable[T]]) -> T:
    """Makes the call; a workflow that its outbox row has not started yet is waited for."""
    deadline = asyncio.get_running_loop().time() + ABSENT_LIMIT_SECONDS
    while True:
        try:
            return await call()
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise Unavailable("Nobody worked on it in time") from error
        except RPCError as error:
            late = asyncio.get_running_loop().time() > deadline
            if error.status != RPCStatusCode.NOT_FOUND or late:
                raise Unavailable("Temporal is away") from error
        except RuntimeError as error:
            raise Unavailable("Temporal is away") from error
        await asyncio.sleep(ABSENT_RETRY_SECONDS)


def _refusal(error: WorkflowUpdateFailedError) -> BillingError:
    """What the workflow refused, as it was refused below: by its code, else a conflict."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return Conflict("The change was refused")
    details = cause.details[0] if cause.details else {}
    if cause.type == InvalidValue.code:
        return InvalidValue(cause.message, field=details.get("field", ""))
    refusal = NotFound if cause.type == NotFound.code else Conflict
    return refusal(cause.message, details=details)
