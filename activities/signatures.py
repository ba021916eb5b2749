"""An interceptor: what an activity changes is signed with its workflow in the audit log."""

from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from models.audit import Acting, acting


class Signatures(Interceptor):
    """Tells the database which workflow is acting, and by which activity."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wraps every activity."""
        return _Signing(next)


class _Signing(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        at_work = activity.info()
        acting.set(Acting(f"workflow:{at_work.workflow_id}", at_work.activity_type))
        return await super().execute_activity(input)
