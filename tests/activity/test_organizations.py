"""Merchants and keys, as an operator makes them."""

import hashlib
import re

import pytest

from activities.organizations import (
    CreatedMerchant,
    CreateKey,
    CreateMerchant,
    OrganizationActivities,
)
from billing.errors import NotFound
from models.database import Database
from models.queries import organizations


@pytest.fixture
def operator(database: Database) -> OrganizationActivities:
    return OrganizationActivities(database)


async def test_a_merchant_comes_with_a_user_and_a_key(
    operator: OrganizationActivities, database: Database
) -> None:
    for live, prefix in ((False, "sk_test_"), (True, "sk_live_")):
        made = await operator.create_merchant(CreateMerchant("Acme", live=live))
        assert re.fullmatch(rf"{prefix}[A-Za-z0-9]{{43}}", made.api_key)
        async with database.transaction() as session:
            row = await organizations.get(session, made.merchant_id)
            user = await organizations.first_user(session, made.merchant_id)
        assert row is not None
        assert user is not None
        assert (row.live, row.legacy_billing) == (live, not live)
        assert user.id == made.user_id


async def test_only_the_digest_of_a_key_is_stored(
    operator: OrganizationActivities, database: Database, merchant: CreatedMerchant
) -> None:
    created = await operator.create_key(CreateKey(merchant.merchant_id))
    digest = hashlib.sha256(created.api_key.encode()).hexdigest()
    async with database.transaction() as session:
        found = await organizations.key_by_digest(session, digest)
    assert found is not None
    assert found[0].id == created.key_id
    assert created.api_key not in repr(found[0].model_dump())
    assert found[0].prefix == created.api_key[:12]


async def test_keys_are_listed_newest_first_and_revoked_once(
    operator: OrganizationActivities, merchant: CreatedMerchant
) -> None:
    created = await operator.create_key(CreateKey(merchant.merchant_id))
    first, second = await operator.list_keys(merchant.merchant_id)
    assert first.key_id == created.key_id
    assert second.revoked_at is None
    await operator.revoke_key(created.key_id)
    revoked = (await operator.list_keys(merchant.merchant_id))[0].revoked_at
    assert revoked is not None
    await operator.revoke_key(created.key_id)
    assert (await operator.list_keys(merchant.merchant_id))[0].revoked_at == revoked


async def test_unknown_merchants_and_keys(operator: OrganizationActivities) -> None:
    with pytest.raises(NotFound):
        await operator.create_key(CreateKey("org_unknown"))
    with pytest.raises(NotFound):
        await operator.revoke_key("key_unknown")
    assert await operator.list_keys("org_unknown") == []
