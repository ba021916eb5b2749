"""The real servers that tests run against, started once a session; a test owns a merchant.

DURABILL_TEST_DATABASE_URL names a database that may be migrated and filled; without it an
embedded PostgreSQL is started, which gives up durability for speed.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from alembic import command
from alembic.config import Config
from fastapi import FastAPI

from activities.organizations import CreatedMerchant, CreateMerchant, OrganizationActivities
from api.app import create_app, served
from local.demo import stack
from local.postgres import running_postgres
from models.database import Database
from settings import Settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a migrated database."""
    given = os.environ.get("DURABILL_TEST_DATABASE_URL")
    if given:
        migrate(given)
        yield given
        return
    with running_postgres(tmp_path_factory.mktemp("postgres"), fast=True) as url:
        migrate(url)
        yield url


def migrate(url: str) -> None:
    """Brings the database to the newest schema, the way a deployment does."""
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the session's database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def merchant(database: Database) -> CreatedMerchant:
    """A merchant of this test's own: what it does not create, it does not see."""
    return await OrganizationActivities(database).create_merchant(CreateMerchant("Test"))


@pytest.fixture
async def stranger(database: Database) -> CreatedMerchant:
    """Another merchant, whose objects must stay out of reach."""
    return await OrganizationActivities(database).create_merchant(CreateMerchant("Stranger"))


@pytest.fixture
def app(database: Database) -> FastAPI:
    """The API on the session's database, without Temporal."""
    return create_app(Settings(), database=database)


@pytest.fixture
async def client(app: FastAPI, merchant: CreatedMerchant) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the merchant's key."""
    async with client_of(app, merchant.api_key) as opened:
        yield opened


@pytest.fixture
async def stranger_client(
    app: FastAPI, stranger: CreatedMerchant
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the other merchant's key."""
    async with client_of(app, stranger.api_key) as opened:
        yield opened


def client_of(app: FastAPI, api_key: str | None) -> httpx2.AsyncClient:
    """A client that calls the app, as it is served, in this process."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=served(app)),
        base_url="http://durabill.test",
        headers=headers,
    )


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the session's `durabill dev`."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def addresses(stack_folder: Path) -> Iterator[dict[str, str]]:
    """Where the session's `durabill dev` is: all real servers, for whole stories."""
    with stack(stack_folder) as found:
        yield found
