"""Each served operation through the official client: its status, its members, its parsing."""

import pytest

from tests.contract.drives import CASES
from tests.contract.world import World


@pytest.mark.parametrize("operation_id", CASES)
def test_the_client_is_served(world: World, operation_id: str) -> None:
    before = len(world.exchanges)
    CASES[operation_id](world)
    exchanges = world.exchanges[before:]
    assert operation_id in {each.operation.id for each in exchanges if each.status < 400}
    faults = {(each.operation.id, fault) for each in exchanges for fault in each.faults()}
    assert faults == set()
