"""Stories on the session's stack; each owns a merchant, or shares one with its whole module.

A module of tales says when its shop opens (`OPENED`), how long late usage is waited for (`GRACE`)
and whether invoices are issued without a person (`AUTO_APPROVE`); all of its tales are told on one
clock (see `stage`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from activities.gateways.simulated import SimulatedGateway
from activities.organizations import CreateMerchant, OrganizationActivities
from activities.reconciliation import ReconciliationActivities
from local.dev import program
from local.story import Numbers, Story
from models.database import Database
from tests.scenario.shop import Shop
from tests.scenario.stage import Playbill, name_of, perform, tales_of

Addresses = dict[str, str]
StoryMaker = Callable[[Numbers], Story]


@pytest.fixture
def tell_story(addresses: Addresses) -> StoryMaker:
    """A story of a merchant of its own."""

    def make(numbers: Numbers) -> Story:
        merchant = json.loads(
            durabill(addresses, "merchant", "create", "--name", "Story", "--json").stdout
        )
        return Story({**addresses, **merchant}, numbers, lambda _step: None)

    return make


def durabill(addresses: Addresses, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line against this stack."""
    environment = {
        **os.environ,
        "DURABILL_DATABASE_URL": addresses["databaseUrl"],
        "DURABILL_TEMPORAL_ADDRESS": addresses["temporalAddress"],
        "DURABILL_GATEWAY_URL": addresses["gatewayUrl"],
    }
    return subprocess.run(
        [sys.executable, str(program()), *arguments],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each tale of the module."""
    if "tale" in metafunc.fixturenames:
        metafunc.parametrize("tale", tales_of(metafunc.module.__name__), ids=name_of)


@pytest.fixture(scope="module")
async def shop(addresses: Addresses, request: pytest.FixtureRequest) -> Shop:
    """The module's merchant, on a clock that stands at its opening."""
    module = request.module
    database = Database(addresses["databaseUrl"])
    organizations = OrganizationActivities(database)
    merchant = await organizations.create_merchant(CreateMerchant(module.__name__))
    switches = {
        "grace_period": getattr(module, "GRACE", "PT24H"),
        "auto_approve": getattr(module, "AUTO_APPROVE", True),
    }
    await organizations.change_merchant(merchant.merchant_id, switches)
    await database.close()
    return Shop(addresses, merchant, module.OPENED)


@pytest.fixture(scope="module")
def playbill(shop: Shop, request: pytest.FixtureRequest) -> Playbill:
    """How the tales that this run asked for ended."""
    asked = {
        item.callspec.params["tale"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        if item.module is request.module and "tale" in item.fixturenames
    }
    return perform(shop, [tale for tale in tales_of(request.module.__name__) if tale in asked])


@pytest.fixture
async def difference(addresses: Addresses, playbill: Playbill) -> str | None:
    """What `durabill reconcile` would find wrong after the tales."""
    database = Database(addresses["databaseUrl"])
    gateway = SimulatedGateway(addresses["gatewayUrl"])
    try:
        return await ReconciliationActivities(database, gateway).first_difference()
    finally:
        await gateway.close()
        await database.close()
