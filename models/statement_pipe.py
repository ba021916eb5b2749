"""One prepared statement on a connection of its own, run again and again; it knows no table.

What psycopg's cursor does, without its cost at each call: the socket is watched once for the life
of the connection, and parameters and rows pass as they are. Each run is a transaction.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

_NAME = b"piped"
_GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class StatementPipe:
    """A statement with `$1…` parameters; one run at a time.

    Raises psycopg's errors. Where it is not idle after a run it is broken: close it.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], parameters: int) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._formats = [Format.BINARY] * parameters
        self._loop = asyncio.get_running_loop()
        self.socket = self._pgconn.socket
        """Its number while the connection lasts; afterwards it may be another's."""
        self._is_watched = False
        self._results: list[PGresult] = []
        self._done: asyncio.Future[list[PGresult]] | None = None
        self.is_idle = True
        """Whether it can run: nothing is under way, and nothing was broken off or has failed."""

    @classmethod
    async def opened(
        cls, connection: psycopg.AsyncConnection[Any], statement: bytes, parameters: int
    ) -> "StatementPipe":
        """Prepares the statement; the connection is the pipe's from now on."""
        pipe = cls(connection, parameters)
        pipe._loop.add_reader(pipe.socket, pipe._readable)
        pipe._is_watched = True
        try:
            pipe._pgconn.send_prepare(_NAME, statement)
            await pipe._answered()
        except BaseException:
            await pipe.close()
            raise
        return pipe

    @property
    def backend_pid(self) -> int:
        """The server's process."""
        return self._pgconn.backend_pid

    async def run(self, parameters: Sequence[bytes]) -> PGresult:
        """The statement's result, once it has committed; in binary."""
        self.is_idle = False
        self._pgconn.send_query_prepared(
            _NAME, parameters, self._formats, result_format=Format.BINARY
        )
        return await self._answered()

    async def close(self) -> None:
        """Ends the connection."""
        self._unwatch()
        await self._connection.close()

    async def _answered(self) -> PGresult:
        self._results = []
        self._done = self._loop.create_future()
        self._flush()
        result = (await self._done)[-1]
        self.is_idle = True
        if result.status not in _GOOD:
            raise error_from_result(result)
        return result

    def _flush(self) -> None:
        # What the socket does not take at once goes when it is writable; the reader stays, so that
        # neither side waits for the other with full buffers.
        if self._pgconn.flush():
            self._loop.add_writer(self.socket, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self.socket)
        self._guarded(self._flush)

    def _readable(self) -> None:
        self._guarded(self._collect)

    def _collect(self) -> None:
        self._pgconn.consume_input()
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                if self._results and self._done is not None and not self._done.done():
                    self._done.set_result(self._results)
                return
            self._results.append(result)

    def _guarded(self, step: Callable[[], None]) -> None:
        """A connection that fails says so to whoever waits, and is watched no longer."""
        try:
            step()
        except psycopg.OperationalError as error:
            self.is_idle = False
            self._unwatch()
            if self._done is not None and not self._done.done():
                self._done.set_exception(error)

    def _unwatch(self) -> None:
        # Once: a connection that broke has given its socket's number back, and another may have it.
        if not self._is_watched:
            return
        self._is_watched = False
        self._loop.remove_reader(self.socket)
        self._loop.remove_writer(self.socket)
