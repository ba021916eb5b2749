"""UsageRollup: once a night the days of some metrics are summed and proved; it reads no event.

Started by a Temporal Schedule (`usage-rollup`), for the whole installation.
"""

from temporalio import workflow
from temporalio.client import Client

with workflow.unsafe.imports_passed_through():
    from activities.usage_rollups import UsageRollupActivities

from workflows import options, schedules

SCHEDULE_ID = "usage-rollup"
# Before the retention's walk: what goes tonight is proved once more.
HOUR_UTC = 1


@workflow.defn(name="UsageRollup")
class UsageRollupWorkflow:
    """One night."""

    @workflow.run
    async def run(self) -> int:
        """Returns how many sums the raw events did not confirm: they have been made again."""
        done = await workflow.execute_activity_method(
            UsageRollupActivities.roll_up_usage,
            summary="sum the days of metrics and prove the sums",
            **options.WALK,
        )
        return done.differing


async def ensure_schedule(client: Client) -> None:
    """Makes the schedule once; one that is there is left alone."""
    await schedules.ensure(
        client, SCHEDULE_ID, UsageRollupWorkflow.run, schedules.nightly(HOUR_UTC)
    )
