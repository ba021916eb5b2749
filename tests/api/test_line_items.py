"""Line items across a subscription's invoices, over HTTP."""

from typing import Any

import httpx2

from tests.api.by_hand import instant
from tests.api.in_process import CARD, InProcess, Shop

Client = httpx2.AsyncClient
PATH = "/v2/invoices/lineItems"
START = "2026-01-31T00:00:00Z"


async def items(living: Client, **query: Any) -> Any:
    answer = await living.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_pending_lines_carry_estimates_and_invoiced_ones_amounts(
    shop: Shop, living: Client, visitor: Client, commands: InProcess
) -> None:
    product = await shop.product()
    fee = await shop.fee_price(product, "49.00")
    _, usage = await shop.metric_price(product, "0.002")
    clock = await shop.clock(START)
    made = await shop.subscribe(
        await shop.plan(product, fee, usage), testClockId=clock, startedAt=START
    )
    await visitor.post(made["payment"]["checkoutUrl"], data=CARD)
    event = {
        "type": "completion",
        "source": "test",
        "subject": made["customerId"],
        "timestamp": "2026-02-10T00:00:00Z",
        "data": {"tokens": 1500},
    }
    assert (await living.post("/v0/events", json=event)).status_code == 202
    body = await items(living, subscriptionId=made["id"])
    assert body["totalCount"] == 3
    assert body["summary"] == {
        "feeSubtotal": "98.00",
        "meteredEstimatedSubtotal": "3.00",
        "currency": "USD",
    }
    by_type = {(line["type"], line["status"]): line for line in body["data"]}
    metered = by_type["metered", "pending"]
    assert metered["quantity"] is None
    assert metered["invoiceId"] is None
    assert metered["subtotal"] == "0.00"
    assert (metered["estimatedMeteredQuantity"], metered["estimatedSubtotal"]) == ("1500", "3")
    invoiced = by_type["fee", "invoiced"]
    assert invoiced["invoiceId"] == made["payment"]["invoiceId"]
    assert (invoiced["subtotal"], invoiced["taxesTotal"], invoiced["total"]) == (
        "49",
        "4.9",
        "53.9",
    )
    assert invoiced["estimatedSubtotal"] is None
    pending = await items(living, subscriptionId=made["id"], status="pending")
    assert pending["totalCount"] == 2
    assert pending["data"] == [line for line in body["data"] if line["status"] == "pending"]
    stored = await items(living, subscriptionId=made["id"], status="invoiced")
    assert stored["data"] == [invoiced]
    assert stored["summary"]["meteredEstimatedSubtotal"] == "0.00"
    one = await items(living, invoiceId=made["payment"]["invoiceId"], expand="items")
    assert one["data"] == [invoiced]
    assert one["items"] == []
    pages = [
        (await items(living, subscriptionId=made["id"], limit=1, offset=offset))["data"]
        for offset in range(4)
    ]
    assert [line for page in pages for line in page] == body["data"]
    await living.patch(f"/v0/testClocks/{clock}", json={"advanceBy": "P30D"})
    await commands.close_period(shop.merchant_id, made["id"], 1)
    closed = await items(living, subscriptionId=made["id"], status="invoiced")
    assert closed["totalCount"] == 3
    assert next(line for line in closed["data"] if line["type"] == "metered")["quantity"] == "1500"


async def test_what_is_written_for_later_is_pending(
    shop: Shop, living: Client, commands: InProcess
) -> None:
    """A workshop of 50.00 for 10 March: no open invoice takes it before March's own.

    The rest of a credit of 80.00 behind a last invoice of 0.00 is owed, and pending no more.
    """
    product = await shop.product()
    _, usage = await shop.metric_price(product, "0.002")
    clock = await shop.clock(START)
    plan = await shop.plan(product, usage)
    made = await shop.subscribe(plan, testClockId=clock, startedAt=START)
    body = {
        "subscriptionId": made["id"], "displayName": "Workshop", "currency": "USD",
        "quantity": 2, "unitPrice": 25, "invoiceAt": "2026-03-10T00:00:00Z",
    }  # fmt: skip
    later = await shop.post(PATH, **body)
    pending = await items(living, subscriptionId=made["id"], status="pending")
    assert [line["type"] for line in pending["data"]] == ["manual", "metered"]
    assert pending["data"][0] == later
    assert (later["invoiceAt"], later["subtotal"]) == ("2026-03-10T00:00:00Z", "50")
    assert (pending["totalCount"], pending["summary"]["feeSubtotal"]) == (2, "50.00")
    assert (await items(living, subscriptionId=made["id"], limit=1))["data"] == [later]
    (running,) = (await living.get("/v2/invoices", params={"subscriptionId": made["id"]})).json()[
        "data"
    ]
    of_invoice = await items(living, invoiceId=running["id"])
    assert [line["type"] for line in of_invoice["data"]] == ["metered"]
    await shop.post(PATH, **body | {"unitPrice": -65, "displayName": "Goodwill"})
    await living.patch(f"/v0/testClocks/{clock}", json={"advanceBy": "P10D"})
    await living.post(f"/v0/subscriptions/{made['id']}/termination", json={"reason": "x"})
    await commands.issue(shop.merchant_id, running["id"], instant("2026-02-11T00:00:00Z"))
    ended = await items(living, subscriptionId=made["id"])
    assert {(line["displayName"], line["status"]) for line in ended["data"]} == {
        ("Workshop", "invoiced"), ("Goodwill", "invoiced"), ("Tokens", "invoiced"),
    }  # fmt: skip


async def test_lines_come_with_their_items_and_how_they_were_calculated(
    shop: Shop, living: Client, visitor: Client
) -> None:
    """One item with two codes on a billed fee and on a line for later."""
    product = await shop.product()
    item = await shop.post("/v0/items", merchantId=shop.merchant_id, name="Rent", catalogId=product)
    for provider in ("netsuite", "accountsiq"):
        await shop.post(
            "/v0/externalReferences",
            merchantId=shop.merchant_id,
            entityType="item",
            entityId=item["id"],
            provider=provider,
            externalId=f"{provider}-7",
        )
    fee = await shop.fee_price(product, "49.00")
    fee_id = (await living.get(f"/v0/prices/{fee}")).json()["feeId"]
    tagged = await living.patch(f"/v0/fees/{fee_id}", json={"itemId": item["id"]})
    assert tagged.status_code == 200, tagged.text
    made = await shop.subscribe(
        await shop.plan(product, fee), startedAt=START, testClockId=await shop.clock(START)
    )
    await visitor.post(made["payment"]["checkoutUrl"], data=CARD)
    await shop.post(
        PATH, subscriptionId=made["id"], displayName="Later", currency="USD", quantity=1,
        unitPrice=5, itemId=item["id"], invoiceAt="2099-01-01T00:00:00Z",
    )  # fmt: skip
    found = await items(
        living, subscriptionId=made["id"], expand="items,lineProvenance", provider="netsuite"
    )
    (resolved,) = found["items"]
    assert resolved["id"] == item["id"]
    assert [each["externalId"] for each in resolved["externalReferences"]] == ["netsuite-7"]
    traces = {line["status"]: line["provenance"] for line in found["data"]}
    assert traces["pending"] == {"status": "pending"}
    assert traces["invoiced"]["status"] == "recorded"
    assert traces["invoiced"]["result"]["amount"] == "49"
    plain = await items(living, subscriptionId=made["id"])
    assert "items" not in plain
    assert not any("provenance" in line for line in plain["data"])
    everything = await items(living, subscriptionId=made["id"], expand="items")
    assert len(everything["items"][0]["externalReferences"]) == 2


async def test_a_repeated_line_is_answered_whatever_came_since(shop: Shop, living: Client) -> None:
    """Its item is archived before the request comes again; a new line of it is refused."""
    product = await shop.product()
    item = await shop.post("/v0/items", merchantId=shop.merchant_id, name="Rent", catalogId=product)
    _, usage = await shop.metric_price(product, "0.002")
    made = await shop.subscribe(await shop.plan(product, usage))
    body = {
        "subscriptionId": made["id"], "displayName": "Work", "currency": "USD",
        "quantity": 1, "unitPrice": 5, "itemId": item["id"],
    }  # fmt: skip
    key = {"Idempotency-Key": "work"}
    first = await living.post(PATH, json=body, headers=key)
    archived = await living.patch(f"/v0/items/{item['id']}", json={"archived": True})
    assert (first.status_code, archived.status_code) == (201, 200)
    again = await living.post(PATH, json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (await living.post(PATH, json=body | {"unitPrice": 6}, headers=key)).status_code == 409
    assert (await living.post(PATH, json=body)).json()["code"] == "ITEM_ARCHIVED"
    refused = await living.post(PATH, json=body, headers={"Idempotency-Key": "k" * 256})
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_legacy_billing_takes_no_lines_by_hand(shop: Shop, living: Client) -> None:
    product = await shop.product()
    _, usage = await shop.metric_price(product, "0.002")
    made = await shop.subscribe(await shop.plan(product, usage, billingVersion=0))
    body = {
        "subscriptionId": made["id"], "displayName": "Work", "currency": "USD",
        "quantity": 1, "unitPrice": 5,
    }  # fmt: skip
    refused = await living.post(PATH, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "STANDARD_BILLING_ONLY")
    assert (await items(living, subscriptionId=made["id"]))["summary"]["feeSubtotal"] == "0.00"


async def test_somebodys_lines_must_be_named(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    other = await shop.subscribe(await shop.advance_plan())
    invoice = made["payment"]["invoiceId"]
    wrong: list[dict[str, Any]] = [
        {},
        {"invoiceId": invoice, "status": "invoiced"},
        {"subscriptionId": made["id"], "status": "open"},
        {"subscriptionId": made["id"], "expand": "all"},
        {"subscriptionId": made["id"], "limit": 1001},
        {"subscriptionId": made["id"], "offset": 10001},
    ]
    for query in wrong:
        assert (await living.get(PATH, params=query)).status_code == 400, query
    absent: list[dict[str, Any]] = [
        {"subscriptionId": "sub_0"},
        {"invoiceId": "inv_0"},
        {"invoiceId": invoice, "subscriptionId": other["id"]},
    ]
    for query in absent:
        assert (await living.get(PATH, params=query)).status_code == 404, query
    for query in ({"subscriptionId": made["id"]}, {"invoiceId": invoice}):
        assert (await stranger_client.get(PATH, params=query)).status_code == 404
