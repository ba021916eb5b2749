"""Invoices over HTTP: open ones live, issued ones as stored."""

from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.api.in_process import CARD, InProcess, Shop

Client = httpx2.AsyncClient
PATH = "/v2/invoices"
START = "2026-01-31T00:00:00Z"


@pytest.fixture
async def story(shop: Shop, living: Client, visitor: Client) -> Any:
    """A paid first invoice of 49.00 + 10 %, a running month with 1 000 tokens at 0.002."""
    product = await shop.product()
    fee = await shop.fee_price(product, "49.00")
    metric, usage = await shop.metric_price(product, "0.002")
    plan = await shop.plan(product, fee, usage)
    clock = await shop.clock(START)
    made = await shop.subscribe(plan, testClockId=clock, startedAt=START)
    paid = await visitor.post(made["payment"]["checkoutUrl"], data=CARD)
    assert "<h1>Paid</h1>" in paid.text
    for number in range(4):
        event = {
            "type": "completion",
            "source": "test",
            "subject": made["customerId"],
            "idempotencyKey": f"e{number}",
            "timestamp": "2026-02-10T00:00:00Z",
            "data": {"tokens": 250},
        }
        assert (await living.post("/v0/events", json=event)).status_code == 202
    return {"subscription": made, "metric": metric, "usage": usage, "fee": fee, "clock": clock}


async def listed(living: Client, **query: Any) -> list[Any]:
    answer = await living.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def test_the_first_invoice_is_what_was_paid(living: Client, story: Any) -> None:
    first = (await listed(living, subscriptionId=story["subscription"]["id"]))[1]
    assert first["sequenceNumber"] == 0
    assert first["status"] == "PAID"
    assert (first["subtotal"], first["totalTax"], first["grandTotal"]) == ("49.00", "4.90", "53.90")
    assert (first["paidAmount"], first["unpaidAmount"]) == ("53.90", "0.00")
    assert first["invoiceNumber"] == "INV-2026-01-001"
    assert first["issuedAt"] == START
    assert first["dueAt"] == START
    assert first["paymentUrl"] is None
    assert first["itemCount"] == 1
    assert (first["periodStart"], first["periodEnd"]) == (START, "2026-02-28T00:00:00Z")
    assert "lineItems" not in first
    assert "paymentInFlight" not in first


async def test_an_open_invoice_is_live(living: Client, story: Any) -> None:
    rows = await listed(living, status="ACTIVE")
    assert len(rows) == 1
    running = rows[0]
    assert running["sequenceNumber"] == 1
    assert (running["subtotal"], running["totalTax"]) == ("51.00", "5.10")
    assert (running["grandTotal"], running["unpaidAmount"]) == ("56.10", "56.10")
    assert running["itemCount"] == 2
    assert (running["periodStart"], running["periodEnd"]) == (START, "2026-03-31T00:00:00Z")
    assert running["nextActionAt"] == "2026-02-28T00:00:00Z"
    assert running["invoiceNumber"] is None
    single = await living.get(f"{PATH}/{running['id']}", params={"expand": "lineItems"})
    body = single.json()
    assert body["paymentInFlight"] is False
    lines = {line["eventType"]: line for line in body["lineItems"]["lineItems"]}
    usage, fee = lines["usage"], lines["fee"]
    assert (usage["quantity"], usage["unitPrice"]) == (1000, "0.002")
    assert (usage["totalPrice"], usage["totalTax"], usage["totalAmount"]) == ("2", "0.2", "2.2")
    assert usage["taxRate"] == 0.1
    assert usage["billableMetricId"] == usage["eventSourceId"] == story["metric"]
    assert usage["priceId"] == story["usage"]
    assert (usage["metricName"], usage["metricUnit"]) == ("Tokens used", "token")
    assert (usage["periodStart"], usage["periodEnd"]) == (START, "2026-02-28T00:00:00Z")
    assert usage["paymentTerm"] == "in_arrears"
    assert fee["billableMetricId"] == fee["meterEventId"] == ""
    assert fee["paymentTerm"] == "in_advance"
    assert (fee["periodStart"], fee["periodEnd"]) == (
        "2026-02-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
    )


async def test_what_was_live_is_what_is_issued(
    living: Client, visitor: Client, story: Any, commands: InProcess, shop: Shop
) -> None:
    live = (await listed(living, status="ACTIVE"))[0]
    await living.patch(f"/v0/testClocks/{story['clock']}", json={"advanceBy": "P30D"})
    await commands.close_period(shop.merchant_id, story["subscription"]["id"], 1)
    issued = (await living.get(f"{PATH}/{live['id']}", params={"expand": "items"})).json()
    assert issued["status"] == "ISSUED"
    for name in ("subtotal", "totalTax", "grandTotal", "itemCount", "periodStart", "periodEnd"):
        assert issued[name] == live[name]
    assert issued["lineItems"]["items"] == []
    assert issued["lineItems"]["totalCount"] == 2
    assert issued["paymentUrl"].startswith("http://durabill.test/checkout/")
    total = sum(Decimal(line["totalAmount"]) for line in issued["lineItems"]["lineItems"])
    assert total == Decimal(issued["grandTotal"])
    active = await listed(living, status="ACTIVE")
    assert [row["sequenceNumber"] for row in active] == [2]
    assert "<h1>Paid</h1>" in (await visitor.post(issued["paymentUrl"], data=CARD)).text
    paid = (await living.get(f"{PATH}/{live['id']}")).json()
    assert (paid["status"], paid["unpaidAmount"]) == ("PAID", "0.00")
    assert paid["paymentUrl"] is None


async def test_lines_come_in_pages(living: Client, story: Any) -> None:
    running = (await listed(living, status="ACTIVE"))[0]
    path = f"{PATH}/{running['id']}/lineItems"
    whole = (await living.get(path)).json()
    assert (whole["totalCount"], whole["nextPageToken"]) == (2, None)
    assert whole["invoiceId"] == running["id"]
    assert "items" not in whole
    first = (await living.get(path, params={"limit": 1})).json()
    following = {"limit": 1, "pageToken": first["nextPageToken"]}
    second = (await living.get(path, params=following)).json()
    assert [*first["lineItems"], *second["lineItems"]] == whole["lineItems"]
    assert second["nextPageToken"] is None
    for wrong in ({"limit": 0}, {"limit": 1001}, {"pageToken": "x"}, {"expand": "everything"}):
        answer = await living.get(path, params=wrong)
        assert answer.status_code == 400, wrong
        assert answer.json()["errors"][0]["field"] in wrong


async def test_a_cancelled_invoice_is_owed_by_nobody(shop: Shop, living: Client) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    invoice = made["payment"]["invoiceId"]
    pending = (await living.get(f"{PATH}/{invoice}")).json()
    assert (pending["status"], pending["unpaidAmount"]) == ("ISSUED", "53.90")
    assert pending["paymentUrl"] == made["payment"]["checkoutUrl"]
    await shop.post(f"/v0/subscriptions/{made['id']}/termination", reason="r")
    cancelled = (await living.get(f"{PATH}/{invoice}")).json()
    assert (cancelled["status"], cancelled["unpaidAmount"]) == ("CANCELLED", "0.00")
    assert cancelled["grandTotal"] == "53.90"
    assert cancelled["paymentUrl"] is None


async def test_a_start_in_the_future_shows_its_first_invoice(shop: Shop, living: Client) -> None:
    clock = await shop.clock(START)
    made = await shop.subscribe(
        await shop.advance_plan(), testClockId=clock, startedAt="2026-03-01T00:00:00Z"
    )
    rows = await listed(living, subscriptionId=made["id"])
    assert [(row["status"], row["grandTotal"]) for row in rows] == [("ACTIVE", "53.90")]
    assert rows[0]["periodStart"] == "2026-03-01T00:00:00Z"


async def test_inclusive_tax_keeps_the_catalogues_amount(shop: Shop, living: Client) -> None:
    made = await shop.subscribe(await shop.advance_plan("9.99", taxBehavior="inclusive"))
    invoice = made["payment"]["invoiceId"]
    body = (await living.get(f"{PATH}/{invoice}", params={"expand": "lineItems"})).json()
    assert body["grandTotal"] == "9.99"
    assert body["lineItems"]["lineItems"][0]["totalAmount"] == "9.99"


async def test_lists_are_narrowed_and_bounded(
    living: Client, story: Any, stranger_client: Client, shop: Shop
) -> None:
    customer = story["subscription"]["customerId"]
    assert len(await listed(living, customerId=customer)) == 2
    assert await listed(living, customerId=await shop.customer()) == []
    assert await listed(living, status="ISSUED") == []
    assert len(await listed(living, limit=1, offset=1)) == 1
    assert await listed(living, offset=10000) == []
    for wrong in ({"offset": 10001}, {"limit": 101}, {"status": "OPEN"}, {"nextActionAt": "x"}):
        assert (await living.get(PATH, params=wrong)).status_code == 400
    ready = await living.get(PATH, params={"nextActionAt": "ready"})
    assert ready.status_code == 403
    assert (await stranger_client.get(PATH)).json()["data"] == []
    invoice = story["subscription"]["payment"]["invoiceId"]
    for path in (f"{PATH}/{invoice}", f"{PATH}/{invoice}/lineItems"):
        assert (await stranger_client.get(path)).status_code == 404
    assert (await living.get(f"{PATH}/sub_1")).status_code == 404
    assert (await living.get(f"{PATH}/inv_0")).status_code == 404
