"""Statements on merchants, their users and API keys; no key is ever read back in clear."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.organizations import ApiKey, Merchant, User


async def get(session: AsyncSession, merchant_id: str) -> Merchant | None:
    """A merchant by its id."""
    return await session.get(Merchant, merchant_id)


async def key_by_digest(session: AsyncSession, digest: str) -> tuple[ApiKey, Merchant, User] | None:
    """The key with this digest, its merchant and user: the one look-up before either is known."""
    statement = (
        select(ApiKey, Merchant, User)
        .join(Merchant, col(ApiKey.merchant_id) == col(Merchant.id))
        .join(User, col(ApiKey.user_id) == col(User.id))
        .where(ApiKey.digest == digest)
    )
    return (await session.exec(statement)).one_or_none()


async def note_key_used(
    session: AsyncSession, merchant_id: str, key_id: str, now: datetime
) -> None:
    """Remembers the last use; the caller decides how seldom."""
    await session.exec(
        update(ApiKey)
        .where(col(ApiKey.merchant_id) == merchant_id, col(ApiKey.id) == key_id)
        .values(last_used_at=now)
    )


async def keys(session: AsyncSession, merchant_id: str) -> Sequence[ApiKey]:
    """A merchant's keys, newest first, revoked ones too."""
    statement = (
        select(ApiKey)
        .where(ApiKey.merchant_id == merchant_id)
        .order_by(col(ApiKey.created_at).desc(), col(ApiKey.id).desc())
    )
    return (await session.exec(statement)).all()


async def get_key(session: AsyncSession, merchant_id: str, key_id: str) -> ApiKey | None:
    """A key of this merchant, locked for a change."""
    statement = (
        select(ApiKey)
        .where(ApiKey.merchant_id == merchant_id, ApiKey.id == key_id)
        .with_for_update(key_share=True)
    )
    return (await session.exec(statement)).one_or_none()


async def lock(session: AsyncSession, merchant_id: str) -> Merchant | None:
    """A merchant that is about to change, or whose members are."""
    statement = select(Merchant).where(Merchant.id == merchant_id).with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def members(session: AsyncSession, merchant_id: str) -> Sequence[User]:
    """The users who act for a merchant now, newest first."""
    statement = (
        select(User)
        .where(User.merchant_id == merchant_id, col(User.removed_at).is_(None))
        .order_by(col(User.created_at).desc(), col(User.id).desc())
    )
    return (await session.exec(statement)).all()


async def revoke_keys_of(
    session: AsyncSession, merchant_id: str, user_id: str, now: datetime
) -> None:
    """Revokes all keys of a user."""
    await session.exec(
        update(ApiKey)
        .where(
            col(ApiKey.merchant_id) == merchant_id,
            col(ApiKey.user_id) == user_id,
            col(ApiKey.revoked_at).is_(None),
        )
        .values(revoked_at=now)
    )


async def get_user(session: AsyncSession, merchant_id: str, user_id: str) -> User | None:
    """A user of this merchant."""
    statement = select(User).where(User.merchant_id == merchant_id, User.id == user_id)
    return (await session.exec(statement)).one_or_none()


async def first_user(session: AsyncSession, merchant_id: str) -> User | None:
    """The user who came with the merchant."""
    statement = (
        select(User)
        .where(User.merchant_id == merchant_id, col(User.removed_at).is_(None))
        .order_by(col(User.created_at), col(User.id))
    )
    return (await session.exec(statement)).first()


async def revoke_key(session: AsyncSession, key_id: str, now: datetime) -> bool:
    """Revokes a key by its id, once; whether there is such a key.

    An operator's command names a key, not a merchant: the one statement without the filter.
    """
    found = await session.get(ApiKey, key_id)
    if found is None:
        return False
    await session.exec(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    return True
