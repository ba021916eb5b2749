"""The API with life cycles: the same app and client, and commands that need no Temporal."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from activities.organizations import CreatedMerchant
from api.app import create_app
from models.database import Database
from settings import Settings
from tests.api.in_process import InProcess, Shop, app_with, away, gateway_of
from tests.api.mixed import ADMIN_KEY, UI, Mixed
from tests.conftest import client_of


@pytest.fixture
async def commands(database: Database, tmp_path: Path) -> AsyncIterator[InProcess]:
    """Commands whose changes happen at once, and a gateway with an empty book."""
    opened = InProcess(database, await away(), gateway_of(tmp_path))
    yield opened
    await opened.close()


@pytest.fixture
def living_app(database: Database, commands: InProcess) -> FastAPI:
    """The API with those commands."""
    return app_with(database, commands)


@pytest.fixture
async def living(
    living_app: FastAPI, merchant: CreatedMerchant
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the merchant's key."""
    async with client_of(living_app, merchant.api_key) as opened:
        yield opened


@pytest.fixture
async def shop(living: httpx2.AsyncClient, merchant: CreatedMerchant) -> Shop:
    """The merchant's catalogue, to be filled."""
    return Shop(living, merchant)


@pytest.fixture
async def visitor(living_app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A customer's browser: no key."""
    async with client_of(living_app, None) as opened:
        yield opened


@pytest.fixture
async def operator(database: Database, commands: InProcess) -> AsyncIterator[httpx2.AsyncClient]:
    """Whoever holds the installation's key, where Temporal has a page; changes happen at once."""
    settings = Settings(admin_key=ADMIN_KEY, temporal_ui_url=UI)
    app = create_app(settings, database=database, commands=commands)
    async with client_of(app, ADMIN_KEY) as opened:
        yield opened


@pytest.fixture
def mixed(
    shop: Shop, living: httpx2.AsyncClient, commands: InProcess, operator: httpx2.AsyncClient
) -> Mixed:
    """A subscription with a line of every kind, to be opened."""
    return Mixed(shop, living, commands, operator)
