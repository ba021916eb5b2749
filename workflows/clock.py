"""BillingClock: how a workflow waits for an instant, in wall time or on a test clock; nothing else.

Unbound, it waits with Temporal's timers. Bound to a test clock it starts no timer at all: updates
`tick` bring the time, and a tick is answered when everything due by then has happened.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.test_clocks import Tick, TickAnswer

# A history beyond this is continued as a new run: replaying it after an eviction costs too much.
EVENTS_MAX = 800


def has_long_history() -> bool:
    """Whether it is time to continue as new."""
    return (
        workflow.info().is_continue_as_new_suggested()
        or workflow.info().get_current_history_length() > EVENTS_MAX
    )


def earliest(*instants: datetime | None) -> datetime | None:
    """The first of those that are one."""
    return min((instant for instant in instants if instant is not None), default=None)


class BillingClock:
    """The time of one workflow; `clock_now` is None where wall time counts."""

    def __init__(self, clock_now: datetime | None) -> None:
        self._now = clock_now
        self._due: datetime | None = None
        self._aside: datetime | None = None
        self._wake: Callable[[], bool] = _never
        self._parked = False
        self._finished = False

    def now(self) -> datetime:
        """The instant that this workflow lives in."""
        return workflow.now() if self._now is None else self._now

    @property
    def bound_now(self) -> datetime | None:
        """The test clock's time, to be handed to a child or to the next run; None in wall time."""
        return self._now

    def turn(self, due: datetime, seconds: float) -> datetime:
        """When the turn comes of what is due then; a test clock knows no turns."""
        return due if self._now is not None else due + timedelta(seconds=seconds)

    async def until(
        self,
        due: datetime | None,
        wake: Callable[[], bool] = lambda: False,
        *,
        aside: datetime | None = None,
    ) -> None:
        """Returns when `due` or `aside` has come or `wake` holds; None: only `wake` ends the wait.

        For what is due `aside` a test clock does not stop: it happens with the next tick after it,
        or else when the clock has come where it goes.
        """
        self._due, self._aside, self._wake, self._parked = due, aside, wake, True
        try:
            if self._now is not None:
                await workflow.wait_condition(lambda: wake() or self._is_due())
            elif (first := earliest(due, aside)) is None:
                await workflow.wait_condition(wake)
            else:
                await self._wait_timer(first, wake)
        finally:
            self._parked = False

    def finish(self) -> None:
        """The workflow's work is over: ticks under way are answered, later ones find it closed."""
        self._finished = True

    async def tick(self, tick: Tick) -> TickAnswer:
        """Brings the time and waits until everything due by then has happened.

        Wall time is not brought: an unbound workflow only answers when it has settled.
        """
        if self._now is not None and tick.now > self._now:
            self._now = tick.now
        await workflow.wait_condition(self._is_settled)
        return TickAnswer(next_due=self._due, finished=self._finished)

    async def _wait_timer(self, due: datetime, wake: Callable[[], bool]) -> None:
        remaining = due - workflow.now()
        if remaining.total_seconds() <= 0 or wake():
            return
        try:
            await workflow.wait_condition(
                wake, timeout=remaining, timeout_summary=f"until {due:%Y-%m-%d %H:%M:%S} UTC"
            )
        except TimeoutError:
            return

    def _is_due(self) -> bool:
        first = earliest(self._due, self._aside)
        return first is not None and self._now is not None and self._now >= first

    def _is_settled(self) -> bool:
        return self._finished or (self._parked and not self._wake() and not self._is_due())


def _never() -> bool:
    return False
