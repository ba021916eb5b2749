"""The sweep: owes again what is overdue without progress, so that a lost workflow comes back.

A workflow that runs is left alone (its start finds it running); one that Temporal has lost, or that
failed, is started again from the rows. Whoever is started twice finds its work done: the rows and
their unique keys decide, not the workflow.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from temporalio import activity

from models.base import wall_now
from models.database import Database
from models.queries import outbox, overdue

log = structlog.get_logger(__name__)

OVERDUE_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many starts are owed again."""

    owed: int


class OverdueActivities:
    """Writes to the outbox only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def sweep_overdue(self) -> Swept:
        """Owes the start of every workflow whose row is overdue."""
        async with self._database.transaction() as session:
            found = await overdue.workflows(session, wall_now() - OVERDUE_AFTER)
            for merchant_id, workflow_id in found:
                start = await overdue.start_of(session, merchant_id, workflow_id)
                if start is not None:
                    await outbox.owe_again(session, start)
        if found:
            log.warning("overdue_started_again", workflows=[each[1] for each in found[:20]])
        return Swept(owed=len(found))
