"""InvoiceClose: from the end of a period to the issued invoice; collecting is another process.

`invoice-close/{sub}/{sequence}`: waits for the end of grace, drafts, waits for approval where the
merchant wants it, finalizes and hands over to PaymentCollection.
"""

from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.invoices import (
        DraftedInvoice,
        DraftInvoice,
        FinalizedInvoice,
        InvoiceActivities,
        InvoiceRef,
    )
    from activities.test_clocks import Tick, TickAnswer

from workflows import options
from workflows.acceptance import accepted
from workflows.clock import BillingClock
from workflows.collection_starts import IssuedInvoice, start_collection


@dataclass
class CloseState:
    """Which invoice closes, and when its grace ends."""

    invoice_id: str
    merchant_id: str
    subscription_id: str
    grace_period_end: datetime
    clock_id: str | None = None
    clock_now: datetime | None = None
    turn_seconds: float = 0.0
    """How long after that its turn comes, in wall time."""


@workflow.defn(name="InvoiceClose")
class InvoiceCloseWorkflow:
    """Closes one invoice."""

    @workflow.init
    def __init__(self, state: CloseState) -> None:
        self._state = state
        self._clock = BillingClock(state.clock_now)
        self._approved = False
        self._phase = "grace"

    @workflow.run
    async def run(self, state: CloseState) -> str:
        """Returns the invoice's state when it was handed over."""
        await self._clock.until(self._clock.turn(state.grace_period_end, state.turn_seconds))
        self._phase = "drafting"
        drafted = await workflow.execute_local_activity_method(
            InvoiceActivities.draft_invoice,
            DraftInvoice(
                merchant_id=self._state.merchant_id,
                invoice_id=self._state.invoice_id,
                now=self._clock.now(),
                issue=True,
            ),
            summary="rate usage and fees, issue what needs no approval",
            **options.DATABASE,
        )
        finalized = drafted.finalized or await self._finalize(drafted)
        if finalized.status == "ISSUED" and not finalized.is_handed_over:
            await self._collect(drafted.customer_id)
        self._phase = "closed"
        self._clock.finish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return finalized.status

    async def _finalize(self, drafted: DraftedInvoice) -> FinalizedInvoice:
        """What was only drafted: it waits for a person, or was left there by an older worker."""
        if not drafted.auto_approve:
            self._phase = "awaiting approval"
            await self._clock.until(None, lambda: self._approved)
            await accepted()
        return await workflow.execute_local_activity_method(
            InvoiceActivities.finalize_invoice,
            self._ref(),
            summary="number, book and issue",
            **options.DATABASE,
        )

    @workflow.update
    async def approve(self) -> None:
        """A person agrees to the draft."""
        self._approved = True
        await workflow.wait_condition(lambda: self._phase == "closed")

    @workflow.update
    async def tick(self, tick: Tick) -> TickAnswer:
        """The test clock's time."""
        return await self._clock.tick(tick)

    @workflow.query
    def state(self) -> dict[str, str]:
        """What it is doing, for people."""
        return {"phase": self._phase, "now": self._clock.now().isoformat()}

    def _ref(self) -> InvoiceRef:
        return InvoiceRef(
            merchant_id=self._state.merchant_id,
            invoice_id=self._state.invoice_id,
            now=self._clock.now(),
        )

    async def _collect(self, customer_id: str) -> None:
        state = self._state
        await start_collection(
            IssuedInvoice(
                invoice_id=state.invoice_id,
                customer_id=customer_id,
                subscription_id=state.subscription_id,
                merchant_id=state.merchant_id,
                clock_id=state.clock_id,
                clock_now=self._clock.bound_now,
            )
        )
