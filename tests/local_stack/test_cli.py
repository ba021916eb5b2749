"""The command line: what scripts read from it, and one line instead of a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.cli import main
from local.dev import program
from local.ports import free_port
from local.postgres import running_postgres


@dataclass
class Console:
    """Runs the command line in this process, as its entry point does."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["durabill", *words])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output = self.capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    def answer(self, *words: str) -> str:
        status, output, errors = self.run(*words)
        assert status == 0, errors
        return output

    def refusal(self, *words: str) -> str:
        """The one line that a command ends with; nothing else is written."""
        status, output, errors = self.run(*words)
        assert status != 0
        assert output == ""
        return one_line(errors)


def one_line(errors: str) -> str:
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("durabill: ")
    return errors


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Console:
    return Console(monkeypatch, capsys)


@pytest.fixture(scope="module")
def empty_database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of this module's own, without any table at first."""
    with running_postgres(tmp_path_factory.mktemp("cli")) as url:
        yield url


def test_a_merchant_and_its_keys(console: Console, empty_database_url: str) -> None:
    console.monkeypatch.setenv("DURABILL_DATABASE_URL", empty_database_url)
    create = ("merchant", "create", "--name", "Acme", "--json")
    assert "durabill migrate" in console.refusal(*create)
    console.answer("migrate")
    console.answer("migrate")

    created = json.loads(console.answer(*create))
    assert set(created) == {"merchantId", "userId", "apiKey"}
    assert created["apiKey"].startswith("sk_test_")
    assert json.loads(console.answer(*create, "--live"))["apiKey"].startswith("sk_live_")

    of_merchant = ("--merchant", created["merchantId"], "--json")
    second = json.loads(console.answer("key", "create", *of_merchant))
    assert second["apiKey"] != created["apiKey"]
    listed = console.answer("key", "list", *of_merchant)
    assert second["apiKey"] not in listed
    assert created["apiKey"] not in listed
    keys = {key["keyId"]: key for key in json.loads(listed)}
    assert len(keys) == 2
    assert keys[second["keyId"]]["revokedAt"] is None

    console.answer("key", "revoke", second["keyId"])
    listed = console.answer("key", "list", *of_merchant)
    revoked = {key["keyId"]: key["revokedAt"] is not None for key in json.loads(listed)}
    assert revoked == {key_id: key_id == second["keyId"] for key_id in keys}

    console.refusal("key", "revoke", "key_none")
    console.refusal("key", "create", "--merchant", "org_none")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("gateway", "charges", "--json"), "no gateway answers"),
        (("reconcile",), "gateway gave no answer"),
        (("migrate",), "connection"),
        (("merchant", "create", "--name", "Acme"), "connection"),
    ],
)
def test_a_server_that_is_away_is_one_line(
    console: Console, words: tuple[str, ...], expected: str
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    console.monkeypatch.setenv("DURABILL_GATEWAY_URL", f"http://{nowhere}")
    console.monkeypatch.setenv("DURABILL_DATABASE_URL", f"postgresql://me:s3cret@{nowhere}/books")
    said = console.refusal(*words)
    assert expected in said
    assert "s3cret" not in said


def test_a_bad_setting_is_named_by_the_installed_program(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(program()), "api"],
        env={**os.environ, "DURABILL_API_PORT": "many"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode != 0
    assert one_line(ended.stderr).startswith("durabill: DURABILL_API_PORT:")
