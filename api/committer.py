"""Group commit of usage events: whatever waits is stored by one statement; it parses nothing.

An event is answered after its statement has committed. While one statement runs, the next ones
gather, so there is no timer: a single event is stored at once, and a thousand senders share a few
statements. What waits is bounded; beyond it senders are told to come again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from starlette.exceptions import HTTPException

from models.base import wall_now
from models.database import Database
from models.event_rows import EventRow
from models.queries import usage, usage_appends, usage_conflicts
from models.statement_pipe import StatementPipe

log = structlog.get_logger(__name__)

ROWS_MAX = 2_000
"""In one statement; more of them gain nothing and delay the answers."""
WAITING_MAX = 30_000
MANY_ROWS = 500
"""So many are worth a second statement beside the first, and a look whether they are a repetition.

Few are not: they are cheaper in one statement, which more of them share the longer they wait.
"""
PROBES = 16
"""How many of many events are looked for: a repeated batch is repeated as a whole, mostly."""
ATTEMPTS = 2
# One merchant's mistake in a row must not be everybody's: these halve the batch until it stands
# alone. All else that goes wrong is the server's, and concerns the whole batch.
REFUSALS = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)


class Outcome(msgspec.Struct, gc=False):
    """What became of an event: `event` is the stored one, of a duplicate the first."""

    status: Literal["created", "duplicate", "refused"]
    event: EventRow


class _Lot(msgspec.Struct, gc=False):
    """Events that are answered together."""

    events: Sequence[EventRow]
    live: bool
    answer: asyncio.Future[list[Outcome]]


class Committer:
    """The one writer of usage events in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Lot] = deque()
        self._rows_waiting = 0
        self._runners: set[asyncio.Task[None]] = set()
        self._pipes: list[StatementPipe] = []

    async def store(self, events: Sequence[EventRow], *, live: bool) -> list[Outcome]:
        """Stores the events; returns when they are committed.

        Those without a timestamp happen now; outside live, on their subject's test clock.
        """
        if self._rows_waiting and self._rows_waiting + len(events) > WAITING_MAX:
            message = "Too many events wait to be stored; try again"
            raise HTTPException(429, message, headers={"Retry-After": "1"})
        lot = _Lot(events, live, asyncio.get_running_loop().create_future())
        self._waiting.append(lot)
        self._rows_waiting += len(events)
        if self._may_run(len(self._runners)):
            self._start()
        return await lot.answer

    def _may_run(self, others: int) -> bool:
        """Whether a statement may run beside so many others."""
        return others == 0 or (others == 1 and self._rows_waiting >= MANY_ROWS)

    def _start(self) -> None:
        runner = asyncio.create_task(self._run())
        self._runners.add(runner)
        runner.add_done_callback(self._ended)

    def _ended(self, runner: asyncio.Task[None]) -> None:
        self._runners.discard(runner)
        if self._waiting and not self._runners and not runner.cancelled():
            self._start()

    async def _run(self) -> None:
        # Once round the loop: requests that have arrived by now share the first statement.
        await asyncio.sleep(0)
        while self._waiting and self._may_run(len(self._runners) - 1):
            lots = self._take()
            try:
                outcomes = await self._stored(lots)
            except (psycopg.OperationalError, OSError) as error:
                _fail(lots, error)
                continue
            except BaseException as error:
                _fail(lots, error)
                raise
            start = 0
            for lot in lots:
                answer = outcomes[start : start + len(lot.events)]
                start += len(lot.events)
                # Its sender may have hung up; the events are stored all the same.
                if not lot.answer.done():
                    lot.answer.set_result(answer)

    def _take(self) -> list[_Lot]:
        lots = [self._waiting.popleft()]
        size = len(lots[0].events)
        while self._waiting and size + len(self._waiting[0].events) <= ROWS_MAX:
            lots.append(self._waiting.popleft())
            size += len(lots[-1].events)
        self._rows_waiting -= size
        return lots

    async def _stored(self, lots: Sequence[_Lot]) -> list[Outcome]:
        """A connection that breaks may have committed: the same events again are duplicates."""
        events = [event for lot in lots for event in lot.events]
        unstamped = {event.id for event in events if event.timestamp is None}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if unstamped:
                    async with self._database.autocommit() as connection:
                        await _stamp(connection, lots)
                return await self._new_and_known(events, unstamped)
            except psycopg.OperationalError as error:
                log.warning("usage_not_stored", kind=type(error).__name__, attempt=attempt)
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError

    async def _new_and_known(
        self, events: Sequence[EventRow], unstamped: set[str]
    ) -> list[Outcome]:
        """Known ones are found without being sent; whatever is not found may be known all the same.

        What has been committed stays, so that it need not be looked for again.
        """
        known = await self._known(events) if len(events) >= MANY_ROWS else {}
        if not known:
            return await self._append(events, unstamped)
        fresh = [event for event in events if event.id not in known]
        appended = iter(await self._append(fresh, unstamped) if fresh else ())
        differing = [event for event in events if known.get(event.id)]
        stored = await self._first(differing, unstamped) if differing else {}
        return [
            Outcome("duplicate", stored.get(event.id, event))
            if event.id in known
            else next(appended)
            for event in events
        ]

    async def _known(self, events: Sequence[EventRow]) -> dict[str, bool]:
        async with self._database.autocommit() as connection:
            probes = events[:: len(events) // PROBES]
            if not await usage_appends.known(connection, probes):
                return {}
            return await usage_appends.known(connection, events)

    async def _first(
        self, repeated: Sequence[EventRow], unstamped: set[str]
    ) -> dict[str, EventRow]:
        async with self._database.autocommit() as connection:
            return await _told_apart(connection, repeated, unstamped)

    async def _append(self, events: Sequence[EventRow], unstamped: set[str]) -> list[Outcome]:
        try:
            created = await self._created(events)
        except REFUSALS as error:
            if len(events) == 1:
                log.warning("usage_event_refused", kind=type(error).__name__)
                return [Outcome("refused", events[0])]
            middle = len(events) // 2
            return [
                *await self._append(events[:middle], unstamped),
                *await self._append(events[middle:], unstamped),
            ]
        if created is None:
            return [Outcome("created", event) for event in events]
        repeated = [event for event, new in zip(events, created, strict=True) if not new]
        stored = await self._first(repeated, unstamped)
        return [
            Outcome("created", event) if new else Outcome("duplicate", stored.get(event.id, event))
            for event, new in zip(events, created, strict=True)
        ]

    async def _created(self, events: Sequence[EventRow]) -> list[bool] | None:
        pipe = await self._pipe()
        try:
            return await usage_appends.append(pipe, events)
        except psycopg.errors.UniqueViolation:
            # Stored by another since the statement began; nothing of these has been stored.
            async with self._database.autocommit() as connection:
                return await usage_appends.append_beside_rivals(connection, events)
        finally:
            if pipe.is_idle:
                self._pipes.append(pipe)
            else:
                await pipe.close()

    async def _pipe(self) -> StatementPipe:
        """One that can run; a server that restarts breaks those that wait here too."""
        while self._pipes:
            pipe = self._pipes.pop()
            if pipe.is_idle:
                return pipe
            await pipe.close()
        return await usage_appends.opened(self._database)


def _fail(lots: Sequence[_Lot], error: BaseException) -> None:
    for lot in lots:
        if not lot.answer.done():
            lot.answer.set_exception(error)


async def _stamp(connection: AsyncConnection, lots: Sequence[_Lot]) -> None:
    """Gives the events without a timestamp the time at which they happen."""
    now = wall_now()
    subjects = {
        (event.merchant_id, event.subject or event.external_subject or "")
        for lot in lots
        for event in lot.events
        if event.timestamp is None and not lot.live
    }
    clocks = await usage.clock_times(connection, subjects) if subjects else {}
    for event in (event for lot in lots for event in lot.events):
        if event.timestamp is None:
            subject = event.subject or event.external_subject or ""
            event.timestamp = clocks.get((event.merchant_id, subject), now)


async def _told_apart(
    connection: AsyncConnection, repeated: Sequence[EventRow], unstamped: set[str]
) -> dict[str, EventRow]:
    """Those that are stored otherwise than they came, as they are stored; conflicts are noted."""
    stored = await usage.stored_otherwise(connection, repeated, unstamped)
    conflicts = [
        event
        for event in repeated
        if event.id in stored
        and not event.says_the_same(stored[event.id], whenever=event.id in unstamped)
    ]
    if conflicts:
        await usage_conflicts.note(connection, conflicts)
    return stored
