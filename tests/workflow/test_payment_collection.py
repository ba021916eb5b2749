"""PaymentCollection under the time-skipping server: who is charged when, with faked activities."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from activities.gateways.port import ChargeOutcome
from activities.payment_attempts import (
    AttemptRef,
    BeginAttempt,
    BegunAttempt,
    CardChoice,
    RecordAttempt,
    RecordedAttempt,
)
from activities.payment_collections import Collection, CollectionRef
from activities.write_offs import WriteOff, WrittenOff
from tests.workflow.conftest import Simulation, Working
from workflows.options import BILLING_QUEUE
from workflows.payment_collection import (
    CollectionState,
    GiveUp,
    PaymentCollectionWorkflow,
    PayNow,
)

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
OPEN = Collection(
    is_open=True,
    status="ISSUED",
    customer_id="cus_1",
    subscription_id="sub_1",
    activates_subscription=False,
    auto_charge=True,
    has_method=True,
    expires_at=None,
    attempts=0,
    failed_automatic=0,
    first_failed_at=None,
    pending_attempt_id=None,
    pending_number=None,
)
CARD = CardChoice(
    gateway_method_id="pm_new", brand="visa", last4="4242", exp_month=12, exp_year=2040, save=True
)


@dataclass
class FakePayments:
    """The rows of one collection, in memory; outcomes come from a list, one a charge."""

    outcomes: list[str]
    collection: Collection = OPEN
    charged_at: list[datetime] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    expired: bool = False
    given_up: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    at_once: list[str | None] = field(default_factory=list)
    """Outcomes of first tries within the workflow's task; None: not known in time."""
    tried: list[bool] = field(default_factory=list)
    """Whether each try was told of one before it."""
    recorded: dict[str, RecordedAttempt] = field(default_factory=dict)

    def activities(self) -> list[Any]:
        """The activities by their names."""

        @activity.defn(name="open_collection")
        async def open_collection(_ref: CollectionRef) -> Collection:
            return self.collection

        @activity.defn(name="begin_attempt")
        async def begin_attempt(command: BeginAttempt) -> BegunAttempt:
            if not self.collection.is_open:
                return BegunAttempt(attempt_id=None, refusal="not_payable")
            kind = "automatic" if command.card is None else "checkout"
            attempt_id = f"att_{command.number}_{kind}"
            if attempt_id not in self.begun:
                self.begun.append(attempt_id)
                self.charged_at.append(command.now)
            return BegunAttempt(attempt_id=attempt_id)

        @activity.defn(name="charge")
        async def charge(ref: AttemptRef) -> ChargeOutcome:
            self.keys.append(ref.attempt_id)
            self.tried.append(ref.was_tried)
            return _outcome(self.outcomes.pop(0))

        @activity.defn(name="charge_at_once")
        async def charge_at_once(ref: AttemptRef) -> ChargeOutcome | None:
            self.keys.append(ref.attempt_id)
            self.tried.append(ref.was_tried)
            outcome = self.at_once.pop(0)
            if outcome == "refused":
                raise ApplicationError("No such card", type="GATEWAY_REFUSAL", non_retryable=True)
            return None if outcome is None else _outcome(outcome)

        @activity.defn(name="record_attempt")
        async def record_attempt(command: RecordAttempt) -> RecordedAttempt:
            if command.attempt_id not in self.recorded:
                self._record(command)
                self.recorded[command.attempt_id] = RecordedAttempt(
                    status=command.outcome.status,
                    decline_code=command.outcome.decline_code,
                    message=command.outcome.message,
                    collection=self.collection,
                )
            return self.recorded[command.attempt_id]

        @activity.defn(name="give_up_collection")
        async def give_up_collection(_ref: CollectionRef) -> None:
            self.collection = replace(self.collection, status="PAYMENT_FAILED")

        @activity.defn(name="expire_collection")
        async def expire_collection(_ref: CollectionRef) -> None:
            self.expired = True

        @activity.defn(name="write_off_invoice")
        async def write_off_invoice(command: WriteOff) -> WrittenOff:
            if not self.collection.is_open:
                return WrittenOff(written_off=False)
            self.given_up.append(command.reason)
            self.collection = replace(self.collection, is_open=False, status="WRITTEN_OFF")
            return WrittenOff(written_off=True)

        return [
            write_off_invoice,
            open_collection,
            begin_attempt,
            charge,
            charge_at_once,
            record_attempt,
            give_up_collection,
            expire_collection,
        ]

    def _record(self, command: RecordAttempt) -> None:
        is_automatic = command.attempt_id.endswith("automatic")
        failed = command.outcome.status == "failed"
        attempts = self.collection.attempts + 1
        if not failed:
            self.collection = replace(
                self.collection, attempts=attempts, is_open=False, status="PAID"
            )
        elif is_automatic:
            self.collection = replace(
                self.collection,
                attempts=attempts,
                failed_automatic=self.collection.failed_automatic + 1,
                first_failed_at=self.collection.first_failed_at or command.now,
            )
        else:
            self.collection = replace(self.collection, attempts=attempts)


def _outcome(told: str) -> ChargeOutcome:
    if told == "succeeded":
        return ChargeOutcome(charge_id="ch_1", status="succeeded")
    return ChargeOutcome(charge_id="ch_0", status="failed", decline_code=told, message="No.")


async def _start(simulation: Simulation, state: CollectionState | None = None) -> Any:
    return await simulation.client.start_workflow(
        PaymentCollectionWorkflow.run,
        state or CollectionState(collection_id="inv_1", merchant_id="org_1"),
        id="payment/inv_1",
        task_queue=BILLING_QUEUE,
    )


def _days(payments: FakePayments) -> list[int]:
    first = payments.charged_at[0]
    return [round((at - first) / timedelta(days=1)) for at in payments.charged_at]


async def _ended(handle: Any) -> str:
    result: str = await asyncio.wait_for(handle.result(), 30)
    return result


async def test_a_saved_card_is_charged_at_once(simulation: Simulation, working: Working) -> None:
    payments = FakePayments(["succeeded"])
    async with working(payments.activities()):
        handle = await _start(simulation)
        assert await _ended(handle) == "PAID"
    assert payments.keys == ["att_1_automatic"]


@pytest.mark.parametrize(
    ("at_once", "later"),
    [(["succeeded"], []), ([None], ["succeeded"]), (["card_declined", "succeeded"], [])],
    ids=["answered", "unknown in time", "declined, then paid"],
)
async def test_a_provider_that_answers_needs_no_task_of_its_own(
    simulation: Simulation, working: Working, at_once: list[str | None], later: list[str]
) -> None:
    """What a first try left open is asked for by a task of its own, which looks it up first."""
    payments = FakePayments(list(later), replace(OPEN, charges_at_once=True), at_once=list(at_once))
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=2))
        assert await _ended(handle) == "PAID"
        history = await handle.fetch_history()
    assert payments.tried == [False] * len(at_once) + [True] * len(later)
    tasks = [event for event in history.events if event.event_type == SCHEDULED]
    assert len(tasks) == len(later)
    assert len(set(payments.keys)) == len(at_once)


async def test_an_attempt_that_was_found_pending_is_looked_up_first(
    simulation: Simulation, working: Working
) -> None:
    """Its task was lost with its worker, and with it whether the provider has been asked."""
    found = replace(
        OPEN,
        pending_attempt_id="att_1_automatic",
        pending_number=1,
        pending_was_found=True,
        charges_at_once=True,
    )
    payments = FakePayments([], found, at_once=["succeeded"])
    async with working(payments.activities()):
        assert await _ended(await _start(simulation)) == "PAID"
    assert payments.tried == [True]


async def test_a_card_that_the_provider_does_not_know_is_a_failed_attempt(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(
        [], replace(OPEN, charges_at_once=True), at_once=["refused", "succeeded"]
    )
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=2))
        assert await _ended(handle) == "PAID"
    assert payments.recorded["att_1_automatic"].decline_code == "gateway_refusal"


async def test_dunning_retries_until_a_charge_passes(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(["insufficient_funds", "insufficient_funds", "succeeded"])
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=2))
        assert _days(payments) == [0, 1]
        await simulation.sleep(timedelta(days=2))
        assert await _ended(handle) == "PAID"
    assert _days(payments) == [0, 1, 3]
    assert payments.keys == ["att_1_automatic", "att_2_automatic", "att_3_automatic"]


async def test_after_the_last_retry_the_collection_fails(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(["card_declined"] * 5)
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=8))
        assert await _ended(handle) == "PAYMENT_FAILED"
    assert _days(payments) == [0, 1, 3, 5, 7]


async def test_without_automatic_collection_it_waits_for_the_customer(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(
        ["card_declined", "succeeded"], replace(OPEN, auto_charge=False, has_method=False)
    )
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=30))
        assert payments.charged_at == []
        declined = await handle.execute_update(PaymentCollectionWorkflow.pay_now, PayNow(CARD))
        assert (declined.status, declined.decline_code) == ("failed", "card_declined")
        paid = await handle.execute_update(PaymentCollectionWorkflow.pay_now, PayNow(CARD))
        assert paid.status == "succeeded"
        assert await _ended(handle) == "PAID"
    assert payments.keys == ["att_1_checkout", "att_2_checkout"]


async def test_a_better_card_is_tried_at_once_after_a_decline(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(["card_declined", "succeeded"])
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(hours=1))
        await handle.signal(PaymentCollectionWorkflow.method_changed)
        assert await _ended(handle) == "PAID"
    assert _days(payments) == [0, 0]


async def test_an_unpaid_one_off_payment_expires(simulation: Simulation, working: Working) -> None:
    now = await simulation.now()
    waiting = replace(
        OPEN,
        status="pending",
        subscription_id=None,
        auto_charge=False,
        has_method=False,
        expires_at=now + timedelta(days=30),
    )
    payments = FakePayments([], waiting)
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=29))
        assert not payments.expired
        await simulation.sleep(timedelta(days=2))
        await _ended(handle)
    assert payments.expired


async def test_an_attempt_without_a_recorded_outcome_comes_first(
    simulation: Simulation, working: Working
) -> None:
    """A worker died between the charge and its record: the same key is asked again."""
    interrupted = replace(OPEN, attempts=1, pending_attempt_id="att_1_automatic", pending_number=1)
    payments = FakePayments(["succeeded"], interrupted)
    async with working(payments.activities()):
        handle = await _start(simulation)
        assert await _ended(handle) == "PAID"
    assert payments.keys == ["att_1_automatic"]
    assert payments.charged_at == []


async def test_what_is_written_off_is_charged_no_more(
    simulation: Simulation, working: Working
) -> None:
    payments = FakePayments(["card_declined"] * 5)
    async with working(payments.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(days=2))
        given_up = await handle.execute_update(
            PaymentCollectionWorkflow.write_off, GiveUp("Bankrupt")
        )
        assert given_up.status == "succeeded"
        assert await _ended(handle) == "WRITTEN_OFF"
    assert payments.given_up == ["Bankrupt"]
    assert _days(payments) == [0, 1]


async def test_a_collection_that_had_ended_is_written_off_too(
    simulation: Simulation, working: Working
) -> None:
    """It is started again for the request alone: no charge comes before it."""
    failed = replace(OPEN, status="PAYMENT_FAILED", attempts=5, failed_automatic=5)
    payments = FakePayments([], failed)
    async with working(payments.activities()):
        start = WithStartWorkflowOperation(
            PaymentCollectionWorkflow.run,
            CollectionState(collection_id="inv_1", merchant_id="org_1"),
            id="payment/inv_1",
            task_queue=BILLING_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        given_up = await simulation.client.execute_update_with_start_workflow(
            PaymentCollectionWorkflow.write_off,
            GiveUp("Bankrupt"),
            start_workflow_operation=start,
        )
        assert given_up.status == "succeeded"
        assert await _ended(await start.workflow_handle()) == "WRITTEN_OFF"
    assert payments.charged_at == []
