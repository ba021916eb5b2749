"""The connection to PostgreSQL: an engine, transactions, and nothing about any table."""

import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakSet

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import ORMExecuteState, SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from models import tables
from models.audit import acting, actors

# A session resolves foreign keys by name: whoever opens one needs every table to be known.
assert tables.metadata.tables

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 3
# A page of an index costs hardly more out of order where there is no disk that turns, and a plan is
# kept, by a connection and by the triggers: made while a table was small, it must not read all of
# it later (docs/adr/0062).
_OPTIONS = "-c timezone=UTC -c random_page_cost=1.1 -c enable_seqscan=off"
_ONE_INSTANT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
PREPARED_MAX = 256
TRUSTED_SECONDS = 5.0
"""How long a connection may rest and still be taken for whole, unless its socket says otherwise."""
ANSWER_SECONDS = 15
"""How long a statement of a hot path may take before its caller is told to come again."""

DEADLOCKS_MAX = 3
"""How often a transaction gives way before its caller is told to come again."""


def repeats_deadlocks(
    work: Callable[P, Awaitable[T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Does the work again where PostgreSQL ended it for another's sake: it has left nothing.

    For work in one transaction of its own, outside of workflows: those repeat it by themselves.
    """

    @wraps(work)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(DEADLOCKS_MAX):
            try:
                return await work(*args, **kwargs)
            except OperationalError as error:
                if not isinstance(error.orig, psycopg.errors.DeadlockDetected):
                    raise
        return await work(*args, **kwargs)

    return repeated


def sqlalchemy_url(database_url: str) -> str:
    """The same address with psycopg's driver name, whichever spelling it came in."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


_SIGN = text(
    "SELECT set_config('durabill.merchant', :merchant, true), "
    "set_config('durabill.acting', :acting, true), "
    "set_config('durabill.actors', :actors, true)"
)

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
"""Whose rows may be seen and written here; none: everybody's (workers, the command line)."""


class _Signed(Session):
    """A session whose first statement tells the database for whom it works, and who is acting."""


@event.listens_for(_Signed, "after_begin")
def _sign(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    merchant_id, who = tenant.get(), acting.get()
    if merchant_id is not None or who is not None:
        signature = {
            "merchant": merchant_id or "",
            "acting": who.text() if who else "",
            "actors": actors.get(),
        }
        connection.execute(_SIGN, signature)


@event.listens_for(_Signed, "do_orm_execute")
def _read_anew(state: ORMExecuteState) -> None:
    """A row that is locked is read as it stands then, also where the session has seen it before."""
    if state.is_select and getattr(state.statement, "_for_update_arg", None) is not None:
        state.update_execution_options(populate_existing=True)


def _keep_many_prepared(connection: Any, _record: object) -> None:
    """More than an operation each: those that fall out have to be prepared again."""
    connection.driver_connection.prepared_max = PREPARED_MAX


def _note_rest(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["rests_since"] = time.monotonic()


def _check(connection: Any, record: ConnectionPoolEntry, _proxy: object, dialect: Dialect) -> None:
    """Finds a connection that its server has closed before it is used; it is then made anew.

    A server that goes, or is killed, says so on the socket: that costs no question. One that rests
    for longer may have been dropped in silence on its way, and is asked.
    """
    rested = time.monotonic() - record.info["rests_since"]
    try:
        if rested >= TRUSTED_SECONDS or _has_something_to_say(connection.driver_connection):
            dialect.do_ping(connection)
    except psycopg.Error as error:
        raise InvalidatePoolError from error


def _has_something_to_say(connection: psycopg.AsyncConnection[Any]) -> bool:
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))


class Database:
    """A pool of connections; a transaction commits when its block ends and rolls back if it raises.

    A connection that a restarted server closed is noticed before it is used.
    """

    def __init__(self, database_url: str, *, pool_size: int = 10) -> None:
        self.url = database_url
        self._engine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            # The connection that worked last has its statements prepared.
            pool_use_lifo=True,
            # Values stay out of error messages and so out of logs.
            hide_parameters=True,
            json_deserializer=msgspec.json.decode,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "options": _OPTIONS,
                # Prepared at its second use: planning costs as much as most statements do.
                "prepare_threshold": 1,
            },
        )
        engine = self._engine.sync_engine
        event.listen(engine, "connect", _keep_many_prepared)
        event.listen(engine, "connect", _note_rest)
        event.listen(engine, "checkin", _note_rest)
        event.listen(engine, "checkout", partial(_check, dialect=engine.dialect))
        # The same connections: what only reads sees one instant in all its statements.
        self._reading = self._engine.execution_options(**_ONE_INSTANT)
        self._idle: list[psycopg.AsyncConnection[Any]] = []
        self._lent: WeakSet[psycopg.AsyncConnection[Any]] = WeakSet()

    @asynccontextmanager
    async def transaction(self, *, reads_only: bool = False) -> AsyncIterator[AsyncSession]:
        """One session, one transaction; one that only reads sees one instant, and cannot write."""
        engine = self._reading if reads_only else self._engine
        async with AsyncSession(
            engine, sync_session_class=_Signed, expire_on_commit=False
        ) as session:
            async with session.begin():
                yield session

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A bare connection on which each statement commits by itself: for the hot paths.

        How many there are is up to its few users; each holds one at a time.
        """
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            yield connection
        finally:
            if connection.info.transaction_status == TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                await connection.close()
                # What broke this one, a restart of the server mostly, has broken the others too.
                await self._close_idle()

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        """A bare connection that its caller keeps and closes, or else `close` does."""
        connection = await self._connect()
        self._lent.add(connection)
        return connection

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        url = make_url(self.url).set(drivername="postgresql")
        return await psycopg.AsyncConnection.connect(
            url.render_as_string(hide_password=False),
            autocommit=True,
            # Prepared at its first use: there are few statements, and each runs all the time.
            prepare_threshold=0,
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=ANSWER_SECONDS * 1000,
            options=f"{_OPTIONS} -c statement_timeout={ANSWER_SECONDS}s",
        )

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def close(self) -> None:
        """Returns every connection."""
        await self._close_idle()
        for connection in list(self._lent):
            await connection.close()
        await self._engine.dispose()
