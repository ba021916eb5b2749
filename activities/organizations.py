"""Merchants, their first user and their API keys; a key is returned once and never stored."""

import hashlib
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.errors import NotFound
from models.base import new_id, wall_now
from models.database import Database
from models.organizations import ApiKey, Merchant, User
from models.queries import organizations

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
    """Make another key for a merchant's first user."""

    merchant_id: str


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """The new key; `api_key` is shown here and never again."""

    key_id: str
    api_key: str


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as a list shows it: recognizable, useless."""

    key_id: str
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

    async def create_key(self, command: CreateKey) -> CreatedKey:
        """Makes another key."""
        async with self._database.transaction() as session:
            merchant = await organizations.get(session, command.merchant_id)
            user = await organizations.first_user(session, command.merchant_id)
            if merchant is None or user is None:
                raise NotFound("No such merchant")
            key, api_key = _new_key(merchant, user.id)
            session.add(key)
        return CreatedKey(key.id, api_key)

    async def list_keys(self, merchant_id: str) -> Sequence[ListedKey]:
        """A merchant's keys, newest first."""
        async with self._database.transaction() as session:
            keys = await organizations.keys(session, merchant_id)
        return [
            ListedKey(key.id, key.prefix, key.created_at, key.last_used_at, key.revoked_at)
            for key in keys
        ]

    async def revoke_key(self, key_id: str) -> None:
        """Revokes a key, at once in the database and within seconds in every API process."""
        async with self._database.transaction() as session:
            if not await organizations.revoke_key(session, key_id, wall_now()):
                raise NotFound("No such API key")


def _new_key(merchant: Merchant, user_id: str) -> tuple[ApiKey, str]:
    environment = "live" if merchant.live else "test"
    secret = "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))
    api_key = f"sk_{environment}_{secret}"
    row = ApiKey(
        id=new_id("key"),
        merchant_id=merchant.id,
        user_id=user_id,
        prefix=api_key[:SHOWN_LENGTH],
        digest=hashlib.sha256(api_key.encode()).hexdigest(),
    )
    return row, api_key
