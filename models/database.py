"""The connection to PostgreSQL: an engine, transactions, and nothing about any table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from models import tables

# A session resolves foreign keys by name: whoever opens one needs every table to be known.
assert tables.metadata.tables


def sqlalchemy_url(database_url: str) -> str:
    """The same address with psycopg's driver name, whichever spelling it came in."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


class Database:
    """A pool of connections; a transaction commits when its block ends and rolls back if it raises.

    A connection that a restarted server closed is noticed before it is used (`pool_pre_ping`).
    """

    def __init__(self, database_url: str, *, pool_size: int = 10) -> None:
        self.url = database_url
        self._engine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=True,
            # Values stay out of error messages and so out of logs.
            hide_parameters=True,
            connect_args={"connect_timeout": 3, "options": "-c timezone=UTC"},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One session, one transaction."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            async with session.begin():
                yield session

    async def close(self) -> None:
        """Returns every connection."""
        await self._engine.dispose()
