"""Senders with a book of their own while PostgreSQL is killed twice and the API once.

Whatever was acknowledged is stored, once, whole; whatever is sent again after no answer too.
"""

import asyncio
import time
from pathlib import Path

from tests.fault.senders import a_merchant, a_metric, check_stored, send_for
from tests.fault.victims import kill
from tests.scenario.conftest import Addresses

SECONDS = 16.0
# Seconds after the start, and who dies then.
DEATHS = ((2.0, "postgres"), (6.0, "api"), (10.0, "postgres"))


async def _deaths(folder: Path) -> int:
    killed, began = 0, time.monotonic()
    for at, victim in DEATHS:
        await asyncio.sleep(began + at - time.monotonic())
        killed += kill(folder, victim)
    return killed


def test_every_acknowledged_event_is_there_once(addresses: Addresses, stack_folder: Path) -> None:
    merchant = a_merchant(addresses)
    metric_id = a_metric(addresses, merchant)
    book, killed = asyncio.run(
        send_for(SECONDS, addresses, merchant["apiKey"], _deaths(stack_folder))
    )
    assert killed == len(DEATHS)
    assert book.refusals == []
    assert book.failures > 0
    assert len(book.acknowledged) > 1000
    check_stored(addresses, merchant, metric_id, book)
