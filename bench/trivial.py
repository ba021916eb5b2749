"""The smallest workflow with one activity: what Temporal costs before any billing."""

from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "trivial"


@activity.defn
async def nothing(name: str) -> str:
    return name


@workflow.defn
class Trivial:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            nothing, name, start_to_close_timeout=timedelta(seconds=10)
        )
