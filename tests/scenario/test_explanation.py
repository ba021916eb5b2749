"""From an invoice to its explanation to the history of the run that drafted it, on real servers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from temporalio.client import Client

from local.story import Numbers, checkout_url
from tests.scenario.conftest import Addresses, StoryMaker

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


async def _type_of(address: str, workflow_id: str, run_id: str) -> str:
    client = await Client.connect(address)
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    return started.workflow_type.name


def test_an_operator_walks_from_a_charge_to_its_history(
    addresses: Addresses, tell_story: StoryMaker
) -> None:
    """1 000 tokens at 0.002 in two events; the run that drafted the invoice says so itself."""
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    clock_id, customer_id = story.create_clock(), story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.use_tokens(customer_id, [800, 200], first=START + timedelta(days=2), prefix="february")
    story.advance(clock_id, START + timedelta(days=30))
    first, second = story.invoices(subscription.id)[:2]

    def explain(invoice_id: str) -> Any:
        answer = httpx2.get(
            f"{addresses['apiUrl']}/internal/v1/invoices/{invoice_id}/explanation",
            headers={"Authorization": f"Bearer {addresses['adminKey']}"},
        )
        assert answer.is_success, answer.text
        return answer.json()

    told = explain(second.id)
    assert (told["isStored"], told["agrees"]) == (True, True)
    (tokens,) = [line for line in told["lines"] if line["displayName"] == "Tokens"]
    assert tokens["steps"]["usage"]["eventCount"] == 2
    assert tokens["steps"]["parts"] == [
        {"kind": "units", "units": "1000", "unitPrice": "0.002", "amount": "2"}
    ]
    drafted = told["workflows"]["drafted"]
    assert drafted["workflowId"] == f"invoice-close/{subscription.id}/1"
    assert drafted["url"].startswith(f"{addresses['temporalUiUrl']}/namespaces/default/workflows/")
    assert httpx2.get(drafted["url"]).status_code == 200
    run = (drafted["workflowId"], drafted["runId"])
    assert asyncio.run(_type_of(addresses["temporalAddress"], *run)) == "InvoiceClose"
    assert explain(first.id)["agrees"] is True
    assert "drafted" not in explain(first.id)["workflows"]
