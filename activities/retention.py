"""Retention: usage events go when their merchant no longer keeps them; nothing else is deleted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from temporalio import activity

from models.base import wall_now
from models.database import Database
from models.queries import retention

log = structlog.get_logger(__name__)

# 8 MB of the table: a transaction of a fraction of a second.
BLOCKS_PER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class Retained:
    """How many events were deleted, by merchant."""

    deleted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk has come, for the attempt that goes on with it."""

    next_block: int = 0
    deleted: dict[str, int] = field(default_factory=dict)


class RetentionActivities:
    """The only one that deletes usage events, but for a reset."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def delete_old_usage(self) -> Retained:
        """Walks the events once, in short transactions; a retry goes on where it stopped.

        Run twice, it finds nothing more to delete.
        """
        async with self._database.transaction() as session:
            cutoffs = await retention.advance(session, wall_now())
            blocks = await retention.block_count(session)
        progress = _progress()
        deleted = Counter(progress.deleted)
        for start in range(progress.next_block, blocks if cutoffs else 0, BLOCKS_PER_STEP):
            step = range(start, start + BLOCKS_PER_STEP)
            async with self._database.transaction() as session:
                deleted.update(await retention.delete_in(session, cutoffs, step))
            if activity.in_activity():
                activity.heartbeat(Progress(step.stop, dict(deleted)))
        for merchant_id, count in sorted(deleted.items()):
            log.info("usage_deleted", merchant_id=merchant_id, events=count)
        return Retained(dict(deleted))


def _progress() -> Progress:
    if not activity.in_activity():
        return Progress()
    details = activity.info().heartbeat_details
    if not details:
        return Progress()
    kept = details[0]
    return Progress(next_block=kept["next_block"], deleted=kept["deleted"])
