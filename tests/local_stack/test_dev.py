"""`durabill dev` as a person meets it: one stack is started, hurt, stopped, and started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from local.dev import program
from local.probe import answers, get_json

PATIENCE_SECONDS = 90
CHILD_NAMES = ("postgres", "temporal", "durabill worker", "durabill api", "durabill gateway")
KEYS = {
    *("apiUrl", "apiKey", "merchantId", "userId", "temporalAddress", "temporalUiUrl"),
    *("databaseUrl", "gatewayUrl", "adminKey"),
}


class Dev:
    """A running `durabill dev`."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        self.ready_file = data / "dev.json"
        argv = [sys.executable, str(program()), "dev", "--data", str(data), *flags]
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def addresses(self) -> dict[str, str]:
        def ready_or_ended() -> bool:
            return self.ready_file.exists() or self.process.poll() is not None

        assert eventually(ready_or_ended)
        if self.process.poll() is not None:
            pytest.fail(f"dev ended: {self.words()}")
        return self.read()

    def read(self) -> dict[str, str]:
        """The ready file as it is now; nothing when there is none."""
        try:
            found: dict[str, str] = json.loads(self.ready_file.read_text())
        except FileNotFoundError:
            return {}
        return found

    def children(self) -> dict[str, int]:
        """The process id of each child, by the name that its command line shows."""
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and parent_of(int(entry.name)) == self.process.pid:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found |= {name: int(entry.name) for name in CHILD_NAMES if f"/{name} " in words}
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def words(self) -> str:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            return output.read()


def parent_of(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[1])


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def all_gone(pids: list[int]) -> bool:
    return all(parent_of(pid) is None for pid in pids)


def database_answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def accepts(addresses: dict[str, str]) -> int:
    """What the API answers to the stack's own key."""
    headers = {"Authorization": f"Bearer {addresses['apiKey']}"}
    with httpx2.Client(trust_env=False, headers=headers) as client:
        return client.get(f"{addresses['apiUrl']}/v0/products").status_code


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="module")
def dev(data: Path) -> Iterator[Dev]:
    running = Dev(data)
    running.addresses()
    yield running
    if running.process.poll() is None:
        running.stop()
        running.words()


def test_the_ready_file_is_complete_private_and_true(dev: Dev) -> None:
    addresses = dev.addresses()
    assert set(addresses) == KEYS
    assert dev.ready_file.stat().st_mode & 0o777 == 0o600
    assert addresses["apiKey"].startswith("sk_test_")
    assert get_json(f"{addresses['apiUrl']}/readyz") is not None
    assert answers(addresses["temporalUiUrl"])
    assert get_json(f"{addresses['gatewayUrl']}/charges") == []
    assert database_answers(addresses["databaseUrl"])
    assert accepts(addresses) == 200
    assert list(dev.data.rglob("postmaster.pid"))


def test_children_are_told_apart_and_secrets_are_private(dev: Dev) -> None:
    assert set(dev.children()) == set(CHILD_NAMES)
    for name in ("credentials.json", "postgres-password"):
        assert (dev.data / name).stat().st_mode & 0o777 == 0o600


def test_a_second_stack_on_the_same_data_is_refused_and_harms_nothing(dev: Dev) -> None:
    second = Dev(dev.data)
    assert second.process.wait(PATIENCE_SECONDS) != 0
    assert f"process {dev.process.pid}" in second.words()
    assert accepts(dev.addresses()) == 200


@pytest.mark.parametrize("name", CHILD_NAMES)
def test_a_killed_child_comes_back_on_the_same_address(dev: Dev, name: str) -> None:
    addresses, killed = dev.addresses(), dev.children()[name]
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: dev.children().get(name, killed) != killed)
    assert eventually(lambda: answers(f"{addresses['apiUrl']}/readyz"))
    assert eventually(lambda: answers(f"{addresses['gatewayUrl']}/healthz"))
    assert eventually(lambda: database_answers(addresses["databaseUrl"]))
    assert eventually(lambda: answers(addresses["temporalUiUrl"]))
    assert eventually(lambda: accepts(addresses) == 200)
    assert dev.process.poll() is None


def test_an_interrupt_ends_all_with_status_zero(dev: Dev) -> None:
    children = list(dev.children().values())
    assert dev.stop(signal.SIGINT) == 0
    assert not dev.ready_file.exists()
    assert all_gone(children)
    assert "ready" in dev.words()


def test_killed_it_leaves_no_orphan_and_starts_again_with_the_same_key(data: Path) -> None:
    kept = json.loads((data / "credentials.json").read_text())
    running = Dev(data)
    first = running.addresses()
    assert kept.items() <= first.items()
    children = list(running.children().values())
    assert len(children) == len(CHILD_NAMES)
    running.process.kill()
    running.process.wait()
    running.words()
    again = Dev(data)
    assert eventually(lambda: all_gone(children))
    assert eventually(lambda: len(again.children()) == len(CHILD_NAMES))
    # The killed one left its file; the new one removes it at once and writes its own when ready.
    assert eventually(lambda: again.read() not in ({}, first))
    second = again.read()
    assert kept.items() <= second.items()
    assert accepts(second) == 200
    assert again.stop() == 0
    again.words()


def test_a_stop_during_the_start_is_clean(data: Path) -> None:
    running = Dev(data)
    assert eventually(lambda: "postgres" in running.children())
    children = list(running.children().values())
    assert running.stop() == 0
    assert all_gone(children)
    assert not running.ready_file.exists()
    running.words()


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        running = Dev(tmp_path, "--api-port", str(port))
        assert running.process.wait(PATIENCE_SECONDS) != 0
    words = running.words()
    assert f"port {port} (--api-port) is in use" in words
    assert "Traceback" not in words
