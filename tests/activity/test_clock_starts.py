"""How a clock starts its members: at once as far as the worker has room, the others in a queue."""

import asyncio
from collections import Counter

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.test_clocks import STARTS_AT_ONCE_MAX, TestClockActivities, _Question
from models.base import wall_now
from models.database import Database
from models.queries.outbox import WorkflowStart
from worker import WORKFLOW_TASKS_MAX

MEMBERS = STARTS_AT_ONCE_MAX + 50


class _Doorkeeper:
    """Notes how each is started, and holds them all until it is opened; all of them ran before."""

    def __init__(self) -> None:
        self.started = Counter[bool]()
        self.all_wait = asyncio.Event()
        self.opened = asyncio.Event()

    async def start_owed(self, merchant_id: str, workflow_id: str) -> bool:
        """Nothing is owed."""
        raise AssertionError(merchant_id, workflow_id)

    async def start(self, start: WorkflowStart, *, at_once: bool = False) -> None:
        """Waits at the door."""
        self.started[at_once] += 1
        if self.started.total() == MEMBERS:
            self.all_wait.set()
        await self.opened.wait()
        raise WorkflowAlreadyStartedError(start.workflow_id, start.workflow_type)


def _question(number: int) -> _Question:
    workflow_id = f"invoice-close/sub_{number}/0"
    start = WorkflowStart(
        merchant_id="org_1", workflow_id=workflow_id, workflow_type="InvoiceClose", argument={}
    )
    return _Question(workflow_id, wall_now(), start)


async def test_places_are_left_for_what_waits_in_the_queue(database: Database) -> None:
    """With every place taken at once, three thousand closes kept others waiting for a minute."""
    assert WORKFLOW_TASKS_MAX >= 2 * STARTS_AT_ONCE_MAX
    client = await Client.connect("127.0.0.1:1", lazy=True)
    door = _Doorkeeper()
    clocks = TestClockActivities(database, client, door)
    asking = [asyncio.create_task(clocks._put(_question(number))) for number in range(MEMBERS)]
    await door.all_wait.wait()
    assert door.started == {True: STARTS_AT_ONCE_MAX, False: MEMBERS - STARTS_AT_ONCE_MAX}
    door.opened.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(each) for each in answers} == {WorkflowAlreadyStartedError}
    # A place that is free again is taken again.
    again = await asyncio.gather(clocks._put(_question(MEMBERS)), return_exceptions=True)
    assert isinstance(again[0], WorkflowAlreadyStartedError)
    assert door.started[True] == STARTS_AT_ONCE_MAX + 1
