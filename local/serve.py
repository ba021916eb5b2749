"""Serving an application with uvicorn until a signal; which application is not its concern."""

import gc
from typing import Any

import uvicorn

from local.child import LocalFault

_GRACE_SECONDS = 8
_COLLECT_AT = (50_000, 20, 20)
"""So many new objects before the collector looks at them; Python's own are 700, 10 and 10."""


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
    # What has been loaded by now stays; the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    # Requests that wait look like garbage that piles up; hardly any of it ever is.
    gc.set_threshold(*_COLLECT_AT)
    try:
        server.run()
    except SystemExit:
        # uvicorn has said why; the port is what goes wrong here.
        raise LocalFault(f"cannot serve on {host}:{port}") from None
    if not server.started:
        raise LocalFault(f"cannot serve on {host}:{port}")
