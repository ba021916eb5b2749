"""A minute of events without a pause: the API's memory stays flat, and nothing is lost or twice.

DURABILL_SOAK_SECONDS=600 makes it the long one.
"""

import asyncio
import os
from pathlib import Path

import pytest

from tests.fault.senders import a_merchant, a_metric, check_stored, send_for
from tests.fault.victims import child_pid
from tests.scenario.conftest import Addresses

SECONDS = float(os.environ.get("DURABILL_SOAK_SECONDS", "60"))
SAMPLES = 10
MEMORY_MIB_MAX = 250
GROWTH_MAX = 1.15


async def _memory(folder: Path) -> list[float]:
    """The API's, sampled over the time; the first tenth of it warms up."""
    found = []
    for _ in range(SAMPLES):
        await asyncio.sleep(SECONDS / (SAMPLES + 1))
        found.append(_mebibytes(child_pid(folder, "api")))
    return found


def _mebibytes(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.timeout(SECONDS + 240)
def test_a_minute_of_events(addresses: Addresses, stack_folder: Path) -> None:
    merchant = a_merchant(addresses)
    metric_id = a_metric(addresses, merchant)
    pid = child_pid(stack_folder, "api")
    book, memory = asyncio.run(
        send_for(SECONDS, addresses, merchant["apiKey"], _memory(stack_folder))
    )
    assert child_pid(stack_folder, "api") == pid
    assert book.refusals == []
    assert book.failures == 0
    check_stored(addresses, merchant, metric_id, book)
    print(f"{len(book.sent)} events; memory of the API in MiB: {[round(each) for each in memory]}")
    assert max(memory) <= MEMORY_MIB_MAX
    assert memory[-1] <= memory[0] * GROWTH_MAX
