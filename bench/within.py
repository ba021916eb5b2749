"""CPU of a part of a measured step, in this process and in the server of its connection."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from psycopg import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from bench import stage

Part = Callable[..., Awaitable[Any]]


@dataclass
class Spent:
    """CPU seconds so far, of both together."""

    seconds: float = 0.0


@contextmanager
def watched(module: ModuleType, name: str) -> Iterator[Spent]:
    """What the module's function, whose first argument is a session, spends until the end.

    What else this process does while the function waits counts as well.
    """
    part: Part = getattr(module, name)
    spent = Spent()

    async def watching(session: AsyncSession, *args: Any) -> Any:
        async with _counted(session, spent):
            return await part(session, *args)

    setattr(module, name, watching)
    try:
        yield spent
    finally:
        setattr(module, name, part)


@asynccontextmanager
async def _counted(session: AsyncSession, spent: Spent) -> AsyncIterator[None]:
    raw = await (await session.connection()).get_raw_connection()
    assert isinstance(raw.driver_connection, AsyncConnection)
    server = raw.driver_connection.info.backend_pid
    began = time.process_time() + stage.cpu_seconds(server)
    yield
    spent.seconds += time.process_time() + stage.cpu_seconds(server) - began
