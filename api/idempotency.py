"""The `Idempotency-Key` header of every POST: its first answer is kept and given again.

One mechanism for all routes; it knows none of them. Only answers that grant are kept: a refused
request has had no effect and is judged anew. A route that is one transaction is asked again after a
deadlock.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel.ext.asyncio.session import AsyncSession

from api import deps
from api.auth import Caller, KeyRing, Needs
from billing.errors import BillingError, Conflict, InvalidValue
from models.base import wall_now
from models.database import Database, repeats_deadlocks
from models.idempotency import IdempotencyKey
from models.queries import idempotency

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
# A server that died at work: nobody else waits longer for its answer.
ABANDONED_AFTER = timedelta(seconds=60)
# A manual line has a key of its own, in the header or in the body (the contract).
OWN_KEYS = frozenset({"createLineItem"})

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

DOCUMENTED = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The first answer is kept and given again to the same request with this key.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class KeyReused(Conflict):
    """The key belongs to another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class KeyInProgress(Conflict):
    """The first request with this key is still being worked on."""

    code = "IDEMPOTENCY_KEY_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Use:
    """A key, whose it is, and what for."""

    database: Database
    merchant_id: str
    key: str
    digest: str

    def row(self, response: Response | None = None) -> IdempotencyKey:
        return IdempotencyKey(
            merchant_id=self.merchant_id,
            key=self.key,
            digest=self.digest,
            status=None if response is None else response.status_code,
            body="" if response is None else bytes(response.body).decode(),
            claimed_at=wall_now(),
        )

    async def first_answer(self) -> Response | None:
        """The kept answer, if this request has had one."""
        async with self.database.transaction() as session:
            kept = await idempotency.get(session, self.merchant_id, self.key)
        if kept is None:
            return None
        if kept.digest != self.digest:
            raise KeyReused("The key was used for another request")
        if kept.status is None:
            return None
        media_type = "application/json" if kept.body else None
        return Response(kept.body, kept.status, {REPLAYED: "true"}, media_type)


class KeptRoute(APIRoute):
    """The route of every resource: a POST that carries a key is answered once.

    FastAPI gives a route's class, and nothing else, the finished answer while the route's own
    transaction is still open.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.keeps = "POST" in (options.get("methods") or ()) and (
            options.get("operation_id") not in OWN_KEYS
        )
        if self.keeps:
            extra: dict[str, Any] = options.get("openapi_extra") or {}
            parameters = [*extra.get("parameters", []), DOCUMENTED]
            options["openapi_extra"] = extra | {"parameters": parameters}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, and round it the keys."""
        handle = super().get_route_handler()
        is_one_transaction = _is_one_transaction(self.dependant)
        if is_one_transaction:
            handle = _repeated(handle)
        if not self.keeps:
            return handle
        return _once(handle, _with_effect if is_one_transaction else _around_effect)


def _is_one_transaction(dependant: Dependant) -> bool:
    """Whether the route's whole effect is its own transaction: it reaches no life cycle."""
    asked = {id(call) for call in _calls(dependant)}
    return id(deps.session) in asked and not asked & {
        id(deps.life_cycles),
        id(deps.opened_database),
    }


def _calls(dependant: Dependant) -> list[Any]:
    deeper = [call for each in dependant.dependencies for call in _calls(each)]
    return [dependant.call, *deeper]


def _repeated(handle: Handler) -> Handler:
    """Asks again where PostgreSQL ended the route's transaction for another's sake."""

    @repeats_deadlocks
    async def attempt(request: Request) -> Response:
        try:
            return await handle(request)
        except OperationalError:
            await _take_back(request)
            raise

    return attempt


async def _take_back(request: Request) -> None:
    opened: AsyncSession | None = getattr(request.state, "session", None)
    if opened is not None:
        await opened.rollback()


def _once(handle: Handler, keep: Callable[[Handler, Request, Use], Awaitable[Response]]) -> Handler:
    async def once(request: Request) -> Response:
        if HEADER not in request.headers:
            return await handle(request)
        key_ring: KeyRing = request.app.state.key_ring
        caller = await key_ring.caller(request.headers.get("authorization"))
        # Before the kept answer is looked for: who may no longer do this is not told of it either.
        needs: Mapping[Any, Needs] = request.app.state.needs
        if asked := needs.get(request.scope["endpoint"]):
            caller.refuse_unless(asked.permission(request.method))
        use = await _use(request, caller)
        return await use.first_answer() or await keep(handle, request, use)

    return once


async def _use(request: Request, caller: Caller) -> Use:
    key = request.headers[HEADER]
    if not KEY.fullmatch(key):
        raise InvalidValue("1 to 255 printable characters", field=HEADER)
    asked = (caller.user_id, request.url.path, request.url.query, await _content(request))
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    return Use(request.app.state.database, caller.merchant_id, key, digest)


async def _content(request: Request) -> str:
    """The body in one form: white space and the order of members say nothing."""
    body = await request.body()
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return body.decode("latin-1")


async def _with_effect(handle: Handler, request: Request, use: Use) -> Response:
    """The answer is kept in the transaction of its effect: both are there, or neither.

    Of two requests at the same time one fails on the other's row, or on what it made; its effect
    is taken back and the other's answer is given.
    """
    try:
        response = await handle(request)
        if response.status_code < 300:
            await _add(request.state.session, use, response)
    except (BillingError, IntegrityError):
        await _take_back(request)
        first = await use.first_answer()
        if first is None:
            raise
        return first
    return response


async def _add(session: AsyncSession, use: Use, response: Response) -> None:
    session.add(use.row(response))
    await session.flush()


async def _around_effect(handle: Handler, request: Request, use: Use) -> Response:
    """The effect has transactions of its own: the key is claimed before and answered after it.

    Where the answer is lost with the server, the claim is given up after a minute and the effect's
    own guards (a unique key, the state of a life cycle) decide.
    """
    async with use.database.transaction() as session:
        claimed = await idempotency.claim(session, use.row(), wall_now() - ABANDONED_AFTER)
    if not claimed:
        first = await use.first_answer()
        if first is None:
            raise KeyInProgress("The first request with this key has no answer yet")
        return first
    granted = False
    try:
        response = await handle(request)
        granted = response.status_code < 300
    finally:
        if not granted:
            async with use.database.transaction() as session:
                await idempotency.release(session, use.merchant_id, use.key)
    async with use.database.transaction() as session:
        await idempotency.finish(
            session,
            use.merchant_id,
            use.key,
            status=response.status_code,
            body=bytes(response.body).decode(),
        )
    return response
