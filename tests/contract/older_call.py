"""Runs inside the older client's environment: one call from stdin, its exchange to stdout."""

import json
import os
import sys
from datetime import datetime
from functools import reduce
from typing import Any

# The client itself depends on httpx; the house uses another package.
import httpx
from paygentic_sdk import Paygentic


def main() -> None:
    """Calls, and tells what went over the wire; a failed parse ends with its traceback."""
    request = json.load(sys.stdin)
    exchanges: list[dict[str, Any]] = []

    def note(response: httpx.Response) -> None:
        response.read()
        exchanges.append(
            {
                "method": response.request.method,
                "path": response.request.url.path,
                "status": response.status_code,
                "body": response.json() if response.content else None,
            }
        )

    client: Any = Paygentic(
        server_url=request["apiUrl"],
        bearer_auth=os.environ["DURABILL_CONTRACT_KEY"],
        client=httpx.Client(event_hooks={"response": [note]}, timeout=30),
    )
    method = reduce(getattr, request["client"].split("."), client)
    method(**{name: _typed(value) for name, value in request["arguments"].items()})
    sys.stdout.write(json.dumps(exchanges[-1]))


def _typed(value: Any) -> Any:
    """An instant of a date-time argument, which JSON cannot hold."""
    if isinstance(value, dict) and set(value) == {"instant"}:
        return datetime.fromisoformat(value["instant"])
    return value


if __name__ == "__main__":
    main()
