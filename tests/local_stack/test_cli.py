"""The command line: what scripts read from it, and one line instead of a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local.dev import program
from local.ports import free_port
from local.postgres import running_postgres


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of this module's own, without any table at first."""
    with running_postgres(tmp_path_factory.mktemp("cli")) as url:
        yield url


def durabill(*words: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(program()), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refusal(*words: str, environment: Mapping[str, str]) -> str:
    """The one line that a command ends with; no traceback, no output."""
    ended = durabill(*words, environment=environment)
    assert ended.returncode not in {0, None}
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def answer(*words: str, environment: Mapping[str, str]) -> str:
    ended = durabill(*words, environment=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_merchant_and_its_keys(database_url: str) -> None:
    environment = {"DURABILL_DATABASE_URL": database_url}
    create = ("merchant", "create", "--name", "Acme", "--json")
    assert "durabill migrate" in refusal(*create, environment=environment)
    answer("migrate", environment=environment)

    created = json.loads(answer(*create, environment=environment))
    assert set(created) == {"merchantId", "userId", "apiKey"}
    assert created["apiKey"].startswith("sk_test_")
    live = json.loads(answer(*create, "--live", environment=environment))
    assert live["apiKey"].startswith("sk_live_")

    of_merchant = ("--merchant", created["merchantId"], "--json")
    second = json.loads(answer("key", "create", *of_merchant, environment=environment))
    assert second["apiKey"] != created["apiKey"]
    listed = answer("key", "list", *of_merchant, environment=environment)
    assert second["apiKey"] not in listed
    assert created["apiKey"] not in listed
    keys = {key["keyId"]: key for key in json.loads(listed)}
    assert len(keys) == 2
    assert keys[second["keyId"]]["revokedAt"] is None

    answer("key", "revoke", second["keyId"], environment=environment)
    listed = answer("key", "list", *of_merchant, environment=environment)
    revoked = {key["keyId"]: key["revokedAt"] is not None for key in json.loads(listed)}
    assert revoked == {key_id: key_id == second["keyId"] for key_id in keys}


def test_a_key_of_nobody_is_refused(database_url: str) -> None:
    environment = {"DURABILL_DATABASE_URL": database_url}
    answer("migrate", environment=environment)
    refusal("key", "revoke", "key_none", environment=environment)
    refusal("key", "create", "--merchant", "org_none", environment=environment)


@pytest.mark.parametrize(
    ("words", "variable", "expected"),
    [
        (("gateway", "charges", "--json"), "DURABILL_GATEWAY_URL", "no gateway answers"),
        (("migrate",), "DURABILL_DATABASE_URL", "connection"),
        (("reconcile",), "DURABILL_GATEWAY_URL", "gateway gave no answer"),
        (("merchant", "create", "--name", "Acme"), "DURABILL_DATABASE_URL", "connection"),
    ],
)
def test_a_server_that_is_away_is_one_line(
    words: tuple[str, ...], variable: str, expected: str
) -> None:
    scheme = "http" if "GATEWAY" in variable else "postgresql"
    environment = {variable: f"{scheme}://someone:s3cret@127.0.0.1:{free_port()}/durabill"}
    said = refusal(*words, environment=environment)
    assert expected in said
    assert "s3cret" not in said or scheme == "http"


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    said = refusal("api", environment={"DURABILL_API_PORT": "many", "HOME": str(tmp_path)})
    assert said.startswith("durabill: DURABILL_API_PORT:")
