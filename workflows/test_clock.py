"""TestClock: the durable shell of an advance; the moving itself is an activity with a client.

`test-clock/{tc}`: its members stand in SQL, so that no parent has to report its children.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.test_clocks import FailedMember, RunSlice, SliceResult, TestClockActivities

from workflows import options
from workflows.clock import has_long_history


@dataclass
class TestClockState:
    """The clock and where it stands."""

    __test__ = False

    clock_id: str
    merchant_id: str
    now: datetime


@dataclass(frozen=True)
class Advance:
    """Where the clock is to go."""

    target: datetime


@dataclass(frozen=True)
class Advanced:
    """Where it has come, and who did not follow."""

    now: datetime
    failed: Sequence[FailedMember] = ()


@workflow.defn(name="TestClock")
class TestClockWorkflow:
    """Lives as long as the clock."""

    __test__ = False

    @workflow.init
    def __init__(self, state: TestClockState) -> None:
        self._state = state
        self._target: datetime | None = None
        self._failed: Sequence[FailedMember] = ()
        self._is_deleted = False

    @workflow.run
    async def run(self, _state: TestClockState) -> None:
        """Advances on request until the clock is deleted."""
        while not self._is_deleted:
            await workflow.wait_condition(
                lambda: self._target is not None or self._is_deleted or self._restarts()
            )
            if self._target is not None:
                await self._move(self._target)
            elif self._restarts():
                workflow.continue_as_new(self._state)
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    async def advance(self, request: Advance) -> Advanced:
        """Answers when the target is reached and everything due by then has happened.

        The same target again joins the advance under way, or finds it done.
        """
        if request.target > self._state.now:
            self._target = request.target
        await workflow.wait_condition(lambda: self._state.now >= request.target)
        return Advanced(self._state.now, self._failed)

    @advance.validator
    def _check_advance(self, request: Advance) -> None:
        if self._target is not None and self._target != request.target:
            raise ApplicationError(
                f"The clock is on its way to {self._target.isoformat()}", type="CLOCK_ADVANCING"
            )

    @workflow.signal
    def deleted(self) -> None:
        """The clock was deleted: nothing will move it again."""
        self._is_deleted = True

    @workflow.query
    def status(self) -> dict[str, str | None]:
        """Where it stands and goes."""
        return {
            "now": self._state.now.isoformat(),
            "target": None if self._target is None else self._target.isoformat(),
        }

    def _restarts(self) -> bool:
        return has_long_history() and workflow.all_handlers_finished()

    async def _move(self, target: datetime) -> None:
        result = SliceResult(now=self._state.now, done=False)
        while not result.done:
            result = await workflow.execute_activity_method(
                TestClockActivities.run_slice,
                RunSlice(
                    merchant_id=self._state.merchant_id,
                    clock_id=self._state.clock_id,
                    target=target,
                ),
                summary=f"advance to {target:%Y-%m-%d %H:%M:%S} UTC",
                **options.CLOCK_SLICE,
            )
        self._failed = result.failed
        self._state.now = result.now
        self._target = None
