"""Who calls: API keys looked up by their SHA-256 and remembered for seconds, and what it may do."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Annotated

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.errors import InsufficientScope, NoPermission, NotMember, Unauthorized
from models.audit import Acting, acting
from models.base import wall_now
from models.database import Database, tenant
from models.organizations import EVERYTHING, ApiKey, Merchant, User
from models.queries import organizations

KEY_PATTERN = re.compile(r"^sk_(test|live)_[A-Za-z0-9]{16,128}$")
CACHE_TTL_SECONDS = 5.0
CACHE_SIZE_MAX = 10_000
LAST_USED_EVERY = timedelta(minutes=1)
READING = frozenset({"GET", "HEAD"})

# Only describes the scheme in the OpenAPI document; the key itself is checked below.
bearer = HTTPBearer(auto_error=False, description="An API key: sk_test_… or sk_live_…")


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: a user of one merchant, by one key."""

    merchant_id: str
    user_id: str
    live: bool
    key_id: str
    granted: frozenset[str] = frozenset({EVERYTHING})
    """What the user may."""
    scopes: frozenset[str] | None = None
    """What the key is narrowed to, if it is."""

    def may(self, permission: str) -> bool:
        """Whether both the user and the key have the permission."""
        return _holds(self.granted, permission) and (
            self.scopes is None or _holds(self.scopes, permission)
        )

    def refuse_unless(self, permission: str) -> None:
        """Refuses what the user may not, then what only this key may not."""
        if not _holds(self.granted, permission):
            raise NoPermission(permission)
        if not self.may(permission):
            raise InsufficientScope(permission)

    def own(self, merchant_id: str | None) -> str:
        """The caller's merchant; naming another one is refused, omitting it means the own."""
        if merchant_id is not None and merchant_id != self.merchant_id:
            raise NotMember("The API key does not belong to this merchant")
        return self.merchant_id


def _holds(granted: frozenset[str], permission: str) -> bool:
    return permission in granted or EVERYTHING in granted


def digest_of(key: str) -> str:
    """What is stored of a key. A 256-bit random key needs no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """Callers by the digest of their key; an entry lives 5 s, so a revoked key dies within 5 s."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: dict[str, tuple[float, Caller]] = {}
        self._proved: dict[bytes, tuple[float, Caller]] = {}
        """The same entries by the header as it came; none is kept much longer than it lives."""
        self._swept_at = monotonic()

    async def caller(self, authorization: str | None) -> Caller:
        """The caller that this Authorization header proves."""
        key = self._key(authorization)
        digest = digest_of(key)
        entry = self._entries.get(digest)
        if entry is not None and entry[0] > monotonic():
            return entry[1]
        caller = await self._look_up(digest, live=key.startswith("sk_live_"))
        if len(self._entries) >= CACHE_SIZE_MAX:
            self._entries.clear()
        self._entries[digest] = (monotonic() + CACHE_TTL_SECONDS, caller)
        return caller

    def known(self, authorization: bytes) -> Caller | None:
        """The caller, where this header was proved within the last seconds; None is no refusal."""
        entry = self._proved.get(authorization)
        if entry is not None and entry[0] > monotonic():
            return entry[1]
        self._proved.pop(authorization, None)
        scheme, _, key = authorization.decode("latin-1").partition(" ")
        entry = self._entries.get(digest_of(key)) if scheme == "Bearer" else None
        if entry is None or entry[0] <= monotonic():
            return None
        self._sweep(monotonic())
        self._proved[authorization] = entry
        return entry[1]

    def _sweep(self, now: float) -> None:
        if now < self._swept_at + CACHE_TTL_SECONDS:
            return
        self._swept_at = now
        self._proved = {header: entry for header, entry in self._proved.items() if entry[0] > now}

    @staticmethod
    def _key(authorization: str | None) -> str:
        if not authorization:
            raise Unauthorized("An API key is required: Authorization: Bearer sk_…")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not KEY_PATTERN.match(key.strip()):
            raise Unauthorized("The Authorization header holds no API key")
        return key.strip()

    async def _look_up(self, digest: str, *, live: bool) -> Caller:
        async with self._database.transaction() as session:
            found = await organizations.key_by_digest(session, digest)
            if found is None or not self._valid(*found, digest=digest, live=live):
                self._entries.pop(digest, None)
                raise Unauthorized("The API key is not valid")
            key, _merchant, user = found
            now = wall_now()
            if key.last_used_at is None or key.last_used_at <= now - LAST_USED_EVERY:
                await organizations.note_key_used(session, key.merchant_id, key.id, now)
        return Caller(
            merchant_id=key.merchant_id,
            user_id=key.user_id,
            live=live,
            key_id=key.id,
            granted=frozenset(user.permissions),
            scopes=None if key.permissions is None else frozenset(key.permissions),
        )

    @staticmethod
    def _valid(key: ApiKey, merchant: Merchant, user: User, *, digest: str, live: bool) -> bool:
        same = hmac.compare_digest(key.digest.encode(), digest.encode())
        is_ended = key.revoked_at is not None or user.removed_at is not None
        return same and not is_ended and merchant.live == live


async def authenticate(
    request: Request,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> Caller:
    """The caller of this request; its merchant also goes into every log line."""
    key_ring: KeyRing = request.app.state.key_ring
    caller = await key_ring.caller(request.headers.get("authorization"))
    structlog.contextvars.bind_contextvars(merchantId=caller.merchant_id, keyId=caller.key_id)
    sign(request, f"key:{caller.key_id}", caller.user_id)
    tenant.set(caller.merchant_id)
    return caller


def sign(request: Request, actor: str, user_id: str | None = None) -> None:
    """Tells the audit log who does what; what only reads leaves no trace."""
    if request.method in READING:
        acting.set(None)
        return
    acting.set(
        Acting(
            actor=actor,
            operation=request.scope["route"].operation_id or "",
            user_id=user_id,
            request_id=request.state.request_id,
        )
    )


@dataclass(frozen=True)
class Needs:
    """What a router asks of its callers: to read its area, or to write in it."""

    area: str

    async def __call__(
        self, request: Request, caller: Annotated[Caller, Depends(authenticate)]
    ) -> None:
        """Refuses a caller without the permission, before anything else is looked at."""
        caller.refuse_unless(self.permission(request.method))

    def permission(self, method: str) -> str:
        """The permission that a request with this method needs."""
        return f"{self.area}:{'read' if method in READING else 'write'}"
