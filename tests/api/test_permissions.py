"""Every operation asks for one permission before it does anything else."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from activities.organizations import CreatedMerchant, CreateKey, OrganizationActivities
from api.app import ROUTERS
from api.auth import Needs
from api.internal.permissions import AREAS
from models.database import Database
from tests.api.foreign import Document, Objects
from tests.conftest import client_of

Client = httpx2.AsyncClient
OWN_TAGS = {"Operations", "Internal"}


@pytest.fixture
async def powerless(
    living_app: FastAPI, database: Database, merchant: CreatedMerchant
) -> AsyncIterator[Client]:
    """A key that may nothing."""
    command = CreateKey(merchant.merchant_id, permissions=[])
    key = await OrganizationActivities(database).create_key(command)
    async with client_of(living_app, key.api_key) as opened:
        yield opened


async def test_a_key_that_may_nothing_is_refused_everywhere(
    living_app: FastAPI, powerless: Client
) -> None:
    document = Document(living_app.openapi())
    wrong = []
    asked = set()
    for method, path, operation in document.operations():
        if OWN_TAGS & set(operation["tags"]):
            continue
        address = document.address(path, operation, Objects({}, "org_0"))
        answer = await powerless.request(method, address)
        body = answer.json()
        if answer.status_code != 403 or body["reason"] != "insufficient_scope":
            wrong.append((operation["operationId"], answer.status_code))
            continue
        (permission,) = body["requiredPermissions"]
        asked.add(permission)
        assert permission.endswith(":read" if method == "GET" else ":write")
    assert wrong == []
    assert len(asked) > 30


def test_every_area_can_be_granted() -> None:
    assert {area for _router, area in ROUTERS} <= set(AREAS)


def test_reading_and_writing_are_two_permissions() -> None:
    assert Needs("plans").permission("GET") == "plans:read"
    assert Needs("plans").permission("PATCH") == "plans:write"
