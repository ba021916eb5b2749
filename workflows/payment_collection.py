"""PaymentCollection: one invoice's or payment's way to its money; it calls no gateway itself.

`payment/{inv or pay}`: attempts by the customer's checkout and, with automatic collection, by the
saved card at issue and on dunning's days; ends PAID, PAYMENT_FAILED, expired or cancelled.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.gateways.port import ChargeOutcome
    from activities.payment_attempts import AttemptRef, BeginAttempt, CardChoice, RecordAttempt
    from activities.payment_collections import Collection, CollectionRef, OpenCollection
    from activities.payment_settlements import SettleOutside
    from activities.payments import PaymentActivities
    from activities.test_clocks import Tick, TickAnswer
    from activities.write_offs import WriteOff, WriteOffActivities
    from billing.dunning import next_attempt_at

from workflows import options
from workflows.acceptance import accepted
from workflows.clock import BillingClock, has_long_history


@dataclass
class CollectionState:
    """What a run needs to know; everything else is read from the rows."""

    collection_id: str
    merchant_id: str
    clock_id: str | None = None
    clock_now: datetime | None = None


@dataclass(frozen=True)
class PayNow:
    """A customer's card at the checkout."""

    card: CardChoice


@dataclass(frozen=True)
class Retry:
    """The merchant wants the saved card charged now."""


@dataclass(frozen=True)
class MarkPaid:
    """The merchant says that the money reached him directly."""

    reason: str | None = None


@dataclass(frozen=True)
class GiveUp:
    """The merchant does not expect the money any more."""

    reason: str


@dataclass(frozen=True)
class PayResult:
    """What whoever asked is told."""

    status: str
    """`succeeded`, `failed`, `not_payable`, `no_payment_method` or `too_soon`."""
    decline_code: str | None = None
    message: str | None = None
    attempt_id: str | None = None


@dataclass
class _Request:
    """What a person asks of the collection; asked one after the other, never two at once."""

    kind: Literal["checkout", "retry", "out_of_band", "write_off"]
    card: CardChoice | None = None
    reason: str | None = None
    result: PayResult | None = None


@workflow.defn(name="PaymentCollection")
class PaymentCollectionWorkflow:
    """Collects until there is nothing left to collect."""

    @workflow.init
    def __init__(self, state: CollectionState) -> None:
        self._state = state
        self._clock = BillingClock(state.clock_now)
        self._requests: list[_Request] = []
        self._method_changed = False
        self._phase = "starting"

    @workflow.run
    async def run(self, _state: CollectionState) -> str:
        """Returns the state in which the collection ended."""
        begins = not self._requests
        collection = await self._settle_unknown(await self._open(begins=begins))
        while collection.is_open and not self._is_over(collection):
            if not await self._wait(collection):
                break
            collection = await self._attempt(collection)
        return await self._end(collection)

    @workflow.update
    async def pay_now(self, request: PayNow) -> PayResult:
        """Charges the checkout's card; answered when the outcome is recorded."""
        return await self._asked(_Request("checkout", card=request.card))

    @workflow.update
    async def retry(self, _request: Retry) -> PayResult:
        """Charges the saved card now; answered when the outcome is recorded."""
        return await self._asked(_Request("retry"))

    @workflow.update
    async def mark_paid(self, request: MarkPaid) -> PayResult:
        """Ends the collection with money that came past the provider."""
        return await self._asked(_Request("out_of_band", reason=request.reason))

    @workflow.update
    async def write_off(self, request: GiveUp) -> PayResult:
        """Ends the collection without the money."""
        return await self._asked(_Request("write_off", reason=request.reason))

    async def _asked(self, request: _Request) -> PayResult:
        self._requests.append(request)
        await workflow.wait_condition(lambda: request.result is not None)
        return request.result or PayResult(status="not_payable")

    @workflow.update
    async def tick(self, tick: Tick) -> TickAnswer:
        """The test clock's time."""
        return await self._clock.tick(tick)

    @workflow.signal
    def method_changed(self) -> None:
        """The customer saved another card: a failed collection is tried with it at once."""
        self._method_changed = True

    @workflow.query
    def state(self) -> dict[str, str]:
        """What it is doing, for people."""
        return {"phase": self._phase, "now": self._clock.now().isoformat()}

    def _ref(self) -> CollectionRef:
        return CollectionRef(
            merchant_id=self._state.merchant_id,
            collection_id=self._state.collection_id,
            now=self._clock.now(),
        )

    async def _open(self, *, begins: bool = False) -> Collection:
        ref = self._ref()
        return await workflow.execute_local_activity_method(
            PaymentActivities.open_collection,
            OpenCollection(
                merchant_id=ref.merchant_id,
                collection_id=ref.collection_id,
                now=ref.now,
                begins=begins,
            ),
            summary="read what is to be collected",
            **options.DATABASE,
        )

    async def _settle_unknown(self, collection: Collection) -> Collection:
        """An attempt that was only begun is charged, or looked up, before any new one."""
        if collection.pending_attempt_id is None:
            return collection
        ref = self._attempt_ref(
            collection.pending_attempt_id, was_tried=collection.pending_was_found
        )
        return await self._charge(collection, ref, None)

    def _is_over(self, collection: Collection) -> bool:
        """After dunning's last attempt it is paid only where a person asks for it."""
        return collection.status == "PAYMENT_FAILED" and not self._requests

    def _next_automatic(self, collection: Collection) -> datetime | None:
        """When the saved card is charged next; None: not by itself."""
        if not collection.auto_charge or collection.status == "PAYMENT_FAILED":
            return None
        failed = collection.failed_automatic
        if collection.activates_subscription:
            # A first payment is the customer's to make; a card that is there is tried once.
            return self._clock.now() if collection.has_method and failed == 0 else None
        if failed == 0 or collection.first_failed_at is None:
            return self._clock.now()
        return next_attempt_at(collection.first_failed_at, failed)

    async def _wait(self, collection: Collection) -> bool:
        """Waits for a person, a better card or the next instant; False when time ran out."""
        automatic = self._next_automatic(collection)
        instants = [instant for instant in (automatic, collection.expires_at) if instant]
        self._phase = "collecting"
        await self._clock.until(
            min(instants, default=None),
            lambda: bool(self._requests) or self._retries_now(collection) or self._restarts(),
        )
        if self._restarts():
            self._continue_as_new()
        if self._requests or self._retries_now(collection):
            return True
        return automatic is not None and automatic <= self._clock.now()

    def _retries_now(self, collection: Collection) -> bool:
        return (
            self._method_changed
            and collection.auto_charge
            and collection.status == "ISSUED"
            and collection.failed_automatic > 0
        )

    def _restarts(self) -> bool:
        return has_long_history() and not self._requests and workflow.all_handlers_finished()

    def _continue_as_new(self) -> None:
        self._state.clock_now = self._clock.bound_now
        workflow.continue_as_new(self._state)

    async def _attempt(self, collection: Collection) -> Collection:
        """One attempt, with the checkout's card if a customer is there, else with the saved one."""
        self._method_changed = False
        request = self._requests.pop(0) if self._requests else None
        if request is not None:
            await accepted()
        if request is not None and request.kind == "out_of_band":
            return await self._settle_outside(collection, request)
        if request is not None and request.kind == "write_off":
            return await self._write_off(request)
        begun = await workflow.execute_local_activity_method(
            PaymentActivities.begin_attempt,
            BeginAttempt(
                merchant_id=self._state.merchant_id,
                collection_id=self._state.collection_id,
                number=collection.attempts + 1,
                now=self._clock.now(),
                card=None if request is None else request.card,
                is_retry=request is not None and request.kind == "retry",
            ),
            summary=f"attempt {collection.attempts + 1}",
            **options.DATABASE,
        )
        if begun.attempt_id is None:
            if request is not None:
                request.result = PayResult(status=begun.refusal or "not_payable")
            return await self._after(await self._open())
        ref = self._attempt_ref(begun.attempt_id, was_tried=begun.was_pending)
        return await self._after(await self._charge(collection, ref, request))

    def _attempt_ref(self, attempt_id: str, *, was_tried: bool) -> AttemptRef:
        return AttemptRef(
            merchant_id=self._state.merchant_id, attempt_id=attempt_id, was_tried=was_tried
        )

    async def _settle_outside(self, collection: Collection, request: _Request) -> Collection:
        settled = await workflow.execute_local_activity_method(
            PaymentActivities.settle_outside,
            SettleOutside(
                merchant_id=self._state.merchant_id,
                invoice_id=self._state.collection_id,
                number=collection.attempts + 1,
                now=self._clock.now(),
                reason=request.reason,
            ),
            summary="paid past the provider",
            **options.DATABASE,
        )
        request.result = PayResult(status="succeeded" if settled.settled else "not_payable")
        return await self._open()

    async def _write_off(self, request: _Request) -> Collection:
        given_up = await workflow.execute_local_activity_method(
            WriteOffActivities.write_off_invoice,
            WriteOff(
                merchant_id=self._state.merchant_id,
                invoice_id=self._state.collection_id,
                now=self._clock.now(),
                reason=request.reason or "",
            ),
            summary="written off",
            **options.DATABASE,
        )
        request.result = PayResult(status="succeeded" if given_up.written_off else "not_payable")
        return await self._open()

    async def _charge(
        self, collection: Collection, ref: AttemptRef, request: _Request | None
    ) -> Collection:
        outcome = await self._outcome(collection, ref)
        recorded = await workflow.execute_local_activity_method(
            PaymentActivities.record_attempt,
            RecordAttempt(
                merchant_id=self._state.merchant_id,
                collection_id=self._state.collection_id,
                attempt_id=ref.attempt_id,
                outcome=outcome,
                now=self._clock.now(),
                card=None if request is None else request.card,
            ),
            summary=f"record: {outcome.status}",
            **options.DATABASE,
        )
        if request is not None:
            request.result = PayResult(
                recorded.status, recorded.decline_code, recorded.message, ref.attempt_id
            )
        return recorded.collection

    async def _outcome(self, collection: Collection, ref: AttemptRef) -> ChargeOutcome:
        """A refusal of the request itself is a failed attempt; all else is retried by policy."""
        try:
            return await self._call_gateway(collection, ref)
        except (ActivityError, ApplicationError) as error:
            refusal = error.cause if isinstance(error, ActivityError) else error
            if not isinstance(refusal, ApplicationError):
                raise
            return ChargeOutcome(
                charge_id="",
                status="failed",
                decline_code=(refusal.type or "gateway_refusal").lower(),
                message=refusal.message,
            )

    async def _call_gateway(self, collection: Collection, ref: AttemptRef) -> ChargeOutcome:
        """Mostly the provider answers at once; where it does not, a task of its own waits."""
        if collection.charges_at_once:
            outcome = await workflow.execute_local_activity_method(
                PaymentActivities.charge_at_once,
                ref,
                summary="charge the card",
                **options.DATABASE,
            )
            if outcome is not None:
                return outcome
            ref = replace(ref, was_tried=True)
        return await workflow.execute_activity_method(
            PaymentActivities.charge,
            ref,
            summary="charge the card",
            **options.GATEWAY,
        )

    async def _after(self, collection: Collection) -> Collection:
        """Gives up when the last retry has failed."""
        exhausted = (
            collection.is_open
            and collection.status == "ISSUED"
            and not collection.activates_subscription
            and collection.first_failed_at is not None
            and next_attempt_at(collection.first_failed_at, collection.failed_automatic) is None
        )
        if not exhausted:
            return collection
        await workflow.execute_local_activity_method(
            PaymentActivities.give_up_collection,
            self._ref(),
            summary="the last retry failed",
            **options.DATABASE,
        )
        return await self._open()

    async def _end(self, collection: Collection) -> str:
        """Tells the subscription, expires what nobody paid, and answers those still waiting."""
        if collection.is_open and collection.subscription_id is None:
            await workflow.execute_local_activity_method(
                PaymentActivities.expire_collection,
                self._ref(),
                summary="nobody paid in time",
                **options.DATABASE,
            )
        if collection.status == "PAID" and collection.subscription_id is not None:
            await self._tell_subscription(collection)
        for request in self._requests:
            request.result = PayResult(status="not_payable")
        self._phase = "ended"
        self._clock.finish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return collection.status

    async def _tell_subscription(self, collection: Collection) -> None:
        if not collection.activates_subscription:
            return
        handle = workflow.get_external_workflow_handle(f"subscription/{collection.subscription_id}")
        try:
            await handle.signal("payment_settled")
        except ApplicationError:
            # It is not there yet or has ended; it reads its first invoice before it acts.
            workflow.logger.info("no subscription to tell: %s", collection.subscription_id)
