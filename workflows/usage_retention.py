"""UsageRetention: once a night, old usage events go; what goes is decided by rows, not here.

Started by a Temporal Schedule (`usage-retention`), for the whole installation.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, ScheduleOverlapPolicy, SchedulePolicy

with workflow.unsafe.imports_passed_through():
    from activities.retention import RetentionActivities

from workflows import options, schedules

SCHEDULE_ID = "usage-retention"
HOUR_UTC = 3
# A worker that was away catches up with the last missed night, not with all of them.
CATCHUP = timedelta(hours=12)


@workflow.defn(name="UsageRetention")
class UsageRetentionWorkflow:
    """One night."""

    @workflow.run
    async def run(self) -> int:
        """Returns how many events were deleted."""
        done = await workflow.execute_activity_method(
            RetentionActivities.delete_old_usage,
            summary="delete what merchants no longer keep",
            **options.WALK,
        )
        return sum(done.deleted.values())


async def ensure_schedule(client: Client) -> None:
    """Makes the schedule once; one that is there is left alone."""
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCHUP)
    await schedules.ensure(
        client, SCHEDULE_ID, UsageRetentionWorkflow.run, schedules.nightly(HOUR_UTC), policy
    )
