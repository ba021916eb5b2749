"""A database of its own for proofs that look at all merchants."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from activities.organizations import CreatedMerchant, CreateMerchant, OrganizationActivities
from models.base import new_id
from models.database import Database
from tests.activity.twins import created
from tests.conftest import migrate


@pytest.fixture
async def own_database(database_url: str) -> AsyncIterator[Database]:
    """A fresh, migrated database on the session's server."""
    name = new_id("db")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        url = make_url(database_url).set(database=name).render_as_string(hide_password=False)
        migrate(url)
        database = Database(url)
        yield database
        await database.close()
        connection.execute(f'DROP DATABASE "{name}"')


@pytest.fixture
async def merchant_of_own(own_database: Database) -> CreatedMerchant:
    """A merchant in that database."""
    return await OrganizationActivities(own_database).create_merchant(CreateMerchant("Own"))


@pytest.fixture
async def fresh_url(database_url: str) -> AsyncIterator[str]:
    """A migrated database of its own, to be copied."""
    async with created(database_url) as url:
        migrate(url)
        yield url
