"""The ten operations that only the older client still has, through that client."""

import asyncio
from decimal import Decimal
from functools import cached_property
from typing import Any

import pytest
from paygentic_sdk.models import PlanLineInput

from activities.reservations import ReservationActivities, TopUp
from models.base import wall_now
from models.database import Database
from tests.contract import older_client
from tests.contract.older_drives import CASES, Legacy
from tests.contract.world import World


class LegacyOfWorld(Legacy):
    """What a version 0 story needs, on the suite's stack."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def merchant_id(self) -> str:
        return self._world.merchant_id

    @property
    def metric_id(self) -> str:
        return self._world.catalogue.metric_id

    @cached_property
    def customer_id(self) -> str:
        """A customer on a version 0 plan, with 100.00 on the wallet."""
        lines: list[PlanLineInput | str] = [self._world.catalogue.token_price_id]
        plan = self._world.client.plans.create(
            name="Prepaid",
            currency="USD",
            merchant_id=self.merchant_id,
            product_id=self._world.catalogue.product_id,
            prices=lines,
            billing_version=0,
        )
        customer_id = self._world.a_customer()
        made = self._world.client.subscriptions.create(
            name="Prepaid", plan_id=plan.id, customer_id=customer_id, started_at=wall_now()
        )
        self._world.await_status(made.id, "active")
        asyncio.run(self._top_up(customer_id))
        return customer_id

    @property
    def priced_fee(self) -> tuple[str, str]:
        return self._world.fee_id, self._world.subscription.id

    async def _top_up(self, customer_id: str) -> None:
        database = Database(self._world.addresses["databaseUrl"])
        try:
            await ReservationActivities(database).top_up(
                TopUp(
                    merchant_id=self.merchant_id,
                    customer_id=customer_id,
                    currency="USD",
                    top_up_id=f"top-up-{customer_id}",
                    amount=Decimal("100.00"),
                    now=wall_now(),
                )
            )
        finally:
            await database.close()

    def ask(self, client: str, **arguments: Any) -> Any:
        addresses = self._world.addresses
        exchange = older_client.ask(addresses["apiUrl"], addresses["apiKey"], client, arguments)
        self._world.exchanges.append(exchange)
        return exchange.body


@pytest.fixture(scope="module")
def legacy(world: World) -> LegacyOfWorld:
    """The older client, installed on demand."""
    try:
        older_client.python_of_older_client()
    except older_client.OlderClientMissing as error:
        pytest.skip(f"The older client cannot be installed here: {error}")
    return LegacyOfWorld(world)


@pytest.mark.parametrize("operation_id", CASES)
def test_the_older_client_is_served(legacy: LegacyOfWorld, world: World, operation_id: str) -> None:
    before = len(world.exchanges)
    CASES[operation_id](legacy)
    exchanges = world.exchanges[before:]
    assert operation_id in {each.operation.id for each in exchanges if each.status < 400}
    faults = {(each.operation.id, fault) for each in exchanges for fault in each.faults()}
    assert faults == set()
