"""Rollups: sums of days are made and proved every night; they bill nothing."""

from dataclasses import dataclass

import structlog
from temporalio import activity

from models.database import Database
from models.queries import usage_rollups

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledUp:
    """How many metrics' days were summed, and how many sums the raw events did not confirm."""

    metrics: int
    differing: int


class UsageRollupActivities:
    """The only writer of the sums of days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def roll_up_usage(self) -> RolledUp:
        """Sums what is new, and compares every sum with the raw events; run twice, it equals once.

        A metric is one transaction: its sums and the snapshot that they belong to change at once.
        """
        async with self._database.transaction() as session:
            metrics = await usage_rollups.switched_on(session)
        differing = 0
        for metric in metrics:
            async with self._database.transaction() as session:
                await usage_rollups.repeatable(session)
                built = await usage_rollups.build(session, metric)
            if built.differing:
                differing += built.differing
                log.error("usage_rollup_differs", metric_id=metric.id, days=built.differing)
            if activity.in_activity():
                activity.heartbeat(metric.id)
        return RolledUp(metrics=len(metrics), differing=differing)
