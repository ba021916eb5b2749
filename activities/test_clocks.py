"""Moving a test clock: an ordered simulation over the workflows on it; no time of its own.

A heap would do for the agenda; a map of the members' next instants says the same and is reloaded
from SQL at every round, so that nothing that a transaction bound can be missed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.database import Database
from models.queries import handovers
from models.queries import test_clocks as clocks
from models.queries.outbox import WorkflowStart

log = structlog.get_logger(__name__)

INSTANTS_PER_SLICE = 200
PARALLEL_TICKS = 100
STARTS_AT_ONCE_MAX = 100
"""Of all clocks here; the worker has more room than that, so that what waits in the queue moves."""
# Longer than a killed worker's task takes to be given to another: start-to-close, the sticky
# queue's time-out and retries; a shorter limit would declare a healthy member failed.
MEMBER_LIMIT = timedelta(seconds=60)
ABSENT_RETRY_SECONDS = 0.05
HEARTBEAT_SECONDS = 1.0
_GOING_ON = (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)


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
    unasked: set[str] = field(default_factory=set)
    """Those of them whose rows say so: nobody has asked them. All but subscriptions may not run."""
    at_rest: set[str] = field(default_factory=set)
    """Subscriptions that were the last to be asked, alone: nothing has come to them since."""
    failed: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def note(self, members: Mapping[str, datetime | None], now: datetime) -> None:
        """Enters those whose first instant is known from their rows and lies ahead."""
        for member, due in members.items():
            is_ahead = due is not None and due > now
            if is_ahead and member not in self.due and member not in self.failed:
                self.due[member] = due
                self.unasked.add(member)

    def running(self) -> list[str]:
        """Who lives in the clock's time: whom it has asked, and every subscription."""
        return [
            member for member in self.due if member not in self.unasked or _is_subscription(member)
        ]


class Starter(Protocol):
    """Who starts members that do not run yet."""

    async def start_owed(self, merchant_id: str, workflow_id: str) -> bool:
        """Starts one that Temporal does not know; False when no row owes it."""
        ...

    async def start(self, start: WorkflowStart, *, at_once: bool = False) -> None:
        """Starts one that may run already; WorkflowAlreadyStartedError: it ran to its end."""
        ...


class TestClockActivities:
    """The only mover of test clocks; it holds a client: workflows cannot update each other."""

    __test__ = False

    def __init__(self, database: Database, client: Client, starter: Starter) -> None:
        self._database = database
        self._client = client
        self._starter = starter
        self._at_once = asyncio.Semaphore(STARTS_AT_ONCE_MAX)

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
        # Their rows say as much as they would answer; at the target each is told the time.
        agenda.note(await self._known(command), now)
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
        at_rest = agenda.at_rest if now == command.target else set()
        members = [member for member in agenda.running() if member not in at_rest]
        await self._tick_all(command, agenda, members, command.target)
        await self._settle(command, agenda, command.target)
        return _result(agenda, command.target, done=True)

    async def _current(self, command: RunSlice) -> datetime:
        async with self._database.transaction() as session:
            clock = await clocks.get(session, command.merchant_id, command.clock_id)
            return command.target if clock is None else clock.current_time

    async def _known(self, command: RunSlice) -> dict[str, datetime | None]:
        async with self._database.transaction() as session:
            return await clocks.due_subscriptions(session, command.merchant_id, command.clock_id)

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
        agenda.unasked.difference_update(members)
        # Payments stir subscriptions; subscriptions do not stir each other.
        agenda.at_rest = set(members) if _are_subscriptions(members) else set()
        starts = await self._starts(command, members, now)

        async def tick(workflow_id: str) -> None:
            question = _Question(workflow_id, now, starts.get(workflow_id))
            async with limit:
                await self._tick(command, agenda, question)

        await asyncio.gather(*(tick(member) for member in members))

    async def _starts(
        self, command: RunSlice, members: Sequence[str], now: datetime
    ) -> Mapping[str, WorkflowStart]:
        """How those are started that may not run yet."""
        if _are_subscriptions(members):
            return {}
        async with self._database.transaction() as session:
            return await handovers.starts_on(
                session, command.merchant_id, clocks.Reading(command.clock_id, now), members
            )

    async def _tick(self, command: RunSlice, agenda: _Agenda, question: "_Question") -> None:
        """One member, within its limit; a member that fails does not hold the others."""
        workflow_id = question.workflow_id
        agenda.due.pop(workflow_id, None)
        try:
            async with asyncio.timeout(MEMBER_LIMIT.total_seconds()):
                answer = await self._ask(command, question)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            agenda.failed[workflow_id] = f"no answer within {MEMBER_LIMIT.seconds} s"
        except WorkflowUpdateFailedError as error:
            agenda.failed[workflow_id] = await self._why(workflow_id, str(error.cause))
        else:
            if answer is None:
                why = await self._why(workflow_id, "the workflow has failed")
                agenda.failed[workflow_id] = why
            elif answer.finished:
                agenda.ended.append(workflow_id)
            else:
                agenda.due[workflow_id] = answer.next_due

    async def _why(self, workflow_id: str, otherwise: str) -> str:
        """What ended the member, where it ended over its work instead of answering."""
        described = await self._client.get_workflow_handle(workflow_id).describe()
        if described.status != WorkflowExecutionStatus.FAILED:
            return otherwise
        run = self._client.get_workflow_handle(workflow_id, run_id=described.run_id)
        try:
            await run.result(follow_runs=False)
        except WorkflowFailureError as error:
            return _told(error.cause)
        return otherwise

    async def _ask(self, command: RunSlice, question: "_Question") -> TickAnswer | None:
        """The member's answer; None when it has failed.

        A member that is not there yet is started by its row with the question, or is owed by the
        outbox (started here) or its parent: it is asked again until the limit.
        """
        while True:
            try:
                answer: TickAnswer = await self._put(question)
            except WorkflowAlreadyStartedError:
                ended = await self._ended(command, question)
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                    raise
                ended = await self._ended(command, question)
            else:
                return answer
            if ended is not None:
                return ended if ended.finished else None
            await asyncio.sleep(ABSENT_RETRY_SECONDS)

    async def _put(self, question: "_Question") -> TickAnswer:
        if question.start is None:
            return await self._answer_of(question)
        # It is told the time with its start; most end with their first task, before any tick.
        if self._at_once.locked():
            await self._starter.start(question.start)
            return await self._answer_of(question)
        # Until it has answered, or ended, the worker has no room for another in its place.
        async with self._at_once:
            await self._starter.start(question.start, at_once=True)
            return await self._answer_of(question)

    async def _answer_of(self, question: "_Question") -> TickAnswer:
        handle = self._client.get_workflow_handle(question.workflow_id)
        answer: TickAnswer = await handle.execute_update(
            "tick", Tick(now=question.now), result_type=TickAnswer
        )
        return answer

    async def _ended(self, command: RunSlice, question: "_Question") -> TickAnswer | None:
        """How a member that takes no tick has ended; None: it has not (yet)."""
        status = await self._status(question.workflow_id)
        if status == WorkflowExecutionStatus.COMPLETED:
            return TickAnswer(next_due=None, finished=True)
        is_closed = status is not None and status not in _GOING_ON
        # One that was started with the question, and has failed since, would only fail again.
        was_started = question.start is not None and is_closed
        if not was_started and await self._starter.start_owed(
            command.merchant_id, question.workflow_id
        ):
            return None
        return TickAnswer(next_due=None, finished=False) if is_closed else None

    async def _status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        """None: Temporal does not know it, or does not answer now."""
        try:
            return (await self._client.get_workflow_handle(workflow_id).describe()).status
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                return None
            raise


@dataclass(frozen=True, slots=True)
class _Question:
    """Asks a member to do what is due by `now`; one that may not run yet is started with it."""

    workflow_id: str
    now: datetime
    start: WorkflowStart | None


def _told(failure: BaseException | None) -> str:
    """What the program says of a failure, which Temporal's own only pass on."""
    while not isinstance(failure, ApplicationError):
        if not isinstance(failure, FailureError):
            return str(failure)
        failure = failure.cause
    return failure.message


def _are_subscriptions(members: Sequence[str]) -> bool:
    return all(_is_subscription(member) for member in members)


def _is_subscription(member: str) -> bool:
    return member.startswith("subscription/")


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
