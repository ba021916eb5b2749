"""Moving a test clock: an ordered simulation over the workflows on it; no time of its own.

A heap would do for the agenda; a map of the members' next instants says the same and is reloaded
from SQL at every round, so that nothing that a transaction bound can be missed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from models.database import Database
from models.queries import test_clocks as clocks

log = structlog.get_logger(__name__)

INSTANTS_PER_SLICE = 200
PARALLEL_TICKS = 50
# Longer than a killed worker's task takes to be given to another: start-to-close, the sticky
# queue's time-out and retries; a shorter limit would declare a healthy member failed.
MEMBER_LIMIT = timedelta(seconds=60)
ABSENT_RETRY_SECONDS = 0.05
HEARTBEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Everything due up to `now` is to happen."""

    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TickAnswer:
    """When the member is due next; None: not by itself."""

    next_due: datetime | None
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSlice:
    """Moves the clock towards `target`, at most INSTANTS_PER_SLICE instants far."""

    merchant_id: str
    clock_id: str
    target: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMember:
    """A workflow that did not follow its clock, and why."""

    workflow_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """How far it came."""

    now: datetime
    done: bool
    failed: Sequence[FailedMember] = ()


@dataclass(slots=True)
class _Agenda:
    """What a slice knows: due instants by member; a member not in it has not been asked yet."""

    due: dict[str, datetime | None] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def note(self, members: Mapping[str, datetime | None], now: datetime) -> None:
        """Enters those whose first instant is known from their rows and lies ahead."""
        for member, due in members.items():
            if due is not None and due > now and member not in self.failed:
                self.due.setdefault(member, due)


class TestClockActivities:
    """The only mover of test clocks; it holds a client: workflows cannot update each other."""

    __test__ = False

    def __init__(
        self,
        database: Database,
        client: Client,
        start_owed: Callable[[str, str], Awaitable[bool]],
    ) -> None:
        self._database = database
        self._client = client
        self._start_owed = start_owed

    @activity.defn
    async def run_slice(self, command: RunSlice) -> SliceResult:
        """Ticks the members instant by instant; repeating a slice changes nothing."""
        beat = asyncio.create_task(_beat())
        try:
            return await self._run_slice(command)
        finally:
            beat.cancel()

    async def _run_slice(self, command: RunSlice) -> SliceResult:
        agenda = _Agenda()
        now = await self._current(command)
        await self._settle(command, agenda, now)
        for _ in range(INSTANTS_PER_SLICE):
            upcoming = [due for due in agenda.due.values() if due and due <= command.target]
            if not upcoming:
                break
            now = max(now, min(upcoming))
            await self._move(command, now)
            members = [key for key, due in agenda.due.items() if due and due <= now]
            await self._tick_all(command, agenda, members, now)
            await self._settle(command, agenda, now)
        else:
            return _result(agenda, now, done=False)
        # The closing round: every clock reads the target, and stray work has settled.
        await self._move(command, command.target)
        await self._tick_all(command, agenda, list(agenda.due), command.target)
        await self._settle(command, agenda, command.target)
        return _result(agenda, command.target, done=True)

    async def _current(self, command: RunSlice) -> datetime:
        async with self._database.transaction() as session:
            clock = await clocks.get(session, command.merchant_id, command.clock_id)
            return command.target if clock is None else clock.current_time

    async def _move(self, command: RunSlice, now: datetime) -> None:
        async with self._database.transaction() as session:
            await clocks.move(session, command.merchant_id, command.clock_id, now, command.target)

    async def _settle(self, command: RunSlice, agenda: _Agenda, now: datetime) -> None:
        """Asks members that are not on the agenda, until a round brings none."""
        while True:
            async with self._database.transaction() as session:
                if agenda.ended:
                    await clocks.end_members(session, command.merchant_id, agenda.ended)
                    agenda.ended.clear()
                live = await clocks.live_members(session, command.merchant_id, command.clock_id)
            agenda.note(live, now)
            unknown = [key for key in live if key not in agenda.due and key not in agenda.failed]
            if not unknown:
                return
            await self._tick_all(command, agenda, unknown, now)

    async def _tick_all(
        self, command: RunSlice, agenda: _Agenda, members: Sequence[str], now: datetime
    ) -> None:
        limit = asyncio.Semaphore(PARALLEL_TICKS)

        async def tick(workflow_id: str) -> None:
            async with limit:
                await self._tick(command, agenda, workflow_id, now)

        await asyncio.gather(*(tick(member) for member in members))

    async def _tick(
        self, command: RunSlice, agenda: _Agenda, workflow_id: str, now: datetime
    ) -> None:
        """One member, within its limit; a member that fails does not hold the others."""
        agenda.due.pop(workflow_id, None)
        try:
            async with asyncio.timeout(MEMBER_LIMIT.total_seconds()):
                answer = await self._ask(command, workflow_id, now)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            agenda.failed[workflow_id] = f"no answer within {MEMBER_LIMIT.seconds} s"
        except WorkflowUpdateFailedError as error:
            agenda.failed[workflow_id] = str(error.cause)
        else:
            if answer is None:
                agenda.failed[workflow_id] = "the workflow has failed"
            elif answer.finished:
                agenda.ended.append(workflow_id)
            else:
                agenda.due[workflow_id] = answer.next_due

    async def _ask(self, command: RunSlice, workflow_id: str, now: datetime) -> TickAnswer | None:
        """The member's answer; None when it has failed.

        A member that is not there yet is owed by the outbox (started here) or by its parent
        (asked in the same round); it is asked again until the limit.
        """
        handle = self._client.get_workflow_handle(workflow_id)
        while True:
            try:
                answer: TickAnswer = await handle.execute_update(
                    "tick", Tick(now=now), result_type=TickAnswer
                )
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                    raise
                ended = await self._ended(command, workflow_id)
                if ended is not None:
                    return ended if ended.finished else None
            else:
                return answer
            await asyncio.sleep(ABSENT_RETRY_SECONDS)

    async def _ended(self, command: RunSlice, workflow_id: str) -> TickAnswer | None:
        """How a member that takes no tick has ended; None: it has not (yet)."""
        if await self._start_owed(command.merchant_id, workflow_id):
            return None
        try:
            described = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                return None
            raise
        running = (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)
        if described.status in running:
            return None
        completed = described.status == WorkflowExecutionStatus.COMPLETED
        return TickAnswer(next_due=None, finished=completed)


async def _beat() -> None:
    """Tells the server that the slice lives, so that a killed worker's slice moves on soon."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_SECONDS)


def _result(agenda: _Agenda, now: datetime, *, done: bool) -> SliceResult:
    failed = [
        FailedMember(workflow_id=key, reason=reason)
        for key, reason in sorted(agenda.failed.items())
    ]
    for member in failed:
        log.error("clock_member_failed", workflow_id=member.workflow_id, reason=member.reason)
    return SliceResult(now=now, done=done, failed=failed)
