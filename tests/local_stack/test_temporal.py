"""The embedded Temporal server: its namespace, its file, and the questions asked of it."""

import os
from pathlib import Path

import pytest

from local.child import LocalFault
from local.probe import get_json
from local.temporal import NAMESPACE, program, running_temporal


def test_it_answers_keeps_histories_and_remembers_both(tmp_path: Path) -> None:
    with running_temporal(tmp_path) as server:
        assert server.address.startswith("127.0.0.1:")
        assert server.has_worker("billing") is False
        server.keep_histories()
    with running_temporal(tmp_path) as server:
        url = f"http://127.0.0.1:{server.ports.http}/api/v1/namespaces/{NAMESPACE}"
        assert get_json(url)["config"]["workflowExecutionRetentionTtl"] == f"{100 * 86400}s"
    assert (tmp_path / "temporal.db").stat().st_mode & 0o777 == 0o600


def test_nobody_listens_on_another_address_than_loopback(tmp_path: Path) -> None:
    with running_temporal(tmp_path) as server:
        listening = {
            line.split()[1]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[3] == "0A"
        }
        for port in (server.ports.grpc, server.ports.ui, server.ports.http):
            assert f"0100007F:{port:04X}" in listening
            assert f"00000000:{port:04X}" not in listening


def test_a_named_program_wins_and_a_missing_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "temporal"
    own.touch()
    monkeypatch.setenv("TEMPORAL_CLI_PATH", os.fspath(own))
    assert program() == own
    own.unlink()
    with pytest.raises(LocalFault, match="TEMPORAL_CLI_PATH"):
        program()
