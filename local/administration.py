"""What an operator does from the command line; the work itself is done by the activities."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from activities.organizations import CreateKey, CreateMerchant, OrganizationActivities
from models.audit import Acting, acting
from models.database import Database
from settings import Settings


async def create_merchant(settings: Settings, name: str, *, live: bool) -> dict[str, Any]:
    """A merchant with its first user and key."""
    async with _organizations(settings) as organizations:
        created = await organizations.create_merchant(CreateMerchant(name=name, live=live))
    return {
        "merchantId": created.merchant_id,
        "userId": created.user_id,
        "apiKey": created.api_key,
    }


async def create_key(settings: Settings, merchant_id: str) -> dict[str, Any]:
    """One more key of a merchant."""
    async with _organizations(settings) as organizations:
        created = await organizations.create_key(CreateKey(merchant_id=merchant_id))
    return {"keyId": created.key_id, "apiKey": created.api_key}


async def list_keys(settings: Settings, merchant_id: str) -> list[dict[str, Any]]:
    """A merchant's keys as far as they may be shown."""
    async with _organizations(settings) as organizations:
        keys = await organizations.list_keys(merchant_id)
    return [
        {
            "keyId": key.key_id,
            "userId": key.user_id,
            "prefix": key.prefix,
            "createdAt": key.created_at.isoformat(),
            "lastUsedAt": key.last_used_at and key.last_used_at.isoformat(),
            "revokedAt": key.revoked_at and key.revoked_at.isoformat(),
        }
        for key in keys
    ]


async def revoke_key(settings: Settings, key_id: str) -> None:
    """Ends a key."""
    async with _organizations(settings) as organizations:
        await organizations.revoke_key(key_id)


async def first_difference(settings: Settings) -> str | None:
    """The first proof that does not hold; None when all do."""
    from activities.gateways.simulated import SimulatedGateway
    from activities.reconciliation import ReconciliationActivities

    gateway = SimulatedGateway(settings.gateway_url)
    database = Database(settings.database_url)
    try:
        return await ReconciliationActivities(database, gateway).first_difference()
    finally:
        await database.close()
        await gateway.close()


async def delete_old_usage(settings: Settings) -> dict[str, int]:
    """How many events each merchant no longer keeps: they are deleted."""
    from activities.retention import RetentionActivities

    acting.set(Acting(actor="operator"))
    database = Database(settings.database_url)
    try:
        return dict((await RetentionActivities(database).delete_old_usage()).deleted)
    finally:
        await database.close()


@asynccontextmanager
async def _organizations(settings: Settings) -> AsyncIterator[OrganizationActivities]:
    acting.set(Acting(actor="operator"))
    database = Database(settings.database_url)
    try:
        yield OrganizationActivities(database)
    finally:
        await database.close()
