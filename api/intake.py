"""The ASGI wrapper round the whole app: request id, body limit, storable text, the last resort.

It knows no route and no merchant. What it refuses here could not be refused later: a body that
is too large to be read, and text that PostgreSQL cannot hold, wherever in the request it stands.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
import uuid_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_body, internal_error_body
from models.database import tenant

log = structlog.get_logger("api.access")

BODY_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32
_SECRET_PATH = re.compile(r"^(/checkout/).+")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,128}$")
# Only such bytes can make text or numbers that PostgreSQL refuses; all other bodies skip the scan.
_SUSPICIOUS = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|NaN|Infinity|[0-9][eE]\+?[0-9]{3}|%00|\x00")
_NUMBER_BOUND = 1e300


class Refused(Exception):
    """Carries the answer to what does not reach the app: a status and words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def request_id_of(given: str) -> str:
    """The caller's X-Request-Id where it is sane, else a fresh one."""
    return given if _REQUEST_ID.match(given) else fresh_request_id()


def fresh_request_id() -> str:
    """For a request that brought none."""
    made: str = uuid_utils.uuid7().hex
    return made


def logged_path(path: str) -> str:
    """The path as the log may show it: a hosted page's token is what opens the page."""
    return _SECRET_PATH.sub(r"\1…", path)


class Intake:
    """Wraps the app; everything it does holds for every route.

    But for the bulky ones, by path: they have a limit of their own and check their bodies' parts.
    """

    def __init__(self, app: ASGIApp, bulky: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._bulky = bulky or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an HTTP request through, everything else unseen."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope).get("x-request-id", ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(requestId=request_id)
        scope.setdefault("state", {})["request_id"] = request_id
        # Nobody has proved anything yet; and whoever calls the app in a task of its own stays free.
        tenant.set(None)
        try:
            await self._answer(scope, receive, _Reply(send, request_id))
        finally:
            tenant.set(None)

    async def _answer(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        began = time.perf_counter()
        try:
            check_target(scope)
            bytes_max = self._bulky.get(scope["path"], BODY_BYTES_MAX)
            body = await _read_body(Headers(scope=scope), receive, bytes_max)
            if scope["path"] not in self._bulky:
                check_body(body)
            await self._app(scope, _Replay(body, receive), reply)
        except Refused as refused:
            answer = JSONResponse(
                error_body(refused.status, refused.message), status_code=refused.status
            )
            await answer(scope, receive, reply)
        except Exception:  # the outermost boundary: the trace goes to the log, never out
            log.exception(
                "unexpected_error", method=scope["method"], path=logged_path(scope["path"])
            )
            if reply.status is not None:
                raise
            answer = JSONResponse(internal_error_body(reply.request_id), status_code=500)
            await answer(scope, receive, reply)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=logged_path(scope["path"]),
                status=reply.status,
                durationMs=round((time.perf_counter() - began) * 1000, 1),
            )


class _Reply:
    """The server's `send`, adding the request id and remembering the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self.request_id
        await self._send(message)


class _Replay:
    """The server's `receive` for an app whose request body has been read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _read_body(headers: Headers, receive: Receive, bytes_max: int) -> bytes:
    """The whole body; reading stops at the limit, also when its length was not announced."""
    announced = headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > bytes_max:
        raise _too_large(bytes_max)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > bytes_max:
            raise _too_large(bytes_max)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(bytes_max: int) -> "Refused":
    return Refused(413, f"The body is larger than {bytes_max // 1024**2} MiB")


def check_target(scope: Scope) -> None:
    """Refuses a path or query whose text is not UTF-8 or holds a NUL."""
    target = scope.get("raw_path") or b""
    for part in (target, scope.get("query_string", b"")):
        decoded = unquote_to_bytes(part.replace(b"+", b" "))
        if b"\x00" in decoded or not _is_utf8(decoded):
            raise Refused(400, "The address holds characters that are not allowed")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_body(body: bytes) -> None:
    """Refuses a body with text or numbers that cannot be stored; other faults are left to the app.

    Most bodies hold none of the suspicious bytes and cost one search.
    """
    if not body.isascii() and not _is_utf8(body):
        raise Refused(400, "The body is not valid UTF-8")
    if not _SUSPICIOUS.search(body) and body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return
    try:
        content = json.loads(body, parse_float=_bounded, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # Not JSON: a form (where %00 is a NUL), or malformed, which the app answers itself.
        if b"%00" in body:
            raise Refused(400, "The body holds a NUL character") from None
        return
    _check_text(content)


def _bounded(text: str) -> float:
    number = float(text)
    if abs(number) > _NUMBER_BOUND:
        raise Refused(400, "The body holds a number that is out of range")
    return number


def _no_constant(name: str) -> None:
    raise Refused(400, f"The body holds {name}, which is not JSON")


def _check_text(content: Any) -> None:
    level, depth = [content], 0
    while level:
        if depth > DEPTH_MAX:
            raise Refused(400, f"The body is nested deeper than {DEPTH_MAX} levels")
        if any(isinstance(value, str) and not _storable(value) for value in level):
            raise Refused(400, "The body holds a NUL character or a lone surrogate")
        level = [member for value in level for member in _members(value)]
        depth += 1


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return value if isinstance(value, list) else ()


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
