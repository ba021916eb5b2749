"""The one door to life cycles: creations in the aggregate's own transaction, changes by update.

Creations work while Temporal is away (the outbox starts their workflows later); changes do not,
and raise `Unavailable`, which is answered 503.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio.client import Client

from activities.adjustments import (
    AdjustmentActivities,
    CreateAdjustment,
    CreatedAdjustment,
    DeleteAdjustment,
)
from activities.collecting import collection_workflow_id
from activities.customer_credits import CustomerCreditActivities, MoveCredit, SettleCredit
from activities.disputes import AnswerDispute, DisputeActivities, OpenDispute
from activities.entitlements import EntitlementActivities, ReconciledFeatures, ReconcileFeatures
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
from activities.subscription_plans import ChangePlan, PlannedChange
from activities.subscription_starts import CreatedSubscription, CreateSubscription
from activities.subscription_starts import workflow_id as subscription_workflow_id
from activities.subscription_versions import MigratedVersion, MigrateVersion
from activities.subscriptions import SubscriptionActivities
from activities.usage_charges import RecordUsage, RefundUsage, UsageChargeActivities
from api import workflow_starts as starts
from api.workflow_calls import Unavailable, WorkflowCalls
from api.workflow_starts import Closing, Collecting
from billing.errors import BillingError
from models.database import Database, repeats_deadlocks
from models.payments import PaymentSession
from workflows.connection import connect
from workflows.entitlement_reservation import EntitlementReservationWorkflow
from workflows.invoice_close import InvoiceCloseWorkflow
from workflows.payment_collection import (
    GiveUp,
    MarkPaid,
    PaymentCollectionWorkflow,
    PayNow,
    PayResult,
    Retry,
)
from workflows.subscription import ChangePlanTo, SubscriptionWorkflow, TerminateNow
from workflows.test_clock import Advance, Advanced, TestClockWorkflow

PaymentResult = PayResult
"""How a charge ended, for routes: they know no workflow."""

PAYMENT_LIMIT = timedelta(seconds=25)
RETRY_LIMIT = timedelta(seconds=15)


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
        self._workflows = WorkflowCalls(client)
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
        return await self._workflows.ready()

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
            # The hold is resolved in SQL; untold, its workflow finds that out at the expiry.
            await self._workflows.tell(
                reservation_workflow_id(recorded.ended_reservation_id),
                EntitlementReservationWorkflow.resolved,
            )
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

    async def terminate_subscription(self, command: TerminateSubscription) -> None:
        """Ends a subscription now; the caller has checked that it lives."""
        request = TerminateNow(
            command.reason, command.terminated_by, command.change_reason, command.at
        )
        workflow_id = subscription_workflow_id(command.subscription_id)
        await self._workflows.update(workflow_id, SubscriptionWorkflow.terminate, request)

    async def change_subscription(self, command: UpdateSubscription) -> None:
        """Changes a living subscription."""
        workflow_id = subscription_workflow_id(command.subscription_id)
        await self._workflows.update(workflow_id, SubscriptionWorkflow.change, command.changes)

    async def set_paused(self, command: SetPaused) -> None:
        """Pauses a living subscription, or lets it go on."""
        change = SubscriptionWorkflow.pause if command.paused else SubscriptionWorkflow.resume
        await self._workflows.update(subscription_workflow_id(command.subscription_id), change)

    async def advance_test_clock(
        self, merchant_id: str, clock_id: str, now: datetime, target: datetime
    ) -> Advanced:
        """Answers when the target is reached and everything due by then has happened.

        Another advance under way is a Conflict; the same target again joins it.
        """
        await self._workflows.require()
        advanced: Advanced = await self._workflows.update_started(
            partial(starts.test_clock, merchant_id, clock_id, now),
            TestClockWorkflow.advance,
            Advance(target),
            limit=None,
        )
        if advanced.failed:
            raise ClockMemberFailed(
                "The clock moved, but not everything on it followed",
                details={m.workflow_id: m.reason for m in advanced.failed},
            )
        return advanced

    async def delete_test_clock(self, clock_id: str) -> None:
        """Ends the clock's workflow, if it ever ran; the row is already marked."""
        workflow_id = starts.clock_workflow_id(clock_id)
        await self._workflows.tell_if_there(workflow_id, TestClockWorkflow.deleted)

    async def reset_merchant(self, command: Reset) -> None:
        """Deletes a sandbox's rows, then ends the workflows that have lost theirs.

        With Temporal away they end by themselves: their next transaction finds nothing.
        """
        await self._workflows.forget(await self._resets.reset(command))

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
        choice = CardChoice.of(card, save=save)
        collecting = Collecting.of(session, clock_id, clock_now)
        return await self._collect(
            collecting,
            PaymentCollectionWorkflow.pay_now,
            PayNow(choice),
            limit=PAYMENT_LIMIT,
            update_id=f"pay-{choice.gateway_method_id}",
        )

    async def _collect(
        self, collecting: Collecting, update: Any, request: Any, **options: Any
    ) -> PayResult:
        start = partial(starts.collection, collecting)
        result: PayResult = await self._workflows.update_started(start, update, request, **options)
        return result

    async def mark_paid(self, collecting: Collecting, reason: str | None) -> PayResult:
        """Ends an invoice's collection with money that came past the provider."""
        request = MarkPaid(reason)
        return await self._collect(collecting, PaymentCollectionWorkflow.mark_paid, request)

    async def write_off(self, collecting: Collecting, reason: str) -> PayResult:
        """Ends an invoice's collection without its money."""
        request = GiveUp(reason)
        return await self._collect(collecting, PaymentCollectionWorkflow.write_off, request)

    async def approve_invoice(self, closing: Closing) -> None:
        """Agrees to a draft; answered when it is issued."""
        await self._workflows.update_started(
            partial(starts.close, closing), InvoiceCloseWorkflow.approve
        )

    async def approve_first_invoice(self, collecting: Collecting) -> None:
        """Agrees to the first invoice of a subscription; answered when it is issued."""
        await self._workflows.update_started(
            partial(starts.subscription, collecting), SubscriptionWorkflow.approve_first
        )

    async def retry_payment(self, collecting: Collecting) -> PayResult:
        """Charges the saved card now; without an answer in time it is `Unavailable`."""
        retry = PaymentCollectionWorkflow.retry
        return await self._collect(collecting, retry, Retry(), limit=RETRY_LIMIT)

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
        request = ChangePlanTo(command.plan_id, command.at)
        workflow_id = subscription_workflow_id(command.subscription_id)
        await self._workflows.update(workflow_id, SubscriptionWorkflow.change_plan, request)

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
            if not await self._workflows.has_ended(refund_workflow_id(command.refund_id)):
                raise
            await self._refunds.void_refund(command)

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
            # Untold, dunning's next attempt charges the card in any case.
            await self._workflows.tell(
                collection_workflow_id(invoice_id), PaymentCollectionWorkflow.method_changed
            )
