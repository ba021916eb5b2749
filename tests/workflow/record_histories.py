"""Records the histories that the determinism gate replays: run against a stack after the story.

    .venv/bin/python -m tests.workflow.record_histories

Starts a `durabill dev` of its own, tells the story, and writes one history a workflow type into
tests/workflow/histories. Run it with every release; old histories stay, new ones are added.
"""

import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client

from local.demo import stack
from local.story import DECLINES_TWICE_CARD, Numbers, Story, checkout_url
from workflows.connection import connect

HISTORIES = Path(__file__).parent / "histories"


def main() -> None:
    """Records them all."""
    release = sys.argv[1] if len(sys.argv) > 1 else "0.1"
    with tempfile.TemporaryDirectory(prefix="durabill-record-") as folder:
        with stack(Path(folder)) as addresses:
            ids = _tell(addresses)
            asyncio.run(_record(addresses["temporalAddress"], ids, release))


def _tell(addresses: dict[str, str]) -> dict[str, str]:
    """The story, short; the workflow ids by the names of their files."""
    story = Story(addresses, Numbers(events=10), print)
    catalogue, clock_id = story.set_up_catalogue(), story.create_clock()
    customer_id = story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.advance(clock_id, datetime(2026, 3, 1, 9, tzinfo=UTC))
    story.save_card(customer_id, DECLINES_TWICE_CARD)
    story.advance(clock_id, datetime(2026, 4, 5, tzinfo=UTC))
    story.terminate(subscription.id)
    story.advance(clock_id, datetime(2026, 4, 7, tzinfo=UTC))
    wall = _wall_subscription(story, catalogue.plan_id)
    first, second, third, *_ = story.invoices(subscription.id)
    return {
        "subscription": f"subscription/{subscription.id}",
        "subscription-wall-time": f"subscription/{wall}",
        "invoice-close": f"invoice-close/{subscription.id}/1",
        "payment-checkout": f"payment/{first.id}",
        "payment-automatic": f"payment/{second.id}",
        "payment-dunning": f"payment/{third.id}",
        "test-clock": f"test-clock/{clock_id}",
    }


def _wall_subscription(story: Story, plan_id: str) -> str:
    """A subscription in wall time, paid and waiting for its first boundary."""
    subscription = story.client.subscriptions.create(
        name="Wall",
        plan_id=plan_id,
        customer_id=story.create_customer("Wally Wall"),
        started_at=datetime.now(UTC),  # noqa: TID251 - wall time is what is recorded here
    )
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    return subscription.id


async def _record(address: str, ids: dict[str, str], release: str) -> None:
    client: Client = await connect(address, "default")
    for name, workflow_id in ids.items():
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        text = json.dumps(json.loads(history.to_json()), indent=1)
        (HISTORIES / f"{name}-{release}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
