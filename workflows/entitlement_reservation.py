"""EntitlementReservation: makes a hold's expiry happen, in order and visibly; it holds no funds.

`reservation/{ent}`: the hold itself is SQL and counts no more past its expiry, with or without
this workflow.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reservations import (
        ReservationActivities,
        ReservationRef,
        ReservationView,
    )
    from activities.test_clocks import Tick, TickAnswer

from workflows import options
from workflows.clock import BillingClock

_Method = Callable[[ReservationActivities, ReservationRef], Awaitable[ReservationView]]


@dataclass
class ReservationState:
    """Which hold."""

    reservation_id: str
    merchant_id: str
    clock_id: str | None = None
    clock_now: datetime | None = None


@workflow.defn(name="EntitlementReservation")
class EntitlementReservationWorkflow:
    """Waits for the expiry of one hold, or for its resolution."""

    @workflow.init
    def __init__(self, state: ReservationState) -> None:
        self._state = state
        self._clock = BillingClock(state.clock_now)
        self._is_resolved = False

    @workflow.run
    async def run(self, _state: ReservationState) -> str:
        """Returns how the hold ended: consumed, released or expired."""
        view = await self._call(ReservationActivities.view_reservation, "read the hold")
        while view.status == "reserved":
            await self._clock.until(view.expires_at, lambda: self._is_resolved)
            self._is_resolved = False
            view = await self._call(ReservationActivities.expire_reservation, "expire if due")
        self._clock.finish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return view.status

    @workflow.signal
    def resolved(self) -> None:
        """The hold was consumed or released."""
        self._is_resolved = True

    @workflow.update
    async def tick(self, tick: Tick) -> TickAnswer:
        """The test clock's time."""
        return await self._clock.tick(tick)

    async def _call(self, method: _Method, summary: str) -> ReservationView:
        return await workflow.execute_local_activity_method(
            method,
            ReservationRef(
                merchant_id=self._state.merchant_id,
                reservation_id=self._state.reservation_id,
                now=self._clock.now(),
            ),
            summary=summary,
            **options.DATABASE,
        )
