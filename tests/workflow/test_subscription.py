"""Subscription and InvoiceClose under the time-skipping server, with faked activities."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from activities.invoices import DraftedInvoice, DraftInvoice, FinalizedInvoice
from activities.payment_collections import Collection, CollectionRef
from activities.subscription_changes import ChangeSubscription, SubscriptionChanges
from activities.subscription_endings import Terminate
from activities.subscription_periods import ClosingInvoice
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import RolledPeriod, SubscriptionRef, SubscriptionView
from activities.test_clocks import Tick, TickAnswer
from billing.durations import parse_duration
from billing.periods import boundary
from tests.workflow.conftest import Simulation, Working
from workflows.invoice_close import CloseState, InvoiceCloseWorkflow
from workflows.options import BILLING_QUEUE
from workflows.payment_collection import CollectionState, PaymentCollectionWorkflow
from workflows.subscription import SubscriptionState, SubscriptionWorkflow, TerminateNow

EVENTS_PER_PERIOD_MAX = 20
GRACE = timedelta(hours=24)
MONTH = parse_duration("P1M")


@dataclass
class FakeBilling:
    """One subscription's rows in memory, and the story of what its workflows did.

    Like the real transactions, each leaves things as they are when it is run again: a local
    activity whose workflow task was lost is.
    """

    anchor: datetime
    status: str = "active"
    session_expires_at: datetime | None = None
    ending_at: datetime | None = None
    auto_approve: bool = True
    index: int = 1
    ended_at: datetime = datetime(9999, 1, 1, tzinfo=UTC)
    story: list[tuple[str, datetime]] = field(default_factory=list)
    reminds: timedelta | None = None
    """How long before a boundary; None: not at all."""
    turn_seconds: float = 0.0
    on_clock: bool = False
    """Then what closes is the clock's to start."""

    def __post_init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    def view(self) -> SubscriptionView:
        """As the workflow sees it."""
        pending = self.status == "pending_payment"
        return SubscriptionView(
            status=self.status,
            customer_id="cus_1",
            plan_name="Pro",
            first_invoice_id="inv_0" if pending else None,
            session_expires_at=self.session_expires_at if pending else None,
            next_boundary=boundary(self.anchor, MONTH, self.index)
            if self.status == "active"
            else None,
            sequence_number=self.index,
            ending_at=self.ending_at,
            next_reminder=self.next_reminder(),
            turn_seconds=self.turn_seconds,
        )

    def next_reminder(self) -> datetime | None:
        """Of the boundary to come, unless it is told."""
        told = [name for name, _ in self.story if name == f"reminded {self.index}"]
        if self.reminds is None or told or self.status != "active":
            return None
        return boundary(self.anchor, MONTH, self.index) - self.reminds

    async def closing(self, client: Client, number: int, end: datetime) -> RolledPeriod:
        """A period that begins to close; its workflow is started as the outbox does it."""
        closing = ClosingInvoice(
            invoice_id=f"inv_{number}",
            sequence_number=number,
            grace_period_end=end + GRACE,
            is_owed=True,
        )
        state = CloseState(
            invoice_id=closing.invoice_id,
            merchant_id="org_1",
            subscription_id="sub_1",
            grace_period_end=closing.grace_period_end,
            turn_seconds=self.turn_seconds,
        )
        if not self.on_clock:
            await _owed(client, InvoiceCloseWorkflow.run, state, f"invoice-close/sub_1/{number}")
        return RolledPeriod(closing=closing, view=self.view())

    def activities(self, client: Client) -> list[Any]:
        """The activities by their names."""

        @activity.defn(name="view_subscription")
        async def view_subscription(_ref: SubscriptionRef) -> SubscriptionView:
            return self.view()

        @activity.defn(name="activate_subscription")
        async def activate_subscription(ref: SubscriptionRef) -> SubscriptionView:
            if self.status == "pending_payment":
                self.story.append(("activated", ref.now))
                self.status = "active"
            return self.view()

        @activity.defn(name="expire_activation")
        async def expire_activation(ref: SubscriptionRef) -> SubscriptionView:
            if self.status == "pending_payment":
                self.story.append(("expired", ref.now))
                self.status = "terminated"
            return self.view()

        @activity.defn(name="remind_renewal")
        async def remind_renewal(ref: SubscriptionRef) -> SubscriptionView:
            self._once(f"reminded {self.index}", ref.now)
            return self.view()

        @activity.defn(name="roll_period")
        async def roll_period(command: RollPeriod) -> RolledPeriod:
            if command.sequence_number == self.index:
                if command.reminded_at is not None:
                    self._once(f"reminded {self.index}", command.reminded_at)
                self.story.append(("rolled", command.now))
                self.index += 1
            end = boundary(self.anchor, MONTH, command.sequence_number)
            return await self.closing(client, command.sequence_number, end)

        @activity.defn(name="change_subscription")
        async def change_subscription(command: ChangeSubscription) -> SubscriptionView:
            ending_at = command.changes.ending_at
            await self.goes_on.wait()
            if ending_at is not None and ending_at <= command.now:
                raise ApplicationError("over", {}, type="INVALID_VALUE", non_retryable=True)
            self.ending_at = ending_at or self.ending_at
            return self.view()

        @activity.defn(name="terminate_subscription")
        async def terminate_subscription(command: Terminate) -> RolledPeriod:
            if self.status != "terminated":
                self.story.append((f"terminated: {command.reason}", command.now))
                self.status = "terminated"
                self.ended_at = command.now
            return await self.closing(client, self.index, self.ended_at)

        @activity.defn(name="draft_invoice")
        async def draft_invoice(ref: DraftInvoice) -> DraftedInvoice:
            self._once(f"drafted {ref.invoice_id}", ref.now)
            return DraftedInvoice(auto_approve=self.auto_approve, customer_id="cus_1")

        @activity.defn(name="finalize_invoice")
        async def finalize_invoice(ref: DraftInvoice) -> FinalizedInvoice:
            self._once(f"issued {ref.invoice_id}", ref.now)
            state = CollectionState(collection_id=ref.invoice_id, merchant_id="org_1")
            await _owed(client, PaymentCollectionWorkflow.run, state, f"payment/{ref.invoice_id}")
            return FinalizedInvoice(
                status="ISSUED", invoice_number="INV-1", grand_total="1", is_handed_over=True
            )

        @activity.defn(name="open_collection")
        async def open_collection(ref: CollectionRef) -> Collection:
            self._once(f"collecting {ref.collection_id}", ref.now)
            is_open = ref.collection_id == "inv_0"
            return _collection(is_open=is_open, expires_at=self.session_expires_at)

        return [
            view_subscription,
            activate_subscription,
            expire_activation,
            roll_period,
            remind_renewal,
            change_subscription,
            terminate_subscription,
            draft_invoice,
            finalize_invoice,
            open_collection,
        ]

    def _once(self, what: str, now: datetime) -> None:
        if not self.when(what):
            self.story.append((what, now))

    def when(self, what: str) -> list[datetime]:
        """The instants of what happened, to the second."""
        return [at.replace(microsecond=0) for name, at in self.story if name == what]


async def _owed(client: Client, run: Any, state: object, workflow_id: str) -> None:
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(run, state, id=workflow_id, task_queue=BILLING_QUEUE)


def _collection(*, is_open: bool, expires_at: datetime | None) -> Collection:
    return Collection(
        is_open=is_open,
        status="ISSUED" if is_open else "PAID",
        customer_id="cus_1",
        subscription_id="sub_1",
        activates_subscription=is_open,
        auto_charge=False,
        has_method=False,
        expires_at=expires_at if is_open else None,
        attempts=0,
        failed_automatic=0,
        first_failed_at=None,
        pending_attempt_id=None,
        pending_number=None,
    )


async def _start(simulation: Simulation) -> Any:
    return await simulation.client.start_workflow(
        SubscriptionWorkflow.run,
        SubscriptionState(subscription_id="sub_1", merchant_id="org_1"),
        id="subscription/sub_1",
        task_queue=BILLING_QUEUE,
    )


async def _start_on_clock(simulation: Simulation, start: datetime) -> Any:
    state = SubscriptionState(
        subscription_id="sub_1", merchant_id="org_1", clock_id="tc_1", clock_now=start
    )
    return await simulation.client.start_workflow(
        SubscriptionWorkflow.run,
        state,
        id="subscription/sub_1",
        task_queue=BILLING_QUEUE,
        task_timeout=timedelta(seconds=2),
    )


async def test_every_period_closes_after_its_grace(
    simulation: Simulation, working: Working
) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(anchor=now)
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        await simulation.sleep(boundary(now, MONTH, 3) + GRACE + timedelta(hours=1) - now)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    ends = [boundary(now, MONTH, index) for index in (1, 2, 3)]
    assert billing.when("rolled") == ends
    for index, end in enumerate(ends, start=1):
        assert billing.when(f"issued inv_{index}") == [end + GRACE]
        assert billing.when(f"collecting inv_{index}") == [end + GRACE]


async def test_what_ends_for_many_at_once_is_dealt_with_in_turn(
    simulation: Simulation, working: Working
) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    turn = timedelta(minutes=5)
    billing = FakeBilling(anchor=now, turn_seconds=turn.total_seconds())
    async with working(billing.activities(simulation.client)):
        await _start(simulation)
        await simulation.sleep(boundary(now, MONTH, 1) - now + GRACE + timedelta(hours=1))
    ended = boundary(now, MONTH, 1)
    assert billing.when("rolled") == [ended + turn]
    assert billing.when("issued inv_1") == [ended + GRACE + turn]


async def test_an_unpaid_first_invoice_expires(simulation: Simulation, working: Working) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    expiry = now + timedelta(hours=4)
    billing = FakeBilling(anchor=now, status="pending_payment", session_expires_at=expiry)
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(hours=5))
        assert await asyncio.wait_for(handle.result(), 30) == "terminated"
    assert billing.when("expired") == [expiry]
    assert billing.when("rolled") == []


async def test_the_first_payment_activates(simulation: Simulation, working: Working) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(
        anchor=now, status="pending_payment", session_expires_at=now + timedelta(hours=4)
    )
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(hours=1))
        await handle.signal(SubscriptionWorkflow.payment_settled)
        await simulation.sleep(boundary(now, MONTH, 1) - now)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    assert len(billing.when("activated")) == 1
    assert billing.when("rolled") == [boundary(now, MONTH, 1)]
    assert billing.when("expired") == []


async def test_termination_closes_the_running_period(
    simulation: Simulation, working: Working
) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(anchor=now)
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=10))
        request = TerminateNow(reason="moving on", terminated_by="org_1")
        await handle.execute_update(SubscriptionWorkflow.terminate, request)
        assert billing.status == "terminated"
        await simulation.sleep(GRACE + timedelta(hours=1))
        assert await asyncio.wait_for(handle.result(), 30) == "terminated"
    (ended_at,) = billing.when("terminated: moving on")
    (issued_at,) = billing.when("issued inv_1")
    # The end is within a second, and so is a timer that comes some milliseconds late.
    assert ended_at + GRACE <= issued_at <= ended_at + GRACE + timedelta(seconds=1)
    assert billing.when("rolled") == []


async def test_it_ends_by_itself_at_ending_at(simulation: Simulation, working: Working) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    ending_at = now + timedelta(days=12)
    billing = FakeBilling(anchor=now, ending_at=ending_at)
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=40))
        assert await asyncio.wait_for(handle.result(), 30) == "terminated"
    assert billing.when("terminated: ended") == [ending_at]
    assert billing.when("rolled") == []


async def test_another_end_wakes_it_and_a_refusal_does_not(
    simulation: Simulation, working: Working
) -> None:
    """It waits for its boundary in a month; it is to end in twelve days, then in five."""
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(anchor=now)
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        for days in (12, 5):
            changes = SubscriptionChanges(ending_at=now + timedelta(days=days))
            await handle.execute_update(SubscriptionWorkflow.change, changes)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(
                SubscriptionWorkflow.change, SubscriptionChanges(ending_at=now)
            )
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "INVALID_VALUE"
        await simulation.sleep(timedelta(days=6))
        assert await asyncio.wait_for(handle.result(), 30) == "terminated"
    assert billing.when("terminated: ended") == [now + timedelta(days=5)]


async def test_changes_are_heard_before_the_first_payment(
    simulation: Simulation, working: Working
) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    expiry = now + timedelta(hours=4)
    billing = FakeBilling(anchor=now, status="pending_payment", session_expires_at=expiry)
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        changes = SubscriptionChanges(ending_at=now + timedelta(days=5))
        await handle.execute_update(SubscriptionWorkflow.change, changes)
        assert billing.ending_at == now + timedelta(days=5)
        await simulation.sleep(timedelta(hours=5))
        assert await asyncio.wait_for(handle.result(), 30) == "terminated"
    assert billing.when("expired") == [expiry]


async def test_a_boundary_that_has_come_is_billed_before_the_end(
    simulation: Simulation, working: Working
) -> None:
    """While a change is being written, the clock's tick brings the boundary, and a termination."""
    start = datetime(2026, 1, 31, 9, tzinfo=UTC)
    billing = FakeBilling(anchor=start, on_clock=True)
    due = boundary(start, MONTH, 1)
    request = TerminateNow(reason="moving on", terminated_by="org_1")
    async with working(billing.activities(simulation.client)):
        handle = await _start_on_clock(simulation, start)
        billing.goes_on.clear()
        changes = SubscriptionChanges(auto_charge=True)
        waiting = [
            asyncio.create_task(handle.execute_update(SubscriptionWorkflow.change, changes)),
            asyncio.create_task(handle.execute_update("tick", Tick(now=due))),
            asyncio.create_task(handle.execute_update(SubscriptionWorkflow.terminate, request)),
        ]
        await asyncio.sleep(2.5)
        billing.goes_on.set()
        await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert [(name, at) for name, at in billing.story if " inv_" not in name] == [
        ("rolled", due),
        ("terminated: moving on", due),
    ]


async def test_each_renewal_is_told_once_before_it(
    simulation: Simulation, working: Working
) -> None:
    """Three days before; with its timer a period stays within 25 events of history."""
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(anchor=now, reminds=timedelta(days=3))
    async with working(billing.activities(simulation.client)):
        handle = await _start(simulation)
        lengths = []
        for index in range(1, 5):
            await simulation.sleep(boundary(now, MONTH, index) + GRACE - await simulation.now())
            lengths.append((await handle.describe()).history_length)
    told = [billing.when(f"reminded {index}") for index in range(1, 5)]
    assert told == [[boundary(now, MONTH, index) - timedelta(days=3)] for index in range(1, 5)]
    assert billing.when("rolled") == [boundary(now, MONTH, index) for index in range(1, 5)]
    assert max(later - earlier for earlier, later in pairwise(lengths)) <= EVENTS_PER_PERIOD_MAX


async def test_a_test_clock_does_not_stop_for_a_reminder(
    simulation: Simulation, working: Working
) -> None:
    """It is told where the clock stops between it and its boundary, or else with the boundary."""
    start = datetime(2026, 1, 31, 9, tzinfo=UTC)
    billing = FakeBilling(anchor=start, reminds=timedelta(days=3), on_clock=True)
    first, second = boundary(start, MONTH, 1), boundary(start, MONTH, 2)
    async with working(billing.activities(simulation.client)):
        member = await _start_on_clock(simulation, start)
        dues = []
        for now in (start, first - timedelta(days=1), first, second):
            answer = await member.execute_update("tick", Tick(now=now), result_type=TickAnswer)
            dues.append(answer.next_due)
    assert dues == [first, first, second, boundary(start, MONTH, 3)]
    assert billing.when("reminded 1") == [first - timedelta(days=3)]
    assert billing.when("reminded 2") == [second - timedelta(days=3)]
    assert billing.when("rolled") == [first, second]


async def test_a_draft_waits_for_its_approval(simulation: Simulation, working: Working) -> None:
    now = (await simulation.now()).replace(microsecond=0)
    billing = FakeBilling(anchor=now, auto_approve=False)
    async with working(billing.activities(simulation.client)):
        await _start(simulation)
        await simulation.sleep(boundary(now, MONTH, 1) + GRACE + timedelta(days=3) - now)
        assert len(billing.when("drafted inv_1")) == 1
        assert billing.when("issued inv_1") == []
        close = simulation.client.get_workflow_handle("invoice-close/sub_1/1")
        await close.execute_update("approve")
        assert len(billing.when("issued inv_1")) == 1


async def test_on_a_test_clock_a_tick_is_answered_when_all_due_has_happened(
    simulation: Simulation, working: Working
) -> None:
    """No timer runs: ticks bring the time, and two years of them continue the history as new."""
    start = datetime(2026, 1, 31, 9, tzinfo=UTC)
    billing = FakeBilling(anchor=start, on_clock=True)
    async with working(billing.activities(simulation.client)):
        handle = await _start_on_clock(simulation, start)
        first_run = (await handle.describe()).run_id
        member = simulation.client.get_workflow_handle("subscription/sub_1")
        for month in range(1, 28):
            due = boundary(start, MONTH, month)
            answer = await member.execute_update("tick", Tick(now=due), result_type=TickAnswer)
            assert billing.story[-1] == ("rolled", due)
            assert answer.next_due == boundary(start, MONTH, month + 1)
        described = await member.describe()
        assert described.run_id != first_run
        assert described.history_length < 200
    assert len(billing.when("rolled")) == 27
