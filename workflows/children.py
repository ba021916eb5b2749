"""Starting a process that outlives its parent; a start repeated under the same id is no error."""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from workflows import options


async def start_abandoned(
    run: Callable[[Any, Any], Awaitable[Any]],
    argument: object,
    *,
    workflow_id: str,
    summary: str,
    attributes: TypedSearchAttributes,
) -> None:
    """Starts a child of its own life; it ran, or runs, already: then there is nothing to do."""
    try:
        await workflow.start_child_workflow(
            run,
            argument,
            id=workflow_id,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=attributes,
            static_summary=summary,
            task_timeout=options.TASK_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("already started: %s", workflow_id)
