"""One merchant for the suite and one for made-up requests, on the session's real stack."""

import json

import pytest

from tests.contract.world import World
from tests.scenario.conftest import Addresses, durabill


@pytest.fixture(scope="session")
def world(addresses: Addresses) -> World:
    """The merchant, driven by the official client."""
    return _world(addresses, "Contract")


@pytest.fixture(scope="session")
def fuzzed_world(addresses: Addresses) -> World:
    """Another merchant, whose objects made-up requests may change as they like."""
    return _world(addresses, "Fuzzed")


def _world(addresses: Addresses, name: str) -> World:
    made = durabill(addresses, "merchant", "create", "--name", name, "--json")
    return World({**addresses, **json.loads(made.stdout)})
