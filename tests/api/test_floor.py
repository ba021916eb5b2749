"""What holds for every route: keys, error bodies, limits, request ids, commit before answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import text

from activities.organizations import (
    CreatedMerchant,
    CreateKey,
    CreateMerchant,
    OrganizationActivities,
)
from api import app as app_module
from api import auth
from api.app import create_app
from api.commands import Commands
from api.deps import Session
from api.intake import logged_path
from models.database import Database
from models.queries import organizations
from settings import Settings
from tests.conftest import client_of

Client = httpx2.AsyncClient

LATE_TABLE = "CREATE TEMP TABLE late (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer nonsense",
        "Basic c2s=",
        "Bearer sk_test_" + "a" * 43,
        "Bearer sk_test_" + "é" * 20,
    ],
)
async def test_without_a_valid_key_it_is_401(app: FastAPI, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode()}
    async with client_of(app, None) as anonymous:
        answer = await anonymous.get("/v0/products", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"] == "unauthorized"
    assert answer.json()["message"]


async def test_a_revoked_key_is_refused_once_the_cache_is_old(
    app: FastAPI,
    database: Database,
    merchant: CreatedMerchant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = OrganizationActivities(database)
    created = await operator.create_key(CreateKey(merchant.merchant_id))
    async with client_of(app, created.api_key) as client:
        assert (await client.get("/v0/products")).status_code == 200
        await operator.revoke_key(created.key_id)
        later = time.monotonic() + auth.CACHE_TTL_SECONDS + 0.1
        monkeypatch.setattr(auth, "monotonic", lambda: later)
        assert (await client.get("/v0/products")).status_code == 401


async def test_a_header_is_known_as_long_as_its_key_is(
    app: FastAPI, merchant: CreatedMerchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring: auth.KeyRing = app.state.key_ring
    header = f"Bearer {merchant.api_key}"
    assert ring.known(header.encode()) is None
    caller = await ring.caller(header)
    assert ring.known(header.encode()) is caller
    assert ring.known(header.encode()) is caller
    assert ring.known(header.encode()[:-1]) is None
    later = time.monotonic() + auth.CACHE_TTL_SECONDS + 0.1
    monkeypatch.setattr(auth, "monotonic", lambda: later)
    assert ring.known(header.encode()) is None
    assert await ring.caller(header) == caller
    assert ring.known(header.encode()) is not None


async def test_a_key_of_the_other_environment_is_refused(
    app: FastAPI, database: Database, merchant: CreatedMerchant
) -> None:
    live = await OrganizationActivities(database).create_merchant(CreateMerchant("L", live=True))
    assert live.api_key.startswith("sk_live_")
    for key, status in ((live.api_key, 200), (merchant.api_key, 200)):
        async with client_of(app, key) as client:
            assert (await client.get("/v0/products")).status_code == status
    async with database.transaction() as session:
        row = await organizations.get(session, merchant.merchant_id)
        assert row is not None
        row.live = True
    fresh = create_app(Settings(), database=database)
    async with client_of(fresh, merchant.api_key) as client:
        assert (await client.get("/v0/products")).status_code == 401


async def test_unknown_routes_and_methods_answer_in_shape(client: Client) -> None:
    missing = await client.get("/v0/nothing")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    wrong = await client.delete("/v0/products")
    assert (wrong.status_code, wrong.json()["error"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": NaN}',
        b'{"name": 1e400}',
        b'{"name": ' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"metadata": {"a\\u0000": "b"}}',
        b"",
    ],
)
async def test_unreadable_bodies_are_400(client: Client, raw: bytes) -> None:
    answer = await client.post(
        "/v0/products", content=raw, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert len(answer.content) < 4000


async def test_a_form_where_json_belongs_is_refused(
    client: Client, merchant: CreatedMerchant
) -> None:
    answer = await client.post("/v0/products", data={"merchantId": merchant.merchant_id})
    assert answer.status_code == 400


async def test_bodies_over_one_mebibyte_are_413_announced_or_not(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65536

    contents: list[Any] = [b"x" * (1024 * 1024 + 1), chunks()]
    for content in contents:
        answer = await client.post("/v0/products", content=content)
        assert answer.status_code == 413
        assert answer.json()["error"] == "payload_too_large"


async def test_nul_and_bad_utf8_in_addresses_are_refused(client: Client) -> None:
    for path in (
        "/v0/products/prod_%00",
        "/v0/products?merchantId=%00",
        "/v0/products?x=%ff",
        "/v0/products/%ff",
    ):
        assert (await client.get(path)).status_code in {400, 404}


async def test_request_id_is_taken_when_sane_and_made_otherwise(client: Client) -> None:
    given = await client.get("/healthz", headers={"X-Request-Id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    made = await client.get("/healthz", headers={"X-Request-Id": "a b\t" + "c" * 200})
    assert len(made.headers["x-request-id"]) == 32


def test_a_hosted_pages_token_stays_out_of_the_log() -> None:
    assert logged_path("/checkout/0123456789abcdef") == "/checkout/…"
    assert logged_path("/v0/products/prod_1") == "/v0/products/prod_1"


async def test_the_transaction_commits_before_the_answer(
    database: Database, merchant: CreatedMerchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deferred constraint fails at COMMIT, when the route has long returned its 201."""
    router = APIRouter()

    @router.post("/v0/late", status_code=201)
    async def late(session: Session) -> dict[str, str]:
        connection = await session.connection()
        await connection.execute(text(LATE_TABLE))
        await connection.execute(text("INSERT INTO late VALUES (1), (1)"))
        return {"id": "sold"}

    monkeypatch.setattr(app_module, "ROUTERS", ((router, "products"),))
    app = create_app(Settings(), database=database)
    async with client_of(app, merchant.api_key) as client:
        answer = await client.post("/v0/late")
    assert answer.status_code == 409
    assert "sold" not in answer.text


async def test_an_unexpected_error_tells_only_its_request_id(
    database: Database,
    merchant: CreatedMerchant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    router = APIRouter()

    @router.get("/v0/broken")
    async def broken() -> None:
        secret = "sk_test_secret"
        raise RuntimeError(f"broken {len(secret)}")

    monkeypatch.setattr(app_module, "ROUTERS", ((router, "products"),))
    app = create_app(Settings(), database=database)
    async with client_of(app, merchant.api_key) as client:
        answer = await client.get("/v0/broken", headers={"X-Request-Id": "here"})
    assert answer.status_code == 500
    assert answer.json() == {
        "message": "Internal error",
        "error": "internal",
        "details": {"requestId": "here"},
    }
    logged = capsys.readouterr().out
    assert "RuntimeError" in logged
    assert "sk_test_secret" not in logged


async def test_a_database_that_is_away_is_503(merchant: CreatedMerchant) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:9/none")
    app = create_app(Settings(), database=nowhere)
    async with client_of(app, merchant.api_key) as client:
        answer = await client.get("/v0/products")
        ready = await client.get("/readyz")
        healthy = await client.get("/healthz")
    await nowhere.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["message"]
    assert (ready.status_code, ready.json()["postgres"]) == (503, "down")
    assert healthy.status_code == 200


class _Answering(Commands):
    """Commands whose Temporal answers."""

    def __init__(self) -> None:
        """Opens nothing."""

    async def ready(self) -> bool:
        await asyncio.sleep(0)
        return True


async def test_readiness_needs_both_servers(database: Database) -> None:
    for commands, status in ((None, 503), (_Answering(), 200)):
        app = create_app(Settings(), database=database, commands=commands)
        async with client_of(app, None) as client:
            answer = await client.get("/readyz")
        assert answer.status_code == status
        assert answer.json()["postgres"] == "ok"


async def test_documents_need_no_key_and_no_network(app: FastAPI) -> None:
    async with client_of(app, None) as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
    create = document["paths"]["/v0/products"]["post"]
    assert create["operationId"] == "createProduct"
    declared = {"201", "400", "401", "403", "404", "409", "422", "500", "503"}
    assert set(create["responses"]) == declared
    assert page.status_code == 200
    assert "cdn" not in page.text
    assert "https://" not in page.text
