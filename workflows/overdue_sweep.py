"""OverdueSweep: one look a minute for what should have happened; it repairs by starting, not doing.

Started by a Temporal Schedule (`overdue-sweep`), for the whole installation; an idle subscription
costs nothing here.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, ScheduleIntervalSpec, ScheduleSpec

with workflow.unsafe.imports_passed_through():
    from activities.overdue import OverdueActivities

from workflows import options, schedules

SCHEDULE_ID = "overdue-sweep"
INTERVAL = timedelta(minutes=1)


@workflow.defn(name="OverdueSweep")
class OverdueSweepWorkflow:
    """One sweep."""

    @workflow.run
    async def run(self) -> int:
        """Returns how many starts it owed."""
        swept = await workflow.execute_local_activity_method(
            OverdueActivities.sweep_overdue,
            summary="find what is overdue",
            **options.DATABASE,
        )
        return swept.owed


async def ensure_schedule(client: Client) -> None:
    """Makes the schedule once; one that is there is left alone."""
    every_minute = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=INTERVAL)])
    await schedules.ensure(client, SCHEDULE_ID, OverdueSweepWorkflow.run, every_minute)
