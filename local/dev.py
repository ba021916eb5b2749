"""The embedded stack in the foreground: five children, one data folder; it bills nothing itself."""

import fcntl
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table

from local import postgres, temporal
from local.child import Command, LocalFault
from local.ports import HOST, choose
from local.postgres import EmbeddedPostgres
from local.probe import answers
from local.revisions import is_current
from local.supervisor import StopRequested, Supervisor
from local.temporal import EmbeddedTemporal, TemporalPorts

_READY_SECONDS = 60
_ONE_SHOT_SECONDS = 120
_WORKER_QUEUE = "billing"
# Requests and activities end before what they stand on; all limits together stay below 30 s.
_STOP_ORDER = (
    (("api", "worker"), 12.0),
    (("gateway", "temporal"), 5.0),
    (("postgres",), 8.0),
)


@dataclass(frozen=True, kw_only=True)
class DevOptions:
    """Where the stack keeps its things; a port of None is any free one."""

    directory: Path
    ready_file: Path | None = None
    ports: Mapping[str, int | None]


def run(options: DevOptions, console: Console) -> None:
    """Runs the stack until SIGINT or SIGTERM; returns when all of it has stopped."""
    directory = options.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    ready_file = (options.ready_file or directory / "dev.json").resolve()
    with _sole_use(directory):
        ready_file.unlink(missing_ok=True)
        with Supervisor.running(_announcer(console)) as supervisor:
            try:
                stack = _Stack(directory, options.ports, supervisor)
                stack.start()
                _write_secret_json(ready_file, stack.addresses())
                _print_ready(console, stack.addresses(), ready_file)
                while True:
                    supervisor.attend()
            except StopRequested:
                console.print("Stopping …")
            finally:
                ready_file.unlink(missing_ok=True)
                supervisor.stop(*_STOP_ORDER)
    console.print("Stopped.")


class _Stack:
    """The children, in the order in which they need each other."""

    def __init__(
        self, directory: Path, wanted: Mapping[str, int | None], supervisor: Supervisor
    ) -> None:
        self._directory = directory
        self._supervisor = supervisor
        self._postgres = EmbeddedPostgres(directory)
        self._new_cluster = self._postgres.prepare()
        self._ports = choose({**wanted, "temporal-http": None})
        self._temporal = EmbeddedTemporal(
            directory,
            TemporalPorts(
                grpc=self._ports["temporal"],
                http=self._ports["temporal-http"],
                ui=self._ports["ui"],
            ),
        )
        self._credentials: dict[str, str] = {}
        self._admin_key = _admin_key(directory / "admin-key")

    def start(self) -> None:
        """Returns when the API is ready and the worker polls."""
        self._supervisor.start(self._temporal.command())
        self._supervisor.start(self._postgres.command(self._ports["database"]))
        self._supervisor.start(self._gateway())
        self._wait(self._postgres_ready, "PostgreSQL", postgres.READY_SECONDS)
        if not is_current(self._postgres.url(self._ports["database"])):
            self._once("migrate")
        self._wait(self._temporal.ready, "Temporal", temporal.READY_SECONDS)
        self._temporal.keep_histories()
        self._supervisor.start(self._durabill("worker"))
        self._supervisor.start(self._durabill("api"))
        self._credentials = self._sandbox_credentials()
        self._wait(self._processes_ready, "API and worker", _READY_SECONDS)

    def addresses(self) -> dict[str, str]:
        """What a script needs in order to use the stack."""
        return {
            "apiUrl": self._url("api"),
            **self._credentials,
            "adminKey": self._admin_key,
            "temporalAddress": self._temporal.address,
            "temporalUiUrl": self._temporal.ui_url,
            "databaseUrl": self._postgres.url(self._ports["database"]),
            "gatewayUrl": self._url("gateway"),
        }

    def _url(self, name: str) -> str:
        return f"http://{HOST}:{self._ports[name]}"

    def _wait(self, ready: Callable[[], bool], what: str, timeout_seconds: float) -> None:
        self._supervisor.wait_until(ready, what, timeout_seconds)

    def _postgres_ready(self) -> bool:
        return self._postgres.ready(self._supervisor.pid("postgres"))

    def _processes_ready(self) -> bool:
        # The API first: while it starts, its port refuses, which costs the least to ask.
        return (
            answers(f"{self._url('api')}/readyz")
            and self._temporal.has_worker(_WORKER_QUEUE)
            and answers(f"{self._url('gateway')}/healthz")
        )

    def _gateway(self) -> Command:
        port, book = str(self._ports["gateway"]), str(self._directory / "gateway.db")
        return self._durabill("gateway", "--port", port, "--book", book)

    def _durabill(self, name: str, *flags: str) -> Command:
        return Command(
            name=name,
            argv=(sys.executable, str(program()), name, *flags),
            log=self._directory / "logs" / f"{name}.log",
            environment=self._environment(),
        )

    def _environment(self) -> dict[str, str | None]:
        """The addresses, and nothing of a cluster that the person's own profile may name."""
        foreign = [key for key in os.environ if key.startswith("TEMPORAL_")]
        return {
            **dict.fromkeys(foreign),
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "DURABILL_TEMPORAL_ADDRESS": self._temporal.address,
            "DURABILL_TEMPORAL_NAMESPACE": temporal.NAMESPACE,
            "DURABILL_TEMPORAL_UI_URL": self._temporal.ui_url,
            "DURABILL_DATABASE_URL": self._postgres.url(self._ports["database"]),
            "DURABILL_GATEWAY_URL": self._url("gateway"),
            "DURABILL_ADMIN_KEY": self._admin_key,
            "DURABILL_API_HOST": HOST,
            "DURABILL_API_PORT": str(self._ports["api"]),
        }

    def _once(self, name: str, *flags: str) -> str:
        return self._supervisor.run_once(self._durabill(name, *flags), _ONE_SHOT_SECONDS)

    def _sandbox_credentials(self) -> dict[str, str]:
        """The key of the first start; the database has only its hash, so it is kept here."""
        kept = self._directory / "credentials.json"
        if self._new_cluster or not kept.exists():
            created = self._once("merchant", "create", "--name", "Sandbox", "--json")
            _write_secret_json(kept, json.loads(created))
        credentials: dict[str, str] = json.loads(kept.read_text())
        return credentials


@contextmanager
def _sole_use(directory: Path) -> Iterator[None]:
    """Holds the data folder; the kernel lets go of it even when this process is killed."""
    with (directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalFault(f"{directory} is in use by `durabill dev`, {_holder(lock)}") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield
        lock.truncate(0)


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read().strip() or "a process that is starting or ending"


def program() -> Path:
    """The `durabill` command of this installation."""
    beside_python = Path(sys.executable).parent / "durabill"
    return beside_python if beside_python.exists() else Path(sys.argv[0]).resolve()


def _admin_key(kept: Path) -> str:
    """The key of the internal operations, drawn once for this data folder."""
    if not kept.exists():
        _write_secret(kept, f"adm_{secrets.token_hex(32)}\n")
    return kept.read_text().strip()


def _write_secret_json(path: Path, content: Mapping[str, str]) -> None:
    _write_secret(path, json.dumps(content, indent=2) + "\n")


def _write_secret(path: Path, content: str) -> None:
    """Complete when it appears, and for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    staging.replace(path)


def _announcer(console: Console) -> Callable[[str, int], None]:
    def announce(name: str, status: int) -> None:
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        console.print(f"[yellow]{name} ended ({how}); starting it again[/]")

    return announce


def _print_ready(console: Console, addresses: Mapping[str, str], ready_file: Path) -> None:
    table = Table.grid(padding=(0, 2))
    rows = {
        "API": addresses["apiUrl"],
        "API docs": f"{addresses['apiUrl']}/docs",
        "Temporal UI": addresses["temporalUiUrl"],
        "API key": addresses["apiKey"],
        "Addresses": str(ready_file),
    }
    for name, value in rows.items():
        table.add_row(f"[bold]{name}[/]", value)
    console.print("[bold green]Durabill is ready.[/] Ctrl-C stops it; the books stay.")
    console.print(table, soft_wrap=True)
