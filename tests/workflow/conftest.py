"""One fixture makes the time-skipping environment, and one the worker on it.

Time skips only inside `env.sleep`: awaiting a workflow's result would let time race past every
other open workflow (a known trait of this server).
"""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from worker import WORKFLOWS, workflow_runner
from workflows import attributes
from workflows.options import BILLING_QUEUE, PAYMENTS_QUEUE
from workflows.payloads import DATA_CONVERTER

# This server leaks a time lock now and then when an abandoned child starts: its clock then runs
# at wall speed until the next sleep. A stalled sleep is asked for again, up to the same instant.
STALL_SECONDS = 1.5
SLEEPS_MAX = 60


class Simulation:
    """The environment with the two things a test does: pass time and look at the time."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self.env = env
        self.client = env.client

    async def sleep(self, duration: timedelta) -> None:
        """Lets simulated time pass; everything due in it happens."""
        target = await self.now() + duration
        for _ in range(SLEEPS_MAX):
            remaining = target - await self.now()
            if remaining <= timedelta(0):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.env.sleep(remaining), STALL_SECONDS)
        raise TimeoutError(f"The simulated time does not reach {target}")

    async def now(self) -> datetime:
        """The simulated time."""
        return await self.env.get_current_time()


@pytest.fixture
async def simulation() -> AsyncIterator[Simulation]:
    """A fresh server for each test: it starts in a tenth of a second."""
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=shutil.which("temporal-test-server") or _beside_python(),
        data_converter=DATA_CONVERTER,
    )
    async with env:
        await env.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=env.client.namespace,
                search_attributes=dict.fromkeys(
                    (key.name for key in attributes.ALL),
                    IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                ),
            )
        )
        with env.auto_time_skipping_disabled():
            yield Simulation(env)


def _beside_python() -> str:
    return str(Path(sys.executable).parent / "temporal-test-server")


Working = Callable[[Sequence[Any]], AbstractAsyncContextManager[None]]


@pytest.fixture
def working(simulation: Simulation) -> Working:
    """Works on both task queues with these activities, faked by name."""

    @asynccontextmanager
    async def work(activities: Sequence[Any]) -> AsyncIterator[None]:
        billing = Worker(
            simulation.client,
            task_queue=BILLING_QUEUE,
            workflows=WORKFLOWS,
            activities=activities,
            workflow_runner=workflow_runner(strict=True),
            workflow_failure_exception_types=[Exception],
        )
        payments = Worker(simulation.client, task_queue=PAYMENTS_QUEUE, activities=activities)
        async with billing, payments:
            yield

    return work
