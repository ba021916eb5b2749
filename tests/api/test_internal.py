"""Internal operations: merchants, members, permissions, keys; closed without the admin key."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api import auth
from api.app import create_app
from models.database import Database
from settings import Settings
from tests.conftest import client_of

Client = httpx2.AsyncClient
ADMIN_KEY = "adm_" + "k" * 40
BASE = "/internal/v1/merchants"


@pytest.fixture
def administered(database: Database, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """The API of an installation with an admin key, whose keys are looked up every time."""
    monkeypatch.setattr(auth, "CACHE_TTL_SECONDS", -1.0)
    return create_app(Settings(admin_key=ADMIN_KEY), database=database)


@pytest.fixture
async def admin(administered: FastAPI) -> AsyncIterator[Client]:
    """The operator."""
    async with client_of(administered, ADMIN_KEY) as opened:
        yield opened


async def made(admin: Client, **members: Any) -> Any:
    answer = await admin.post(BASE, json={"name": "Acme", **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def status_with(app: FastAPI, key: str, method: str = "GET", **body: Any) -> int:
    async with client_of(app, key) as client:
        answer = await client.request(method, "/v0/products", json=body or None)
    return answer.status_code


async def test_without_an_admin_key_there_are_no_internal_operations(client: Client) -> None:
    for path in (BASE, f"{BASE}/org_1", "/internal/v1/auditEvents"):
        assert (await client.get(path)).status_code in {404, 405}
    assert (await client.post(BASE, json={"name": "Acme"})).status_code == 404


@pytest.mark.parametrize("key", [None, "adm_wrong", "sk_test_" + "a" * 43, "é"])
async def test_only_the_admin_key_opens_them(administered: FastAPI, key: str | None) -> None:
    headers = {} if key is None else {b"Authorization": f"Bearer {key}".encode()}
    async with client_of(administered, None) as client:
        answer = await client.get("/internal/v1/auditEvents", headers=headers)
    assert answer.status_code == 401


async def test_a_merchant_is_made_read_and_set_up(admin: Client, administered: FastAPI) -> None:
    merchant = await made(admin)
    assert merchant["apiKey"].startswith("sk_test_")
    assert (merchant["live"], merchant["legacyBilling"]) == (False, True)
    assert await status_with(administered, merchant["apiKey"]) == 200
    path = f"{BASE}/{merchant['id']}"
    changed = await admin.patch(path, json={"autoApprove": False, "gracePeriod": "PT1H"})
    assert changed.status_code == 200
    got = (await admin.get(path)).json()
    assert (got["autoApprove"], got["gracePeriod"], got["name"]) == (False, "PT1H", "Acme")
    assert (got["usageRetentionMonths"], got["usageDeletedBefore"]) == (None, None)
    kept = await admin.patch(path, json={"usageRetentionMonths": 24})
    assert kept.json()["usageRetentionMonths"] == 24
    assert (await admin.patch(path, json={"name": "Acme"})).json()["usageRetentionMonths"] == 24
    for_ever = await admin.patch(path, json={"usageRetentionMonths": None})
    assert for_ever.json()["usageRetentionMonths"] is None
    for wrong in (
        {"gracePeriod": "soon"},
        {"live": True},
        {"autoApprove": None},
        {"usageRetentionMonths": 3},
    ):
        assert (await admin.patch(path, json=wrong)).status_code == 400
    assert (await admin.get(f"{BASE}/org_0")).status_code == 404


async def test_a_live_merchant_has_live_keys(admin: Client, administered: FastAPI) -> None:
    merchant = await made(admin, live=True)
    assert merchant["apiKey"].startswith("sk_live_")
    assert merchant["legacyBilling"] is False
    as_test = merchant["apiKey"].replace("sk_live_", "sk_test_")
    assert await status_with(administered, as_test) == 401


async def test_a_member_may_what_was_granted(admin: Client, administered: FastAPI) -> None:
    merchant = await made(admin)
    members = f"{BASE}/{merchant['id']}/members"
    body = {"email": "ada@example.com", "permissions": ["products:read"]}
    member = (await admin.post(members, json=body)).json()
    keys = f"{BASE}/{merchant['id']}/apiKeys"
    key = (await admin.post(keys, json={"userId": member["id"]})).json()["apiKey"]
    assert await status_with(administered, key) == 200
    async with client_of(administered, key) as client:
        refused = await client.post("/v0/products", json={})
        elsewhere = await client.get("/v0/plans")
    assert refused.status_code == 403
    assert refused.json()["reason"] == "no_permission"
    assert refused.json()["requiredPermissions"] == ["products:write"]
    assert elsewhere.json()["requiredPermissions"] == ["plans:read"]
    changed = await admin.patch(f"{members}/{member['id']}", json={"permissions": ["*"]})
    assert changed.json()["permissions"] == ["*"]
    assert await status_with(administered, key, "POST", name="") == 400
    assert (await admin.post(members, json=body)).status_code == 409
    assert len((await admin.get(members)).json()["data"]) == 2
    assert (await admin.delete(f"{members}/{member['id']}")).status_code == 204
    assert await status_with(administered, key) == 401
    assert (await admin.delete(f"{members}/{member['id']}")).status_code == 404
    assert (await admin.delete(f"{members}/{merchant['userId']}")).status_code == 409


async def test_a_key_narrows_its_user(admin: Client, administered: FastAPI) -> None:
    merchant = await made(admin)
    keys = f"{BASE}/{merchant['id']}/apiKeys"
    key = (await admin.post(keys, json={"permissions": ["products:read"]})).json()["apiKey"]
    async with client_of(administered, key) as client:
        refused = await client.get("/v0/plans")
        event = await client.post("/v0/events", json={})
    assert refused.json()["reason"] == "insufficient_scope"
    assert event.status_code == 403
    for wrong in (["nothing:read"], ["products"], ["products:delete"], "products:read"):
        assert (await admin.post(keys, json={"permissions": wrong})).status_code == 400


async def test_keys_are_listed_rotated_and_revoked(admin: Client, administered: FastAPI) -> None:
    merchant = await made(admin)
    assert await status_with(administered, merchant["apiKey"]) == 200
    keys = f"{BASE}/{merchant['id']}/apiKeys"
    (listed,) = (await admin.get(keys)).json()["data"]
    assert listed["lastUsedAt"] is not None
    assert merchant["apiKey"] not in str(listed)
    assert merchant["apiKey"].startswith(listed["prefix"])
    rotated = await admin.post(f"{keys}/{listed['id']}/rotation")
    assert rotated.status_code == 201
    assert await status_with(administered, merchant["apiKey"]) == 401
    assert await status_with(administered, rotated.json()["apiKey"]) == 200
    assert (await admin.post(f"{keys}/{listed['id']}/rotation")).status_code == 409
    other = await made(admin)
    foreign = f"{BASE}/{other['id']}/apiKeys/{rotated.json()['id']}"
    assert (await admin.delete(foreign)).status_code == 404
    assert (await admin.delete(f"{keys}/{rotated.json()['id']}")).status_code == 204
    assert await status_with(administered, rotated.json()["apiKey"]) == 401
