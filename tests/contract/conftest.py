"""One merchant for the whole suite, on the session's real stack."""

import json

import pytest

from tests.contract.world import World
from tests.scenario.conftest import Addresses, durabill


@pytest.fixture(scope="session")
def world(addresses: Addresses) -> World:
    """The merchant, driven by the official client."""
    made = durabill(addresses, "merchant", "create", "--name", "Contract", "--json")
    return World({**addresses, **json.loads(made.stdout)})
