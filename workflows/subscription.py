"""Subscription: a customer's promise over time; it rates nothing and charges nobody.

`subscription/{sub}`: waits for the first payment, then for each boundary, and hands every period
that ended to an InvoiceClose; ends when the subscription is terminated.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.subscription_changes import ChangeSubscription, SubscriptionChanges
    from activities.subscription_endings import Terminate
    from activities.subscription_periods import close_workflow_id
    from activities.subscription_plans import At, ChangePlan
    from activities.subscription_rolls import RollPeriod
    from activities.subscriptions import (
        RolledPeriod,
        SubscriptionActivities,
        SubscriptionRef,
        SubscriptionView,
    )
    from activities.test_clocks import Tick, TickAnswer

from workflows import attributes, options, priorities
from workflows.acceptance import accepted
from workflows.children import Child, start_abandoned
from workflows.clock import BillingClock, earliest, has_long_history
from workflows.collection_starts import IssuedInvoice, start_collection
from workflows.invoice_close import CloseState, InvoiceCloseWorkflow

PERIODS_PER_RUN = 24


@dataclass
class SubscriptionState:
    """What survives continue-as-new; everything else is read from the rows."""

    subscription_id: str
    merchant_id: str
    clock_id: str | None = None
    clock_now: datetime | None = None


@dataclass(frozen=True)
class TerminateNow:
    """A merchant ends the subscription now."""

    reason: str
    terminated_by: str
    change_reason: str | None = None
    at: datetime | None = None
    """As of when; None, and what is still to come: now."""


@dataclass(frozen=True)
class ChangePlanTo:
    """Which plan bills it, and from when."""

    plan_id: str
    at: At


@dataclass
class _Request:
    """What somebody asked for, and its outcome; the main coroutine works on one after the other."""

    work: Callable[[], Awaitable[SubscriptionView]]
    is_done: bool = False
    refusal: ApplicationError | None = None


@workflow.defn(name="Subscription")
class SubscriptionWorkflow:
    """Lives as long as the subscription."""

    @workflow.init
    def __init__(self, state: SubscriptionState) -> None:
        self._state = state
        self._clock = BillingClock(state.clock_now)
        self._is_paid = False
        self._requests: list[_Request] = []
        self._periods = 0
        self._phase = "starting"

    @workflow.run
    async def run(self, state: SubscriptionState) -> str:
        """Returns `terminated`."""
        view = await self._view()
        workflow.set_current_details(f"{view.plan_name}: {state.subscription_id}")
        if view.status == "pending_payment":
            view = await self._await_first_payment(view)
        while view.status == "active":
            view = await self._await_boundary(view)
        self._set_phase(view.status)
        while self._requests:
            await self._serve(view)
        self._clock.finish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return view.status

    @workflow.update
    async def terminate(self, request: TerminateNow) -> None:
        """Ends it; answered when that is written."""
        await self._asked(lambda: self._terminate(request))

    @workflow.update
    async def change(self, changes: SubscriptionChanges) -> None:
        """Changes it; answered when that is written, or refused."""
        await self._asked(lambda: self._change(changes))

    @workflow.update
    async def pause(self) -> None:
        """Stops billing; answered when that is written, or refused."""
        await self._asked(self._pause)

    @workflow.update
    async def resume(self) -> None:
        """Bills again from now on."""
        await self._asked(self._resume)

    @workflow.update
    async def change_plan(self, request: ChangePlanTo) -> None:
        """Bills it by another plan; answered when that is written, or refused."""
        await self._asked(lambda: self._change_plan(request))

    @workflow.update
    async def approve_first(self) -> None:
        """A person agrees to the first invoice; answered when it is issued, or refused."""
        await self._asked(self._approve_first)

    async def _asked(self, work: Callable[[], Awaitable[SubscriptionView]]) -> None:
        request = _Request(work)
        self._requests.append(request)
        await workflow.wait_condition(lambda: request.is_done)
        if request.refusal is not None:
            raise request.refusal

    async def _serve(self, view: SubscriptionView) -> SubscriptionView:
        """Works on the oldest request; a refusal is its caller's and leaves all as it was."""
        request = self._requests[0]
        await accepted()
        try:
            view = await request.work()
        except ApplicationError as refusal:
            # So a local activity ends that is not to be retried, without an ActivityError.
            request.refusal = refusal
        self._requests.remove(request)
        request.is_done = True
        return view

    @workflow.update
    async def tick(self, tick: Tick) -> TickAnswer:
        """The test clock's time."""
        return await self._clock.tick(tick)

    @workflow.signal
    def payment_settled(self) -> None:
        """The first invoice is paid."""
        self._is_paid = True

    @workflow.query
    def state(self) -> dict[str, str]:
        """What it is doing, for people."""
        return {"phase": self._phase, "now": self._clock.now().isoformat()}

    def _set_phase(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            workflow.upsert_search_attributes([attributes.PHASE.value_set(phase)])

    def _ref(self) -> SubscriptionRef:
        return SubscriptionRef(
            merchant_id=self._state.merchant_id,
            subscription_id=self._state.subscription_id,
            now=self._clock.now(),
        )

    async def _view(self) -> SubscriptionView:
        return await workflow.execute_local_activity_method(
            SubscriptionActivities.view_subscription,
            self._ref(),
            summary="read the subscription",
            **options.DATABASE,
        )

    async def _await_first_payment(self, view: SubscriptionView) -> SubscriptionView:
        """Until its invoice is paid, its session expires, or the merchant ends it."""
        self._set_phase("pending_payment")
        if view.first_invoice_id is not None:
            await self._collect(view.first_invoice_id, view.customer_id)
        while view.status == "pending_payment":
            view = await self._await_payment(view)
        return view

    async def _await_payment(self, view: SubscriptionView) -> SubscriptionView:
        await self._clock.until(
            view.session_expires_at, lambda: self._is_paid or bool(self._requests)
        )
        if self._is_paid:
            return await workflow.execute_local_activity_method(
                SubscriptionActivities.activate_subscription,
                self._ref(),
                summary="the first invoice is paid",
                **options.DATABASE,
            )
        if self._requests:
            return await self._serve(view)
        return await workflow.execute_local_activity_method(
            SubscriptionActivities.expire_activation,
            self._ref(),
            summary="the checkout expired",
            **options.DATABASE,
        )

    async def _await_boundary(self, view: SubscriptionView) -> SubscriptionView:
        """Until the open invoice's window ends, or the subscription does."""
        self._set_phase("active")
        end, began = earliest(view.next_boundary, view.ending_at), self._clock.now()
        due = earliest(end, view.next_reminder)
        # A boundary comes for many at once; it ends when it is to end.
        turn = view.next_boundary and self._clock.turn(view.next_boundary, view.turn_seconds)
        await self._clock.until(
            earliest(turn, view.ending_at),
            lambda: bool(self._requests) or self._restarts(),
            aside=view.next_reminder,
        )
        is_over = self._has_come(end)
        # A boundary that has come is billed as one, however late, before anything else happens.
        if self._requests and not (is_over and workflow.patched("boundary-first")):
            return await self._serve(view)
        if not self._has_come(due):
            self._continue_as_new()
        told_at = self._told_at(view, began)
        if not is_over:
            return await self._remind(told_at)
        if view.ending_at is not None and view.ending_at == end:
            ended = TerminateNow(reason="ended", terminated_by=self._state.merchant_id, at=end)
            return await self._terminate(ended)
        rolled = await workflow.execute_local_activity_method(
            SubscriptionActivities.roll_period,
            RollPeriod(
                merchant_id=self._state.merchant_id,
                subscription_id=self._state.subscription_id,
                sequence_number=view.sequence_number,
                now=self._clock.now(),
                reminded_at=told_at,
            ),
            summary=f"period {view.sequence_number} ends",
            **options.DATABASE,
        )
        self._periods += 1
        return await self._close(rolled)

    def _has_come(self, instant: datetime | None) -> bool:
        return instant is not None and instant <= self._clock.now()

    def _told_at(self, view: SubscriptionView, began: datetime) -> datetime | None:
        """On a test clock, which does not stop for a reminder: when it came while this waited."""
        if self._clock.bound_now is None or not self._has_come(view.next_reminder):
            return None
        return view.next_reminder and max(view.next_reminder, began)

    async def _remind(self, told_at: datetime | None) -> SubscriptionView:
        return await workflow.execute_local_activity_method(
            SubscriptionActivities.remind_renewal,
            replace(self._ref(), now=told_at or self._clock.now()),
            summary="remind of the renewal",
            **options.DATABASE,
        )

    def _restarts(self) -> bool:
        is_long = self._periods >= PERIODS_PER_RUN or has_long_history()
        return is_long and workflow.all_handlers_finished()

    def _continue_as_new(self) -> None:
        self._state.clock_now = self._clock.bound_now
        workflow.continue_as_new(self._state)

    async def _change(self, changes: SubscriptionChanges) -> SubscriptionView:
        return await workflow.execute_local_activity_method(
            SubscriptionActivities.change_subscription,
            ChangeSubscription(
                merchant_id=self._state.merchant_id,
                subscription_id=self._state.subscription_id,
                now=self._clock.now(),
                changes=changes,
            ),
            summary="change",
            **options.DATABASE,
        )

    async def _approve_first(self) -> SubscriptionView:
        view = await workflow.execute_local_activity_method(
            SubscriptionActivities.approve_first_invoice,
            self._ref(),
            summary="issue the first invoice",
            **options.DATABASE,
        )
        if view.first_invoice_id is not None:
            await self._collect(view.first_invoice_id, view.customer_id)
        return view

    async def _pause(self) -> SubscriptionView:
        rolled = await workflow.execute_local_activity_method(
            SubscriptionActivities.pause_subscription,
            self._ref(),
            summary="pause",
            **options.DATABASE,
        )
        return await self._close(rolled)

    async def _resume(self) -> SubscriptionView:
        return await workflow.execute_local_activity_method(
            SubscriptionActivities.resume_subscription,
            self._ref(),
            summary="resume",
            **options.DATABASE,
        )

    async def _change_plan(self, request: ChangePlanTo) -> SubscriptionView:
        ref = self._ref()
        rolled = await workflow.execute_local_activity_method(
            SubscriptionActivities.change_plan,
            ChangePlan(
                merchant_id=ref.merchant_id,
                subscription_id=ref.subscription_id,
                now=ref.now,
                plan_id=request.plan_id,
                at=request.at,
            ),
            summary="change the plan",
            **options.DATABASE,
        )
        return await self._close(rolled)

    async def _terminate(self, request: TerminateNow) -> SubscriptionView:
        now = self._clock.now()
        rolled = await workflow.execute_local_activity_method(
            SubscriptionActivities.terminate_subscription,
            Terminate(
                merchant_id=self._state.merchant_id,
                subscription_id=self._state.subscription_id,
                now=now if request.at is None else min(request.at, now),
                reason=request.reason,
                change_reason=request.change_reason,
                terminated_by=request.terminated_by,
            ),
            summary="terminate",
            **options.DATABASE,
        )
        return await self._close(rolled)

    async def _close(self, rolled: RolledPeriod) -> SubscriptionView:
        """Hands the period that ended to its InvoiceClose, unless the rows have done so."""
        closing = rolled.closing
        if closing is not None and not closing.is_owed:
            state = self._state
            await start_abandoned(
                InvoiceCloseWorkflow.run,
                CloseState(
                    invoice_id=closing.invoice_id,
                    merchant_id=state.merchant_id,
                    subscription_id=state.subscription_id,
                    grace_period_end=closing.grace_period_end,
                    clock_id=state.clock_id,
                    clock_now=self._clock.bound_now,
                ),
                Child(
                    workflow_id=close_workflow_id(state.subscription_id, closing.sequence_number),
                    summary=f"close period {closing.sequence_number} of {state.subscription_id}",
                    attributes=attributes.typed(
                        merchant_id=state.merchant_id,
                        customer_id=rolled.view.customer_id,
                        subscription_id=state.subscription_id,
                        invoice_id=closing.invoice_id,
                        clock_id=state.clock_id,
                    ),
                    priority=priorities.of("InvoiceClose", state.merchant_id),
                ),
            )
        return rolled.view

    async def _collect(self, invoice_id: str, customer_id: str) -> None:
        state = self._state
        await start_collection(
            IssuedInvoice(
                invoice_id=invoice_id,
                customer_id=customer_id,
                subscription_id=state.subscription_id,
                merchant_id=state.merchant_id,
                clock_id=state.clock_id,
                clock_now=self._clock.bound_now,
            )
        )
