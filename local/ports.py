"""Choosing the ports of the embedded stack: fixed ones are checked, the others are free ones."""

import contextlib
import socket
import time
from collections.abc import Mapping

from local.child import LocalFault

HOST = "127.0.0.1"


def choose(wanted: Mapping[str, int | None], *, patience_seconds: float = 3) -> dict[str, int]:
    """A port for every name; None takes a free one, a busy fixed one is refused by its name.

    Patience is for the servers of a stack that was killed a moment ago and is still going down.
    """
    with contextlib.ExitStack() as held:
        # Fixed ones first, and all held until all are chosen: no two names get the same port.
        sockets = {
            name: held.enter_context(_bound(name, wanted[name] or 0, patience_seconds))
            for name in sorted(wanted, key=lambda name: wanted[name] is None)
        }
        return {name: bound.getsockname()[1] for name, bound in sockets.items()}


def free_port() -> int:
    """One free port."""
    return choose({"": None})[""]


def _bound(name: str, port: int, patience_seconds: float) -> socket.socket:
    deadline = time.monotonic() + patience_seconds
    while True:
        candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if port:
            # A connection that lingers in TIME_WAIT does not make a port busy.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
            candidate.listen(1)
        except OSError as error:
            candidate.close()
            if time.monotonic() > deadline:
                raise LocalFault(f"port {port} (--{name}-port) is in use: {error}") from error
            time.sleep(0.1)
        else:
            return candidate
