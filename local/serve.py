"""Serving an application with uvicorn until a signal; which application is not its concern."""

from typing import Any

import uvicorn

from local import collector
from local.child import LocalFault

_GRACE_SECONDS = 8


def serve(application: Any, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests under way get some seconds to finish."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
        server_header=False,
    )
    server = uvicorn.Server(config)
    collector.settle()
    try:
        server.run()
    except SystemExit:
        # uvicorn has said why; the port is what goes wrong here.
        raise LocalFault(f"cannot serve on {host}:{port}") from None
    if not server.started:
        raise LocalFault(f"cannot serve on {host}:{port}")
