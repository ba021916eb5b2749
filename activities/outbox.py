"""The outbox relay: starts what committed transactions owe; it decides nothing.

Not an activity: a loop beside the worker. A crash anywhere repeats a start, and the workflow's id
makes the repetition harmless.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from models.database import Database
from models.outbox import OutboxRow
from models.queries import outbox, overdue

log = structlog.get_logger(__name__)

BATCH_SIZE = 50
# Notifications wake the relay; this is only for one that was lost with its connection.
SWEEP_SECONDS = 30.0
RETRY_SECONDS = 0.5
START_TIMEOUT = timedelta(seconds=5)

Attributes = Callable[[dict[str, object]], list[SearchAttributePair[str]]]
Priorities = Callable[[str, str], Priority]
"""By a workflow's type and merchant."""


@dataclass(frozen=True, kw_only=True)
class Starting:
    """How workflows are started, whichever they are; the workflows' side says it."""

    task_queue: str
    task_timeout: timedelta
    attributes: Attributes
    priorities: Priorities


class OutboxRelay:
    """Starts workflows from outbox rows, each under the row's id."""

    def __init__(self, database: Database, client: Client, starting: Starting) -> None:
        self._database = database
        self._client = client
        self._starting = starting

    async def run(self) -> None:
        """Relays until cancelled; a server that is away is tried again, never an error."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, SQLAlchemyError, RPCError, RuntimeError, OSError) as error:
                log.warning("outbox_waits", reason=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._database.url.replace("postgresql+psycopg://", "postgresql://"),
            autocommit=True,
            connect_timeout=3,
        )
        async with connection:
            await connection.execute(f"LISTEN {outbox.CHANNEL}")
            while True:
                while await self.relay_once():
                    pass
                async for _notice in connection.notifies(timeout=SWEEP_SECONDS, stop_after=1):
                    break

    async def relay_once(self) -> bool:
        """Starts a batch; whether there may be more.

        What was started is marked even where its neighbor failed; what failed is tried again.
        """
        async with self._database.transaction() as session:
            rows = await outbox.claim(session, BATCH_SIZE)
            results = await asyncio.gather(
                *(self._start(row) for row in rows), return_exceptions=True
            )
            for row, result in zip(rows, results, strict=True):
                if result is None:
                    await outbox.mark_sent(session, row.merchant_id, row.workflow_id)
        failed = [result for result in results if result is not None]
        if failed:
            raise failed[0]
        return len(rows) == BATCH_SIZE

    async def start_owed(self, merchant_id: str, workflow_id: str) -> bool:
        """Starts one owed workflow at once; False when the outbox owes no such start.

        Asked for one that Temporal does not know, so what the rows still need is owed again first.
        """
        async with self._database.transaction() as session:
            start = await overdue.start_of(session, merchant_id, workflow_id)
            if start is not None:
                await outbox.owe_again(session, start)
            row = await outbox.unsent(session, merchant_id, workflow_id)
            if row is None:
                return False
            await self._start(row)
            await outbox.mark_sent(session, merchant_id, workflow_id)
        return True

    async def start(self, start: outbox.WorkflowStart, *, at_once: bool = False) -> None:
        """Starts a workflow, which may run already.

        At once: the worker beside takes its first task, past all that waits in the queue; whoever
        asks for that sees to it that others still have their turn. Raises
        WorkflowAlreadyStartedError where it ran to its end before.
        """
        await self._client.start_workflow(
            start.workflow_type,
            start.argument,
            id=start.workflow_id,
            task_queue=self._starting.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            search_attributes=TypedSearchAttributes(self._starting.attributes(start.argument)),
            task_timeout=self._starting.task_timeout,
            priority=self._starting.priorities(start.workflow_type, start.merchant_id),
            request_eager_start=at_once,
            rpc_timeout=START_TIMEOUT,
        )

    async def _start(self, row: OutboxRow) -> None:
        start = outbox.WorkflowStart(
            merchant_id=row.merchant_id,
            workflow_id=row.workflow_id,
            workflow_type=row.workflow_type,
            argument=row.argument,
        )
        try:
            await self.start(start)
        except WorkflowAlreadyStartedError:
            # It ran to its end before this row was marked: there is nothing left to start.
            log.info("outbox_already_ran", workflow_id=row.workflow_id)
