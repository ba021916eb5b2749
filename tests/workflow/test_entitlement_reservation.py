"""EntitlementReservation under the time-skipping server, with faked activities."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.reservations import ReservationRef, ReservationView
from tests.workflow.conftest import Simulation, Working
from workflows.entitlement_reservation import EntitlementReservationWorkflow, ReservationState
from workflows.options import BILLING_QUEUE


@dataclass
class FakeHold:
    """One hold in memory."""

    expires_at: datetime
    status: str = "reserved"
    expired_at: list[datetime] = field(default_factory=list)

    def activities(self) -> list[Any]:
        """The activities by their names."""

        def view() -> ReservationView:
            return ReservationView(
                status=self.status,
                customer_id="cus_1",
                subscription_id="sub_1",
                expires_at=self.expires_at,
            )

        @activity.defn(name="view_reservation")
        async def view_reservation(_ref: ReservationRef) -> ReservationView:
            return view()

        @activity.defn(name="expire_reservation")
        async def expire_reservation(ref: ReservationRef) -> ReservationView:
            if self.status == "reserved" and self.expires_at <= ref.now:
                self.status = "expired"
                self.expired_at.append(ref.now.replace(microsecond=0))
            return view()

        return [view_reservation, expire_reservation]


async def _start(simulation: Simulation) -> Any:
    return await simulation.client.start_workflow(
        EntitlementReservationWorkflow.run,
        ReservationState(reservation_id="ent_1", merchant_id="org_1"),
        id="reservation/ent_1",
        task_queue=BILLING_QUEUE,
    )


async def test_a_hold_expires_when_its_time_is_over(
    simulation: Simulation, working: Working
) -> None:
    expires_at = (await simulation.now()).replace(microsecond=0) + timedelta(hours=24)
    hold = FakeHold(expires_at)
    async with working(hold.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(hours=23))
        assert hold.status == "reserved"
        await simulation.sleep(timedelta(hours=2))
        assert await asyncio.wait_for(handle.result(), 30) == "expired"
    assert hold.expired_at == [expires_at]


async def test_a_consumed_hold_ends_the_workflow(simulation: Simulation, working: Working) -> None:
    hold = FakeHold((await simulation.now()) + timedelta(hours=24))
    async with working(hold.activities()):
        handle = await _start(simulation)
        await simulation.sleep(timedelta(hours=1))
        hold.status = "consumed"
        await handle.signal(EntitlementReservationWorkflow.resolved)
        assert await asyncio.wait_for(handle.result(), 30) == "consumed"
    assert hold.expired_at == []
