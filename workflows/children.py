"""Starting a process that outlives its parent; a start repeated under the same id is no error."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from workflows import options


@dataclass(frozen=True, kw_only=True)
class Child:
    """What a child is known by, and where it stands in a queue."""

    workflow_id: str
    summary: str
    attributes: TypedSearchAttributes
    priority: Priority


async def start_abandoned(
    run: Callable[[Any, Any], Awaitable[Any]], argument: object, child: Child
) -> None:
    """Starts a child of its own life; it ran, or runs, already: then there is nothing to do."""
    try:
        await workflow.start_child_workflow(
            run,
            argument,
            id=child.workflow_id,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=child.attributes,
            static_summary=child.summary,
            task_timeout=options.TASK_TIMEOUT,
            priority=child.priority,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("already started: %s", child.workflow_id)
