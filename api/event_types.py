"""Which event types a merchant's metrics read: remembered for seconds, never what is not read."""

from collections.abc import Collection
from time import monotonic

from models.database import Database
from models.queries import billable_metrics

TTL_SECONDS = 5.0
SIZE_MAX = 100_000


class EventTypes:
    """Types by merchant, each with the path of the number that is stored beside its events.

    A type that is not remembered is looked up, so a new metric's events are taken at once. What is
    remembered may be seconds old: a path that has changed since is noted with the events that were
    read by it, and readings go by that.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: dict[tuple[str, str], tuple[float, str]] = {}

    def path(self, merchant_id: str, event_type: str) -> str | None:
        """The type's path, "" if no number is read; None if the type is not remembered."""
        entry = self._entries.get((merchant_id, event_type))
        return None if entry is None or entry[0] < monotonic() else entry[1]

    async def look_up(self, merchant_id: str, types: Collection[str]) -> dict[str, str]:
        """The paths of those types that any metric reads."""
        async with self._database.transaction() as session:
            found = await billable_metrics.quantity_paths(session, merchant_id, types)
        if len(self._entries) + len(found) > SIZE_MAX:
            self._entries.clear()
        until = monotonic() + TTL_SECONDS
        self._entries.update({(merchant_id, kind): (until, path) for kind, path in found.items()})
        return found
