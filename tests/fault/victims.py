"""Finding and killing one child of a `durabill dev`, as a crash would."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PAUSE_SECONDS = 0.1
TRIES = 100
# How each child shows in its command line.
MARKS = {
    "worker": ("durabill", "worker"),
    "api": ("durabill", "api"),
    "gateway": ("durabill", "gateway"),
    "postgres": ("postgres", "-D"),
    "temporal": ("temporal", "start-dev"),
}


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def dev_pid(directory: Path) -> int:
    """The `durabill dev` that holds this data folder."""
    return int((directory / "lock").read_text().split()[-1])


def child_pid(directory: Path, name: str) -> int | None:
    """The child of that name, if it runs now."""
    parent = dev_pid(directory)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or _parent(int(entry.name)) != parent:
            continue
        arguments = _arguments(int(entry.name))
        if all(any(mark in argument for argument in arguments) for mark in MARKS[name]):
            return int(entry.name)
    return None


def kill(directory: Path, name: str) -> bool:
    """kill -9; whether there was something to kill."""
    pid = child_pid(directory, name)
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


@dataclass
class Assassin:
    """Kills one child a few times, at given seconds after each `strike`."""

    directory: Path
    victim: str
    delays_seconds: Sequence[float]
    killed: int = 0
    _timers: list[threading.Timer] = field(default_factory=list)

    def strike(self) -> None:
        """The kills for what happens next."""
        for delay in self.delays_seconds:
            timer = threading.Timer(delay, self._kill)
            timer.start()
            self._timers.append(timer)

    def _kill(self) -> None:
        """One that is still coming back from the last time dies as soon as it is there."""
        for _ in range(TRIES):
            if kill(self.directory, self.victim):
                self.killed += 1
                return
            time.sleep(PAUSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for timer in self._timers:
            timer.join()
