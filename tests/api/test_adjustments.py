"""Adjustments over HTTP: what may be agreed, shown live, billed, and taken back."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import InProcess, Shop, accepted, hours_ago

Client = httpx2.AsyncClient
START = "2026-01-31T00:00:00Z"
PERIOD_END = "2026-02-28T00:00:00Z"


class Deal:
    """A subscription to seats in arrears and tokens, whose adjustments are agreed over HTTP."""

    def __init__(self, shop: Shop, client: Client) -> None:
        self.shop, self.client = shop, client
        self.id = self.customer = self.seats = self.tokens = self.clock = ""

    async def open(self) -> "Deal":
        product = await self.shop.product()
        self.seats = await self.shop.fee_price(
            product, "10.00", paymentTerm="in_arrears", quantity=2
        )
        _, self.tokens = await self.shop.metric_price(product, "0.50")
        self.clock = await self.shop.clock(START)
        made = await self.shop.subscribe(
            await self.shop.plan(product, self.seats, self.tokens),
            startedAt=START,
            testClockId=self.clock,
        )
        self.id, self.customer = made["id"], made["customerId"]
        return self

    @property
    def path(self) -> str:
        return f"/v0/subscriptions/{self.id}/adjustments"

    async def agree(self, kind: str, value: str, **members: Any) -> httpx2.Response:
        body = {"type": kind, kind: value, "effectiveFrom": START} | members
        return await self.client.post(self.path, json=body)

    async def use(self, tokens: int) -> None:
        event = {
            "type": "completion",
            "source": "test",
            "subject": self.customer,
            "timestamp": "2026-02-10T00:00:00Z",
            "data": {"tokens": tokens},
        }
        assert (await self.client.post("/v0/events", json=event)).status_code == 202

    async def listed(self) -> Any:
        return accepted(await self.client.get(self.path))

    async def invoice(self) -> dict[str, Any]:
        query: dict[str, str | int] = {"subscriptionId": self.id, "limit": 100}
        found = accepted(await self.client.get("/v2/invoices", params=query))["data"]
        return dict(min(found, key=lambda each: each["sequenceNumber"]))

    async def close(self, commands: InProcess) -> dict[str, Any]:
        body = {"currentTime": "2026-03-01T00:00:00Z"}
        await self.client.patch(f"/v0/testClocks/{self.clock}", json=body)
        await commands.close_period(self.shop.merchant_id, self.id, 0)
        return await self.invoice()


@pytest.fixture
async def deal(shop: Shop, living: Client) -> Deal:
    return await Deal(shop, living).open()


async def test_a_deal_is_shown_on_the_open_invoice_and_billed_at_the_close(
    deal: Deal, commands: InProcess
) -> None:
    """3 seats at 10 and 60 of 100 tokens at 0.50 are 60.00; 25 % off leaves 45.00, tax 4.50."""
    await deal.use(100)
    assert (await deal.invoice())["subtotal"] == "70.00"
    await deal.agree("minimumQuantity", "3", targetPriceIds=[deal.seats])
    await deal.agree("usageDiscount", "40", targetPriceIds=[deal.tokens])
    await deal.agree("percentageDiscount", "0.25", description="Launch")
    open_invoice = await deal.invoice()
    assert (open_invoice["subtotal"], open_invoice["totalTax"]) == ("45.00", "4.50")
    assert open_invoice["itemCount"] == 4
    closed = await deal.close(commands)
    assert (closed["status"], closed["subtotal"], closed["grandTotal"]) == (
        "ISSUED", "45.00", "49.50",
    )  # fmt: skip
    query = {"invoiceId": closed["id"]}
    items = accepted(await deal.client.get("/v2/invoices/lineItems", params=query))["data"]
    assert [(each["type"], each["quantity"], each["subtotal"]) for each in items] == [
        ("fee", "3", "30"),
        ("adjustment", "1", "-7.5"),
        ("metered", "60", "30"),
        ("adjustment", "1", "-7.5"),
    ]
    metered, discount = items[2], items[3]
    waiver = (await deal.listed())["data"][1]
    assert (metered["meteredQuantity"], metered["usageDiscountIds"]) == ("100", [waiver["id"]])
    assert items[0]["usageDiscountIds"] == []
    assert (discount["displayName"], discount["paymentTerm"]) == ("Launch", None)
    lines = accepted(await deal.client.get(f"/v2/invoices/{closed['id']}/lineItems"))["lineItems"]
    assert [each["eventType"] for each in lines] == ["fee", "discount", "usage", "discount"]


async def test_what_was_agreed_is_listed_with_the_oldest_window_first(deal: Deal) -> None:
    later = accepted(await deal.agree("percentageDiscount", "0.350000", effectiveFrom=PERIOD_END))
    first = accepted(await deal.agree("maximumQuantity", "5", targetPriceIds=[deal.seats]))
    assert first == {
        "object": "subscriptionAdjustment",
        "id": first["id"],
        "subscriptionId": deal.id,
        "type": "maximumQuantity",
        "percentageDiscount": None,
        "usageDiscount": None,
        "minimumQuantity": None,
        "maximumQuantity": "5",
        "targetPriceIds": [deal.seats],
        "effectiveFrom": START,
        "effectiveTo": None,
        "description": None,
        "createdAt": first["createdAt"],
    }
    assert (later["percentageDiscount"], later["targetPriceIds"]) == ("0.35", [])
    assert (await deal.listed())["data"] == [first, later]
    page = accepted(await deal.client.get(deal.path, params={"limit": 1, "offset": 1}))
    assert page["data"] == [later]
    assert page["pagination"]["total"] == 2


async def test_a_key_makes_one_adjustment(deal: Deal) -> None:
    made = await deal.agree("percentageDiscount", "0.35", idempotencyKey="deal-1")
    again = await deal.agree("percentageDiscount", "0.35", idempotencyKey="deal-1")
    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json() == made.json()
    other = await deal.agree("percentageDiscount", "0.36", idempotencyKey="deal-1")
    assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")
    assert (await deal.listed())["pagination"]["total"] == 1


@pytest.mark.parametrize(
    ("kind", "value", "members", "field"),
    [
        ("percentageDiscount", "0", {}, "percentageDiscount"),
        ("percentageDiscount", "1.000001", {}, "percentageDiscount"),
        ("percentageDiscount", "0.1234567", {}, "percentageDiscount"),
        ("percentageDiscount", "-0.5", {}, "percentageDiscount"),
        ("percentageDiscount", "5e-1", {}, "percentageDiscount"),
        ("percentageDiscount", "0.5", {"effectiveTo": START}, "effectiveTo"),
        ("percentageDiscount", "0.5", {"targetPriceIds": ["price_1"]}, "targetPriceIds"),
        ("usageDiscount", "0", {"targetPriceIds": ["price_1"]}, "usageDiscount"),
        ("usageDiscount", "1_000", {"targetPriceIds": ["price_1"]}, "usageDiscount"),
        ("usageDiscount", "1", {}, "targetPriceIds"),
        ("usageDiscount", "1", {"targetPriceIds": []}, "targetPriceIds"),
        ("usageDiscount", "1", {"targetPriceIds": ["price_1", "price_2"]}, "targetPriceIds"),
        ("usageDiscount", "1", {"targetPriceIds": ["price_1"]}, "targetPriceIds"),
        ("minimumQuantity", "1" * 35, {"targetPriceIds": ["price_1"]}, "minimumQuantity"),
        ("generosity", "1", {}, "type"),
    ],
)
async def test_what_cannot_be_agreed(
    deal: Deal, kind: str, value: str, members: dict[str, Any], field: str
) -> None:
    answer = await deal.agree(kind, value, **members)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert (await deal.listed())["data"] == []


async def test_seats_are_no_usage_that_could_be_waived(deal: Deal) -> None:
    answer = await deal.agree("usageDiscount", "1", targetPriceIds=[deal.seats])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "targetPriceIds"


async def test_what_was_never_billed_is_gone(deal: Deal) -> None:
    await deal.use(100)
    made = accepted(await deal.agree("percentageDiscount", "1"))
    assert (await deal.invoice())["subtotal"] == "0.00"
    gone = await deal.client.delete(f"{deal.path}/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await deal.invoice())["subtotal"] == "70.00"
    assert (await deal.listed())["data"] == []
    assert (await deal.client.delete(f"{deal.path}/{made['id']}")).status_code == 404


async def test_what_was_billed_ends_with_its_last_period(deal: Deal, commands: InProcess) -> None:
    await deal.use(100)
    made = accepted(await deal.agree("percentageDiscount", "0.5"))
    early = accepted(
        await deal.agree("percentageDiscount", "0.5", effectiveTo="2026-02-14T00:00:00Z")
    )
    closed = await deal.close(commands)
    for _time in range(2):
        answer = await deal.client.delete(f"{deal.path}/{made['id']}")
        assert answer.status_code == 200
        assert answer.json() == made | {"effectiveTo": PERIOD_END}
    # Its window ended before the period did: a delete never makes it longer.
    kept = accepted(await deal.client.delete(f"{deal.path}/{early['id']}"))
    assert kept["effectiveTo"] == "2026-02-14T00:00:00Z"
    assert await deal.invoice() == closed


async def test_usage_that_comes_late_is_billed_under_the_deal_of_its_period(
    deal: Deal, commands: InProcess
) -> None:
    """40 of 100 tokens were waived and half was off: 30.00 - 15.00. 20 more are 10.00, so 5.00."""
    await deal.use(100)
    waiver = accepted(await deal.agree("usageDiscount", "40", targetPriceIds=[deal.tokens]))
    rate = accepted(await deal.agree("percentageDiscount", "0.5", effectiveTo=PERIOD_END))
    await deal.close(commands)
    await deal.use(20)
    for each in (waiver, rate):
        assert (await deal.client.delete(f"{deal.path}/{each['id']}")).status_code == 200
    query = {"subscriptionId": deal.id, "status": "pending"}
    pending = accepted(await deal.client.get("/v2/invoices/lineItems", params=query))["data"]
    late = {each["displayName"]: each for each in pending}["Tokens (late usage)"]
    assert late["estimatedSubtotal"] == "5"
    assert len([each for each in pending if each["type"] == "adjustment"]) == 0


async def test_a_deal_needs_an_invoice_to_come(
    shop: Shop, living: Client, stranger_client: Client
) -> None:
    made = await shop.subscribe(await shop.advance_plan(), startedAt=hours_ago(1))
    path = f"/v0/subscriptions/{made['id']}/adjustments"
    body = {"type": "percentageDiscount", "percentageDiscount": "1", "effectiveFrom": START}
    absent = "/v0/subscriptions/sub_0/adjustments"
    assert (await living.post(absent, json=body)).status_code == 404
    assert (await living.get(absent)).status_code == 404
    assert (await living.delete(f"{path}/adj_0")).status_code == 404
    assert (await stranger_client.get(path)).status_code == 404
    ended = await living.post(f"/v0/subscriptions/{made['id']}/termination", json={"reason": "r"})
    assert ended.status_code == 200
    assert (await living.post(path, json=body)).status_code == 409
