"""Choosing ports: all different, fixed ones checked, busy ones named."""

import socket

import pytest

from local.child import LocalFault
from local.ports import HOST, choose, free_port


def test_free_ports_are_all_different() -> None:
    names = [f"n{number}" for number in range(40)]
    assert len(set(choose(dict.fromkeys(names)).values())) == len(names)


def test_a_fixed_port_is_kept_and_never_given_to_another_name() -> None:
    port = free_port()
    chosen = choose({"ui": None, "api": port})
    assert chosen["api"] == port
    assert chosen["ui"] != port


def test_a_busy_fixed_port_is_named() -> None:
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(LocalFault, match=rf"port {port} \(--api-port\)"):
            choose({"api": port}, patience_seconds=0)


def test_one_port_for_two_names_is_refused() -> None:
    port = free_port()
    with pytest.raises(LocalFault, match=f"port {port}"):
        choose({"api": port, "ui": port}, patience_seconds=0)
