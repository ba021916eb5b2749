"""An ASGI dispatcher in front of the app for the few paths that are called all the time.

It knows no path itself. A lane answers what is usual and hands everything else to the app behind
it, which has the same route in its documented form: what is refused is refused there. A request
that a lane has answered is not in the access log: the row that it stored is its record.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api import intake


# Structs, not dataclasses: a frozen dataclass costs a microsecond to make.
class Arrived(msgspec.Struct, gc=False):
    """A request whose body has been read."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    body: bytes

    def with_json(self, body: bytes) -> "Arrived":
        """The same request with another body."""
        told = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
        headers = {**self.headers, **told}
        return Arrived({**self.scope, "headers": list(headers.items())}, headers, body)


class Answer(msgspec.Struct, gc=False):
    """What goes back: JSON."""

    status: int
    body: bytes


Lane = Callable[[Arrived], Awaitable[Answer | Arrived]]
"""Answers a request, or says which one the app shall answer: mostly the same."""


class FastLane:
    """Wraps the app; a POST to one of the paths goes to its lane first."""

    def __init__(self, app: FastAPI, lanes: Mapping[str, Lane]) -> None:
        self._app = app
        self._lanes = lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything else through unseen."""
        lane = None
        if scope["type"] == "http" and scope["method"] == "POST":
            lane = self._lanes.get(scope["path"])
        if lane is None:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        # An answer that is to be kept under a key is kept by the app's own route.
        if b"idempotency-key" in headers:
            await self._app(scope, receive, send)
            return
        message = await receive()
        body: bytes | None = message.get("body", b"")
        if message["type"] != "http.request" or message.get("more_body", False):
            messages, body = await _read_on(message, receive)
        else:
            messages = [message]
        if body is None or len(body) > intake.BODY_BYTES_MAX:
            await self._app(scope, _Again(messages, receive), send)
            return
        try:
            answer = await lane(Arrived(scope, headers, body))
        except tuple(_handlers(self._app)) as error:
            response = await refusal(Request({**scope, "app": self._app}), error)
            MutableHeaders(raw=response.raw_headers)["x-request-id"] = _request_id(headers)
            await response(scope, receive, send)
            return
        if isinstance(answer, Arrived):
            whole: Message = {"type": "http.request", "body": answer.body, "more_body": False}
            await self._app(answer.scope, _Again([whole], receive), send)
        else:
            await _send(answer, _request_id(headers), send)


async def _read_on(message: Message, receive: Receive) -> tuple[list[Message], bytes | None]:
    """What came, from this message on, and its body; None: its sender has gone.

    What is too large for the app is not read to its end.
    """
    messages, size = [message], len(message.get("body", b""))
    while message.get("more_body", False) and size <= intake.BODY_BYTES_MAX:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
    if message["type"] != "http.request":
        return messages, None
    return messages, b"".join(message.get("body", b"") for message in messages)


class _Again:
    """The server's `receive` for an app behind one that has read already."""

    def __init__(self, messages: list[Message], receive: Receive) -> None:
        self._messages = messages
        self._receive = receive

    async def __call__(self) -> Message:
        return self._messages.pop(0) if self._messages else await self._receive()


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is None:
        return intake.fresh_request_id()
    return intake.request_id_of(given.decode("latin-1"))


async def _send(answer: Answer, request_id: str, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(answer.body)),
                (b"x-request-id", request_id.encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})


def _handlers(app: FastAPI) -> dict[type[Exception], Any]:
    """The app's own answers to errors."""
    handlers: Mapping[Any, Any] = app.exception_handlers
    return {kind: handler for kind, handler in handlers.items() if isinstance(kind, type)}


async def refusal(request: Request, error: Exception) -> Response:
    """The app's own answer to an error; one that it has no answer to is raised again."""
    handlers = _handlers(request.app)
    kind = next((kind for kind in type(error).__mro__ if kind in handlers), None)
    if kind is None:
        raise error
    response: Response = await handlers[kind](request, error)
    return response
