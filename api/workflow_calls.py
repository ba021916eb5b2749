"""How a change reaches its workflow, and what a refusal means; it knows no change by name."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.workflow_starts import Start
from billing.errors import BillingError, Conflict, InvalidValue, NotFound

T = TypeVar("T")
log = structlog.get_logger(__name__)

CHANGE_LIMIT = timedelta(seconds=10)
PING_LIMIT = timedelta(seconds=1)
# A busy machine answers late; only one that does not answer at all is away.
AWAY_AFTER = timedelta(seconds=3)
FORGET_LIMIT_SECONDS = 5.0
PARALLEL_ENDINGS = 16
ABSENT_LIMIT_SECONDS = 5.0
ABSENT_RETRY_SECONDS = 0.1


class Unavailable(Exception):
    """A server that the change needs is away: try again later; nothing was changed by us."""


class WorkflowCalls:
    """Updates and signals of workflows by their ids; Temporal away is `Unavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ready(self) -> bool:
        """Whether Temporal answers."""
        try:
            await self._client.workflow_service.get_system_info(
                GetSystemInfoRequest(), timeout=AWAY_AFTER
            )
        except (RPCError, RuntimeError):
            return False
        return True

    async def require(self) -> None:
        """Refuses a change at once while Temporal does not answer, instead of after its limit."""
        if not await self.ready():
            raise Unavailable("Temporal is away")

    async def update(self, workflow_id: str, update: Any, *arguments: Any) -> Any:
        """Changes a workflow that runs, or soon will."""
        handle = self._client.get_workflow_handle(workflow_id)
        await self.require()
        return await _reach(
            lambda: handle.execute_update(update, args=arguments, rpc_timeout=CHANGE_LIMIT)
        )

    async def update_started(
        self,
        start: Callable[[], Start],
        update: Any,
        *arguments: Any,
        limit: timedelta | None = CHANGE_LIMIT,
        update_id: str | None = None,
    ) -> Any:
        """Changes a workflow, and starts it where it does not run; the limit None waits for ever.

        Each try needs a start of its own: Temporal takes one once.
        """
        return await _reach(
            lambda: self._client.execute_update_with_start_workflow(
                update,
                args=arguments,
                start_workflow_operation=start(),
                id=update_id,
                rpc_timeout=limit,
            )
        )

    async def tell(self, workflow_id: str, signal: Any) -> bool:
        """Sends a signal that only spares a wait; False when nobody heard it."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.signal(signal, rpc_timeout=PING_LIMIT)
        except (RPCError, RuntimeError):
            log.info("workflow_not_told", workflow=workflow_id)
            return False
        return True

    async def tell_if_there(self, workflow_id: str, signal: Any) -> None:
        """Sends a signal that must be heard, unless the workflow never ran or has ended."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.signal(signal, rpc_timeout=CHANGE_LIMIT)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise Unavailable("Temporal is away") from error
        except RuntimeError as error:
            raise Unavailable("Temporal is away") from error

    async def has_ended(self, workflow_id: str) -> bool:
        """Whether the workflow ends soon; one that has not been started yet is waited for too."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(CHANGE_LIMIT.total_seconds()):
                await _reach(handle.result)
        except (TimeoutError, Unavailable, WorkflowFailureError):
            return False
        return True

    async def forget(self, workflow_ids: Sequence[str]) -> None:
        """Ends workflows that have lost their rows; what is left of them ends by itself."""
        limit = asyncio.Semaphore(PARALLEL_ENDINGS)

        async def end(workflow_id: str) -> None:
            async with limit:
                handle = self._client.get_workflow_handle(workflow_id)
                try:
                    await handle.terminate(reason="reset", rpc_timeout=CHANGE_LIMIT)
                except RPCError as error:
                    # Not started yet, or ended already.
                    if error.status != RPCStatusCode.NOT_FOUND:
                        raise

        try:
            async with asyncio.timeout(FORGET_LIMIT_SECONDS):
                await asyncio.gather(*(end(workflow_id) for workflow_id in workflow_ids))
        except (RPCError, RuntimeError, TimeoutError) as error:
            log.warning(
                "workflows_left_behind", count=len(workflow_ids), error=type(error).__name__
            )


async def _reach(call: Callable[[], Awaitable[T]]) -> T:
    """Makes the call; a workflow that its outbox row has not started yet is waited for."""
    deadline = asyncio.get_running_loop().time() + ABSENT_LIMIT_SECONDS
    while True:
        try:
            return await call()
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise Unavailable("Nobody worked on it in time") from error
        except RPCError as error:
            late = asyncio.get_running_loop().time() > deadline
            if error.status != RPCStatusCode.NOT_FOUND or late:
                raise Unavailable("Temporal is away") from error
        except RuntimeError as error:
            raise Unavailable("Temporal is away") from error
        await asyncio.sleep(ABSENT_RETRY_SECONDS)


def _refusal(error: WorkflowUpdateFailedError) -> BillingError:
    """What the workflow refused, as it was refused below: by its code, else a conflict."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return Conflict("The change was refused")
    details = cause.details[0] if cause.details else {}
    if cause.type == InvalidValue.code:
        return InvalidValue(cause.message, field=details.get("field", ""))
    refusal = NotFound if cause.type == NotFound.code else Conflict
    return refusal(cause.message, details=details)
