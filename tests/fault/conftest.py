"""Stories told on the session's stack while its processes die; each owns a merchant."""

import asyncio
import json
from collections.abc import Callable

import pytest

from activities.gateways.port import GatewayCharge
from activities.gateways.simulated import SimulatedGateway
from tests.fault.stubborn import PAYING_CARD, Effects, StubbornStory, stubbornly
from tests.scenario.conftest import Addresses, durabill

Teller = Callable[..., tuple[StubbornStory, Effects]]


@pytest.fixture(scope="session")
def tell(addresses: Addresses) -> Teller:
    """Tells a story under a merchant of its own and reads its effects."""

    def run(
        before_step: Callable[[], None] = lambda: None, card: str = PAYING_CARD
    ) -> tuple[StubbornStory, Effects]:
        made = durabill(addresses, "merchant", "create", "--name", "Fault", "--json")
        story = StubbornStory({**addresses, **json.loads(made.stdout)}, card)
        subscription_id = story.tell(before_step)
        # Who died last may only be coming back when the story is over.
        return story, stubbornly(lambda: story.effects(subscription_id, charges(addresses)))

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


@pytest.fixture(scope="session")
def undisturbed(tell: Teller) -> Effects:
    """The effects of the story when nothing dies."""
    return tell()[1]
