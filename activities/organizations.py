"""Merchants, their members and API keys; a key is returned once and never stored."""

import hashlib
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.errors import Conflict, NotFound
from models.base import new_id, wall_now
from models.database import Database
from models.organizations import ApiKey, Merchant, User
from models.queries import organizations

T = TypeVar("T")

KEY_LENGTH = 43
"""Characters after the prefix: 43 of an alphabet of 62 hold 256 bits."""
KEY_ALPHABET = string.ascii_letters + string.digits
SHOWN_LENGTH = 12


@dataclass(frozen=True, slots=True)
class CreateMerchant:
    """Make a merchant, its user and one key."""

    name: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class CreatedMerchant:
    """The new merchant; `api_key` is shown here and never again."""

    merchant_id: str
    user_id: str
    api_key: str


@dataclass(frozen=True, slots=True)
class CreateKey:
    """Make another key, for a merchant's first user unless another is named."""

    merchant_id: str
    user_id: str | None = None
    permissions: Sequence[str] | None = None
    """What the key narrows its user's permissions to, if it does."""


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """The new key; `api_key` is shown here and never again."""

    key_id: str
    api_key: str


@dataclass(frozen=True, slots=True)
class AddMember:
    """Let another person act for a merchant."""

    merchant_id: str
    email: str
    first_name: str
    last_name: str
    permissions: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as a list shows it: recognizable, useless."""

    key_id: str
    user_id: str
    permissions: Sequence[str] | None
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class OrganizationActivities:
    """What an operator does with merchants and keys; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_merchant(self, command: CreateMerchant) -> CreatedMerchant:
        """Makes a merchant; legacy billing is on in the sandbox and off in live."""
        merchant = Merchant(
            id=new_id("org"),
            name=command.name,
            live=command.live,
            legacy_billing=not command.live,
        )
        user = User(id=new_id("usr"), merchant_id=merchant.id)
        key, api_key = _new_key(merchant, user.id)
        async with self._database.transaction() as session:
            session.add(merchant)
            await session.flush()
            session.add(user)
            await session.flush()
            session.add(key)
        return CreatedMerchant(merchant.id, user.id, api_key)

    async def get_merchant(self, merchant_id: str) -> Merchant:
        """A merchant."""
        async with self._database.transaction() as session:
            return _found(await organizations.get(session, merchant_id), "merchant")

    async def change_merchant(self, merchant_id: str, changes: dict[str, Any]) -> Merchant:
        """Changes a merchant's settings."""
        async with self._database.transaction() as session:
            merchant = _found(await organizations.lock(session, merchant_id), "merchant")
            merchant.sqlmodel_update(changes)
        return merchant

    async def add_member(self, command: AddMember) -> User:
        """Adds a member; another one with the same address is refused."""
        async with self._database.transaction() as session:
            _found(await organizations.lock(session, command.merchant_id), "merchant")
            members = await organizations.members(session, command.merchant_id)
            if command.email.lower() in {member.email.lower() for member in members}:
                raise Conflict("A member has this email address")
            user = User(
                id=new_id("usr"),
                merchant_id=command.merchant_id,
                email=command.email,
                first_name=command.first_name,
                last_name=command.last_name,
                permissions=list(command.permissions),
            )
            session.add(user)
        return user

    async def list_members(self, merchant_id: str) -> Sequence[User]:
        """Who acts for a merchant, newest first."""
        async with self._database.transaction() as session:
            _found(await organizations.get(session, merchant_id), "merchant")
            return await organizations.members(session, merchant_id)

    async def permit(self, merchant_id: str, user_id: str, permissions: Sequence[str]) -> User:
        """Replaces a member's permissions; keys follow within seconds."""
        async with self._database.transaction() as session:
            user = await _member(session, merchant_id, user_id)
            user.permissions = list(permissions)
            user.updated_at = wall_now()
        return user

    async def remove_member(self, merchant_id: str, user_id: str) -> None:
        """Removes a member and revokes the keys; somebody has to stay."""
        async with self._database.transaction() as session:
            _found(await organizations.lock(session, merchant_id), "merchant")
            user = await _member(session, merchant_id, user_id)
            if len(await organizations.members(session, merchant_id)) == 1:
                raise Conflict("A merchant has at least one member")
            user.removed_at = wall_now()
            await organizations.revoke_keys_of(session, merchant_id, user_id, user.removed_at)

    async def create_key(self, command: CreateKey) -> CreatedKey:
        """Makes another key."""
        async with self._database.transaction() as session:
            merchant = _found(await organizations.get(session, command.merchant_id), "merchant")
            user = await _user_of(session, command)
            key, api_key = _new_key(merchant, user.id, command.permissions)
            session.add(key)
        return CreatedKey(key.id, api_key)

    async def rotate_key(self, merchant_id: str, key_id: str) -> CreatedKey:
        """Makes a key like this one, and ends this one."""
        async with self._database.transaction() as session:
            merchant = _found(await organizations.get(session, merchant_id), "merchant")
            old = _found(await organizations.get_key(session, merchant_id, key_id), "API key")
            if old.revoked_at is not None:
                raise Conflict("The API key was revoked")
            old.revoked_at = wall_now()
            key, api_key = _new_key(merchant, old.user_id, old.permissions)
            session.add(key)
        return CreatedKey(key.id, api_key)

    async def list_keys(self, merchant_id: str) -> Sequence[ListedKey]:
        """A merchant's keys, newest first."""
        async with self._database.transaction() as session:
            keys = await organizations.keys(session, merchant_id)
        return [
            ListedKey(
                key.id,
                key.user_id,
                key.permissions,
                key.prefix,
                key.created_at,
                key.last_used_at,
                key.revoked_at,
            )
            for key in keys
        ]

    async def revoke_key_of(self, merchant_id: str, key_id: str) -> None:
        """Revokes a key of this merchant; once revoked it stays so."""
        async with self._database.transaction() as session:
            key = _found(await organizations.get_key(session, merchant_id, key_id), "API key")
            key.revoked_at = key.revoked_at or wall_now()

    async def revoke_key(self, key_id: str) -> None:
        """Revokes a key, at once in the database and within seconds in every API process."""
        async with self._database.transaction() as session:
            if not await organizations.revoke_key(session, key_id, wall_now()):
                raise NotFound("No such API key")


async def _member(session: AsyncSession, merchant_id: str, user_id: str) -> User:
    user = _found(await organizations.get_user(session, merchant_id, user_id), "member")
    return _found(None if user.removed_at else user, "member")


async def _user_of(session: AsyncSession, command: CreateKey) -> User:
    if command.user_id is not None:
        return await _member(session, command.merchant_id, command.user_id)
    return _found(await organizations.first_user(session, command.merchant_id), "member")


def _found(row: T | None, what: str) -> T:
    if row is None:
        raise NotFound(f"No such {what}")
    return row


def _new_key(
    merchant: Merchant, user_id: str, permissions: Sequence[str] | None = None
) -> tuple[ApiKey, str]:
    environment = "live" if merchant.live else "test"
    secret = "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))
    api_key = f"sk_{environment}_{secret}"
    row = ApiKey(
        id=new_id("key"),
        merchant_id=merchant.id,
        user_id=user_id,
        prefix=api_key[:SHOWN_LENGTH],
        digest=hashlib.sha256(api_key.encode()).hexdigest(),
        permissions=None if permissions is None else list(permissions),
    )
    return row, api_key
