"""The supervisor under kill -9, under signals, and with children that do not behave."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.child import Command, LocalFault
from local.supervisor import StopRequested, Supervisor

PATIENCE_SECONDS = 20

STACK = """
import sys
from pathlib import Path
from local.child import Command
from local.ports import free_port
from local.postgres import EmbeddedPostgres
from local.supervisor import Supervisor

folder = Path(sys.argv[1])
server = EmbeddedPostgres(folder, fast=True)
server.prepare()
sleeper = Command(name="sleeper", argv=("sleep", "600"), log=folder / "sleeper.log")
with Supervisor.running() as supervisor:
    supervisor.start(sleeper)
    supervisor.start(server.command(free_port()))
    supervisor.wait_until(lambda: server.ready(supervisor.pid("postgres")), "postgres", 30)
    print(supervisor.pid("sleeper"), supervisor.pid("postgres"), flush=True)
    while True:
        supervisor.attend()
"""


def a_command(folder: Path, *argv: str) -> Command:
    return Command(name="child", argv=argv, log=folder / "child.log")


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def is_alive(pid: int) -> bool:
    """A zombie that nobody has collected yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_a_killed_child_is_started_again_with_the_same_command_line(tmp_path: Path) -> None:
    deaths: list[tuple[str, int]] = []
    with Supervisor.running(lambda name, status: deaths.append((name, status))) as supervisor:
        supervisor.start(a_command(tmp_path, "sleep", "600"))
        first = supervisor.pid("child")
        os.kill(first, signal.SIGKILL)
        supervisor.wait_until(lambda: supervisor.pid("child") != first, "again", PATIENCE_SECONDS)
        second = supervisor.pid("child")
        assert deaths == [("child", -signal.SIGKILL)]
        assert eventually(lambda: b"sleep\x00600" in Path(f"/proc/{second}/cmdline").read_bytes())
    assert not is_alive(second)


def test_a_child_that_cannot_live_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    with Supervisor.running() as supervisor:
        supervisor.start(a_command(tmp_path, *python("raise SystemExit('no such color')")))
        with pytest.raises(LocalFault, match="child died 5 times: no such color"):
            supervisor.wait_until(lambda: False, "child", PATIENCE_SECONDS)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Supervisor.running() as supervisor, pytest.raises(LocalFault, match="/no/such/program"):
        supervisor.start(a_command(tmp_path, "/no/such/program"))


def test_a_child_that_ignores_the_stop_signal_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"
    )
    with Supervisor.running() as supervisor:
        supervisor.start(a_command(tmp_path, *python(script)))
        supervisor.wait_until(ready.exists, "child", PATIENCE_SECONDS)
        pid = supervisor.pid("child")
        supervisor.stop((("child",), 0.2))
        assert not is_alive(pid)


def test_a_stop_signal_ends_a_start_that_is_under_way(tmp_path: Path) -> None:
    with Supervisor.running() as supervisor:
        supervisor.start(a_command(tmp_path, "sleep", "600"))
        pid = supervisor.pid("child")
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested):
            supervisor.wait_until(lambda: False, "never", PATIENCE_SECONDS)
    assert not is_alive(pid)


def test_a_one_shot_child_gives_its_output_or_its_failure(tmp_path: Path) -> None:
    with Supervisor.running() as supervisor:
        written = supervisor.run_once(a_command(tmp_path, *python("print('done')")), 30)
        assert written == "done\n"
        with pytest.raises(LocalFault, match="broken"):
            supervisor.run_once(a_command(tmp_path, *python("raise SystemExit('broken')")), 30)


def test_killing_the_supervisor_leaves_no_orphan_and_the_books_start_again(tmp_path: Path) -> None:
    pids: list[int] = []
    for round_number in (1, 2):
        stack = subprocess.Popen(
            [sys.executable, "-c", STACK, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert stack.stdout is not None
        pids += [int(pid) for pid in stack.stdout.readline().split()]
        stack.kill()
        stack.wait()
        stack.stdout.close()
        assert len(pids) == 2 * round_number
        # The second round starts while the first one's PostgreSQL may still be closing.
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))
