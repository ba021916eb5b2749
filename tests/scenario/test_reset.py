"""A merchant begins again on the real stack: what ran for the old rows has ended."""

import asyncio
import json
from typing import Any

import httpx2
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from tests.scenario.conftest import Addresses, durabill

ASKED_MAX = 300
ASKED_EVERY_SECONDS = 0.1
START = "2026-01-31T00:00:00Z"


async def status_of(temporal: Client, workflow_id: str) -> WorkflowExecutionStatus | None:
    """How a workflow stands; None where there is none (yet)."""
    try:
        return (await temporal.get_workflow_handle(workflow_id).describe()).status
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return None


async def eventually(temporal: Client, workflow_id: str, wanted: WorkflowExecutionStatus) -> None:
    for _ in range(ASKED_MAX):
        if await status_of(temporal, workflow_id) == wanted:
            return
        await asyncio.sleep(ASKED_EVERY_SECONDS)
    raise TimeoutError(f"{workflow_id} is not {wanted.name}")


async def made(api: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    answer = await api.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def catalogue(api: httpx2.AsyncClient, merchant_id: str) -> str:
    """A plan with a fee in advance."""
    named = {"merchantId": merchant_id, "name": "A", "description": "d"}
    product = (await made(api, "/v0/products", **named))["id"]
    fee = (await made(api, "/v0/fees", productId=product, **named))["id"]
    price = await made(
        api,
        "/v0/prices",
        feeId=fee,
        properties={"unitPrice": "10"},
        paymentTerm="in_advance",
        billingCadence="P1M",
        invoiceDisplayName="Fee",
    )
    plan = await made(
        api,
        "/v0/plans",
        merchantId=merchant_id,
        productId=product,
        name="Pro",
        currency="USD",
        prices=[price["id"]],
    )
    return str(plan["id"])


async def subscribe(api: httpx2.AsyncClient, merchant_id: str, plan: str) -> Any:
    consumer = {
        "name": "Ada",
        "email": "ada@example.com",
        "address": {"country": "DE", "zipCode": "10115"},
    }
    customer = await made(api, "/v0/customers", merchantId=merchant_id, consumer=consumer)
    clock = await made(api, "/v0/testClocks", currentTime=START)
    return await made(
        api,
        "/v0/subscriptions",
        name="Sub",
        planId=plan,
        customerId=customer["customerId"],
        startedAt=START,
        testClockId=clock["id"],
    )


async def test_a_reset_ends_what_ran_and_the_merchant_begins_again(addresses: Addresses) -> None:
    merchant = json.loads(
        durabill(addresses, "merchant", "create", "--name", "Again", "--json").stdout
    )
    merchant_id = merchant["merchantId"]
    temporal = await Client.connect(addresses["temporalAddress"])
    async with httpx2.AsyncClient(
        base_url=addresses["apiUrl"],
        headers={"Authorization": f"Bearer {merchant['apiKey']}"},
        timeout=30,
    ) as api:
        plan = await catalogue(api, merchant_id)
        first = f"subscription/{(await subscribe(api, merchant_id, plan))['id']}"
        await eventually(temporal, first, WorkflowExecutionStatus.RUNNING)
        reset = {"scope": "merchant", "keepCatalog": True}
        answer = await api.post(f"/v0/merchants/{merchant_id}/reset", json=reset)
        assert answer.status_code == 204
        assert await status_of(temporal, first) == WorkflowExecutionStatus.TERMINATED
        assert (await api.get("/v0/subscriptions")).json()["pagination"]["total"] == 0
        second = f"subscription/{(await subscribe(api, merchant_id, plan))['id']}"
        await eventually(temporal, second, WorkflowExecutionStatus.RUNNING)
    proved = durabill(addresses, "reconcile")
    assert proved.returncode == 0, proved.stdout
