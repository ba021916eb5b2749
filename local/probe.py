"""Questions to a server on this machine over HTTP; an absent server is an answer, not an error."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 5


def answers(url: str) -> bool:
    """Whether a GET comes back with 200."""
    return _ask("GET", url) is not None


def get_json(url: str) -> Any:
    """The body of a 200 answer; None for every other outcome."""
    return _parsed(_ask("GET", url))


def post_json(url: str, body: Mapping[str, Any]) -> Any:
    """The body of a 200 answer to a POST; None for every other outcome."""
    return _parsed(_ask("POST", url, json.dumps(body)))


def _ask(method: str, url: str, body: str | None = None) -> bytes | None:
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    # Straight to the address: a proxy from the environment has no business here.
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer if response.status == http.HTTPStatus.OK else None


def _parsed(answer: bytes | None) -> Any:
    if answer is None:
        return None
    try:
        return json.loads(answer)
    except ValueError:
        return None
