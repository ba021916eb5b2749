"""Keeps children running and ends them in order; what the children are is not its concern.

One thread, woken by signals: the death signal of a child follows the thread that spawned it, and
nothing here polls while all is well.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Self

from local.child import Child, Command, LocalFault, last_words

_BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0)
_CALM_SECONDS = 10
_PROBE_SECONDS = 0.05
_DEATHS_BEFORE_READY_MAX = 5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequested(Exception):
    """Somebody asked the stack to end, by a signal."""


@dataclass
class _Kept:
    """A command and the process that runs it now; `due` is when a dead one starts again."""

    command: Command
    child: Child
    deaths: int = 0
    due: float | None = None


class Supervisor:
    """Starts children, starts them again with the same command line when they die, stops all."""

    def __init__(self, on_death: Callable[[str, int], None] | None = None) -> None:
        self._kept: dict[str, _Kept] = {}
        self._on_death = on_death or (lambda _name, _status: None)
        self._stop_requested = False
        self._wakeup, self._wakeup_in = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_in, False)

    @classmethod
    @contextmanager
    def running(cls, on_death: Callable[[str, int], None] | None = None) -> Iterator[Self]:
        """A supervisor that owns the signals of this process and leaves no child behind."""
        supervisor = cls(on_death)
        before = {
            number: signal.signal(number, supervisor._note_signal)
            for number in (*_STOP_SIGNALS, signal.SIGCHLD)
        }
        wakeup_before = signal.set_wakeup_fd(supervisor._wakeup_in, warn_on_full_buffer=False)
        try:
            yield supervisor
        finally:
            supervisor.kill_all()
            signal.set_wakeup_fd(wakeup_before)
            for number, action in before.items():
                signal.signal(number, action)
            os.close(supervisor._wakeup)
            os.close(supervisor._wakeup_in)

    def start(self, command: Command) -> None:
        """Starts a child and keeps it running from now on."""
        self._kept[command.name] = _Kept(command, Child(command))

    def pid(self, name: str) -> int:
        """The process that runs under that name now."""
        return self._kept[name].child.pid

    def run_once(self, command: Command, timeout_seconds: float) -> str:
        """Runs a command to its end while the others are kept; gives what it wrote."""
        child = Child(command, capture_output=True)
        deadline = time.monotonic() + timeout_seconds
        try:
            while child.exit_status() is None:
                if time.monotonic() > deadline:
                    raise LocalFault(f"{command.name} did not end in {timeout_seconds:g} s")
                self.attend(0.1)
        finally:
            child.kill()
        if child.exit_status() != 0:
            raise LocalFault(f"{command.name} failed: {last_words(command.log)}")
        return child.output()

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_seconds: float) -> None:
        """Returns when it is so; a child that keeps dying meanwhile, or the time, ends the wait."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            self._refuse_hopeless()
            if time.monotonic() > deadline:
                raise LocalFault(f"{what}: not ready in {timeout_seconds:g} s; see the logs")
            self.attend(_PROBE_SECONDS)
        for kept in self._kept.values():
            kept.deaths = 0

    def attend(self, timeout_seconds: float | None = None) -> None:
        """Sleeps until something happens or the time is up, and sees to it."""
        if self._stop_requested:
            raise StopRequested
        due = [kept.due for kept in self._kept.values() if kept.due is not None]
        waits = [max(0.0, instant - time.monotonic()) for instant in due]
        if timeout_seconds is not None:
            waits.append(timeout_seconds)
        select.select([self._wakeup], [], [], min(waits, default=None))
        with suppress(BlockingIOError):
            os.read(self._wakeup, 4096)
        for kept in self._kept.values():
            self._see_to(kept)

    def stop(self, *groups: tuple[tuple[str, ...], float]) -> None:
        """Ends the children group by group; one that outlives its group's limit is killed."""
        for names, limit_seconds in groups:
            running = [self._kept.pop(name).child for name in names if name in self._kept]
            for child in running:
                child.ask_to_stop()
            deadline = time.monotonic() + limit_seconds
            for child in running:
                if not child.wait(max(0.0, deadline - time.monotonic())):
                    child.kill()

    def kill_all(self) -> None:
        """Ends what still runs, last started first."""
        while self._kept:
            _, kept = self._kept.popitem()
            kept.child.kill()

    def _see_to(self, kept: _Kept) -> None:
        if kept.due is not None:
            if kept.due <= time.monotonic():
                kept.child, kept.due = Child(kept.command), None
            return
        status = kept.child.exit_status()
        if status is None:
            return
        if time.monotonic() - kept.child.started_at > _CALM_SECONDS:
            kept.deaths = 0
        pause = _BACKOFF_SECONDS[min(kept.deaths, len(_BACKOFF_SECONDS) - 1)]
        kept.deaths += 1
        kept.due = time.monotonic() + pause
        # What a killed child left in its session goes with it.
        kept.child.kill()
        self._on_death(kept.command.name, status)

    def _refuse_hopeless(self) -> None:
        for kept in self._kept.values():
            if kept.deaths >= _DEATHS_BEFORE_READY_MAX:
                words = last_words(kept.command.log)
                raise LocalFault(f"{kept.command.name} died {kept.deaths} times: {words}")

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOP_SIGNALS:
            self._stop_requested = True
