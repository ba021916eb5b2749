"""One child process that ends when its parent ends; when to start it again is not decided here."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.identity import Identity, become

_PR_SET_PDEATHSIG = 1
_LOG_BYTES_MAX = 16 * 1024 * 1024


class LocalFault(Exception):
    """The embedded stack cannot go on, for a reason that one line tells a person."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run, and how it is told to stop; `environment` adds, or removes with None.

    `death_signal` is what the kernel sends the child when the thread that spawned it dies: a
    killed parent leaves nothing behind. All but PostgreSQL are simply killed, as a crash would.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str | None] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    identity: Identity | None = None
    workdir: Path | None = None


class Child:
    """A running process in a session of its own, writing to its log.

    Spawn it from the thread that lives as long as the stack: the death signal follows that thread.
    """

    def __init__(
        self, command: Command, *, stdin: bytes = b"", capture_output: bool = False
    ) -> None:
        self.command = command
        self.started_at = time.monotonic()
        command.log.parent.mkdir(parents=True, exist_ok=True)
        _rotate(command.log)
        with command.log.open("ab") as log, tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            try:
                self._process = subprocess.Popen(
                    command.argv,
                    stdin=given,
                    stdout=subprocess.PIPE if capture_output else log,
                    stderr=log,
                    cwd=command.workdir,
                    env=_environment(command),
                    start_new_session=True,
                    preexec_fn=_before_exec(command),  # noqa: PLW1509 - one thread here
                )
            except (OSError, subprocess.SubprocessError) as error:
                message = f"{command.name} cannot be started ({command.argv[0]}): {error}"
                if command.identity is not None:
                    message += (
                        f"; as root it runs as user id {command.identity.uid}, which needs the"
                        " rights to change the user and to reach the data folder"
                    )
                raise LocalFault(message) from error

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def output(self) -> str:
        """What a finished child wrote to its captured standard output (a few kilobytes)."""
        return "" if self._process.stdout is None else self._process.stdout.read().decode()

    def ask_to_stop(self) -> None:
        """Sends the stop signal to the process itself, which ends its own children."""
        self._process.send_signal(self.command.stop_signal)

    def wait(self, timeout_seconds: float) -> bool:
        """Whether it ended within that time."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Ends it and whatever is left in its session, without asking."""
        if self._process.poll() is None:
            self._process.kill()
        # The group may be gone, or its number may belong to somebody else by now.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, timeout_seconds: float) -> None:
        """Asks, waits, and kills what does not listen."""
        self.ask_to_stop()
        if not self.wait(timeout_seconds):
            self.kill()


def last_words(log: Path) -> str:
    """The end of a log in one line, and where the rest is."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"{said[-1]} ({log})" if said else f"without a word ({log})"


def await_ready(child: Child, probe: Callable[[], bool], timeout_seconds: float) -> None:
    """Waits for a single child outside a supervised stack; a child that dies fails at once."""
    deadline = time.monotonic() + timeout_seconds
    while not probe():
        name, log = child.command.name, child.command.log
        if child.exit_status() is not None:
            raise LocalFault(f"{name} ended with status {child.exit_status()}: {last_words(log)}")
        if time.monotonic() > deadline:
            child.kill()
            raise LocalFault(f"{name} was not ready in {timeout_seconds:g} s: {last_words(log)}")
        time.sleep(0.02)


def _environment(command: Command) -> dict[str, str]:
    merged = {**os.environ, **command.environment}
    return {key: value for key, value in merged.items() if value is not None}


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_name(f"{log.name}.1"))


def _before_exec(command: Command) -> Callable[[], None]:
    """What runs between fork and exec; it must not import or lock anything."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        os.umask(0o077)
        if command.identity is not None:
            become(command.identity)
        # After the change of user, which clears the death signal.
        if prctl is not None and prctl(_PR_SET_PDEATHSIG, int(command.death_signal), 0, 0, 0):
            os._exit(127)
        # The parent may have died before the kernel was told.
        if os.getppid() != parent:
            os._exit(127)

    return prepare
