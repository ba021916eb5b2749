"""One embedded stack for the fault tests, and a merchant for each story."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from activities.gateways.port import GatewayCharge
from activities.gateways.simulated import SimulatedGateway
from local.demo import stack
from tests.fault.stubborn import PAYING_CARD, Effects, StubbornStory
from tests.scenario.conftest import Addresses, durabill


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stack's data folder."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def addresses(folder: Path) -> Iterator[Addresses]:
    """A running `durabill dev`."""
    with stack(folder) as found:
        yield found


Teller = Callable[..., tuple[StubbornStory, Effects]]


@pytest.fixture(scope="module")
def tell(addresses: Addresses) -> Teller:
    """Tells a story under a merchant of its own and reads its effects."""

    def run(
        before_step: Callable[[], None] = lambda: None, card: str = PAYING_CARD
    ) -> tuple[StubbornStory, Effects]:
        made = durabill(addresses, "merchant", "create", "--name", "Fault", "--json")
        story = StubbornStory({**addresses, **json.loads(made.stdout)}, card)
        subscription_id = story.tell(before_step)
        return story, story.effects(subscription_id, charges(addresses))

    return run


def charges(addresses: Addresses) -> list[GatewayCharge]:
    """The provider's own book."""

    async def read() -> list[GatewayCharge]:
        gateway = SimulatedGateway(addresses["gatewayUrl"])
        try:
            return await gateway.list_charges()
        finally:
            await gateway.close()

    return asyncio.run(read())


@pytest.fixture(scope="module")
def undisturbed(tell: Teller) -> Effects:
    """The effects of the story when nothing dies."""
    return tell()[1]
