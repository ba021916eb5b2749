"""The embedded PostgreSQL: durable, unprivileged, and startable after whatever happened to it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.child import Child, LocalFault, await_ready
from local.identity import unprivileged
from local.ports import free_port
from local.postgres import STOP_SECONDS, EmbeddedPostgres, binaries, running_postgres

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="durabill-postgres-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_rows_survive_a_clean_restart_and_the_password_stays(folder: Path) -> None:
    with running_postgres(folder) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    password = (folder / "postgres-password").read_text()
    with running_postgres(folder) as url:
        assert ask(url, "SELECT number FROM kept") == 7
    assert (folder / "postgres-password").read_text() == password
    assert (folder / "postgres-password").stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob("*.new"))


def test_durability_is_on_unless_given_up(folder: Path) -> None:
    with running_postgres(folder, fast=False) as url:
        durable = [ask(url, f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    with running_postgres(folder, fast=True) as url:
        fast = [ask(url, f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    assert durable == ["on", "on"]
    assert fast == ["off", "off"]


def test_texts_are_compared_byte_by_byte_and_know_their_letters(folder: Path) -> None:
    """The order in which Python sorts them too: rows are locked in it."""
    words = ["a_b", "aB", "a-b", "ab", "Ä", "z", "é"]
    with running_postgres(folder) as url:
        collation = "SELECT datcollate FROM pg_database WHERE datname = current_database()"
        assert ask(url, collation) == "C"
        ordered = f"SELECT array_agg(word ORDER BY word) FROM unnest(ARRAY{words}::text[]) AS word"
        assert ask(url, ordered) == sorted(words)
        assert ask(url, "SELECT lower('ÄÉ')") == "äé"


def test_the_application_is_no_superuser_and_needs_its_password(folder: Path) -> None:
    with running_postgres(folder) as url:
        assert ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, "SELECT pg_read_file('/etc/passwd')")
        password = (folder / "postgres-password").read_text()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(password, "wrong"))


def test_a_killed_server_starts_again_with_what_was_committed(folder: Path) -> None:
    server, port = EmbeddedPostgres(folder), free_port()
    assert server.prepare() is True
    child = Child(server.command(port))
    await_ready(child, lambda: server.ready(child.pid), 30)
    with psycopg.connect(server.url(port)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    child.kill()
    assert (server.cluster / "postmaster.pid").exists()
    with running_postgres(folder, fast=False) as url:
        assert ask(url, "SELECT number FROM kept") == 7


def test_a_pid_file_that_names_a_stranger_does_not_hinder_the_start(folder: Path) -> None:
    with running_postgres(folder):
        lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    stale = folder / "postgres" / "postmaster.pid"
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with running_postgres(folder) as url:
        assert ask(url, "SELECT 1") == 1


def test_an_orphaned_server_is_ended_before_the_next_one_starts(folder: Path) -> None:
    server, port = EmbeddedPostgres(folder, fast=True), free_port()
    server.prepare()
    orphan = Child(server.command(port))
    await_ready(orphan, lambda: server.ready(orphan.pid), 30)
    assert server.prepare() is False
    assert orphan.wait(STOP_SECONDS)
    assert orphan.exit_status() == 0


def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18")
    with running_postgres(folder) as url:
        assert ask(url, "SELECT current_database()") == "durabill"


def test_binaries_come_from_the_named_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = binaries()
    monkeypatch.setenv("DURABILL_PG_BIN", str(wheel))
    assert binaries() == wheel
    monkeypatch.setenv("DURABILL_PG_BIN", "/no/such/folder")
    with pytest.raises(LocalFault, match="/no/such/folder"):
        binaries()


@pytest.mark.skipif(not AS_ROOT, reason="only root changes the user")
def test_root_drops_its_user_and_keeps_no_capability_where_the_way_is_open(folder: Path) -> None:
    identity = unprivileged(folder / "postgres", Path("/usr"))
    assert identity is not None
    assert identity.uid != 0
    assert identity.passes_closed_folders is False


@pytest.mark.skipif(not AS_ROOT, reason="only root changes the user")
def test_a_closed_folder_is_passed_and_stays_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with running_postgres(closed / "books") as url:
        assert ask(url, "SELECT 1") == 1
        pid = int((closed / "books" / "postgres" / "postmaster.pid").read_text().split()[0])
        status = Path(f"/proc/{pid}/status").read_text()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [fields["Uid"].split()[0]] * 4
    assert fields["Uid"].split()[0] != "0"
    assert int(fields["CapEff"], 16) == 1 << 1
    assert int(fields["CapPrm"], 16) == 1 << 1


def test_stopping_asks_for_a_clean_end(folder: Path) -> None:
    server, port = EmbeddedPostgres(folder, fast=True), free_port()
    server.prepare()
    child = Child(server.command(port))
    await_ready(child, lambda: server.ready(child.pid), 30)
    assert child.command.stop_signal is signal.SIGINT
    with psycopg.connect(server.url(port)):
        # An open connection does not hold a fast shutdown up.
        child.stop(STOP_SECONDS)
    assert child.exit_status() == 0
    assert "database system is shut down" in (folder / "logs" / "postgres.log").read_text()
