"""The revenue report over HTTP, against invoices that were really issued."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.api.in_process import CARD, InProcess, Shop

Client = httpx2.AsyncClient

JANUARY = {"startTime": "2030-01-01T00:00:00Z", "endTime": "2030-02-01T00:00:00Z"}
START = "2030-01-10T12:30:00Z"


async def sell(shop: Shop, visitor: Client | None, amount: str, **plan: Any) -> Any:
    """A subscription of 2030; with a visitor, it is paid."""
    clock = await shop.clock(START)
    plan_id = await shop.advance_plan(amount, **plan)
    made = await shop.subscribe(plan_id, testClockId=clock, startedAt=START)
    if visitor is not None:
        assert "Paid" in (await visitor.post(made["payment"]["checkoutUrl"], data=CARD)).text
    return made


async def report(living: Client, **query: Any) -> Any:
    answer = await living.get("/v0/revenue", params=JANUARY | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_revenue_is_what_was_issued_without_tax(
    shop: Shop, living: Client, visitor: Client
) -> None:
    await sell(shop, visitor, "49.00")
    await sell(shop, None, "20.00")
    body = await report(living)
    assert body["object"] == "revenue_summary"
    assert body["currency"] == "USD"
    assert body["netRevenue"] == "69.00"
    assert body["invoices"] == {
        "issued": {"count": 2, "amount": "75.90"},
        "outstanding": {"count": 1, "amount": "22.00"},
        "paid": {"count": 1, "amount": "53.90"},
        "writtenOff": {"count": 0, "amount": "0.00"},
    }
    assert body["totalRefunds"] == "0.00"
    assert "revenueRange" not in body
    assert "groupBreakdown" not in body
    assert len(body["trend"]) == 31
    sold = [bucket for bucket in body["trend"] if bucket["revenue"] != "0.00"]
    assert [bucket["timestamp"] for bucket in sold] == ["2030-01-10T00:00:00Z"]
    assert sold[0]["issuedInvoices"] == "69.00"


@pytest.mark.parametrize("width", ["hour", "day", "week"])
async def test_buckets_sum_to_the_total_and_the_window_excludes_its_end(
    shop: Shop, living: Client, width: str
) -> None:
    await sell(shop, None, "49.99")
    body = await report(living, bucketWidth=width)
    total = sum(Decimal(bucket["revenue"]) for bucket in body["trend"])
    assert total == Decimal(body["netRevenue"]) == Decimal("49.99")
    first = datetime.fromisoformat(body["trend"][0]["timestamp"])
    assert first == datetime.fromisoformat(JANUARY["startTime"])
    assert (await report(living, startTime=START))["netRevenue"] == "49.99"
    until = await report(living, endTime=START)
    assert until["netRevenue"] == "0.00"
    assert until["revenueRange"] == {"from": START, "to": START}


async def test_a_cancelled_first_invoice_is_no_revenue(shop: Shop, living: Client) -> None:
    made = await sell(shop, None, "49.00")
    await shop.post(f"/v0/subscriptions/{made['id']}/termination", reason="r")
    body = await report(living)
    assert body["netRevenue"] == "0.00"
    assert body["revenueRange"] is None


async def test_a_wallet_top_up_is_no_revenue(shop: Shop, living: Client) -> None:
    clock = await shop.clock(START)
    plan = await shop.advance_plan("10.00", billingVersion=0)
    await shop.subscribe(plan, testClockId=clock, startedAt=START, minimumAccountBalance="25.00")
    body = await report(living)
    assert body["netRevenue"] == "10.00"
    assert body["invoices"]["outstanding"]["amount"] == "36.00"


async def test_groups_are_named_and_sum_to_the_total(shop: Shop, living: Client) -> None:
    for amount in ("60", "50", "40", "30", "20", "10"):
        await sell(shop, None, amount, name=f"Plan {amount}", defaultTaxRate=0)
    body = await report(living, groupBy="plan")
    labels = [group["groupLabel"] for group in body["groupBreakdown"]]
    assert labels == ["Plan 60", "Plan 50", "Plan 40", "Plan 30", "Other"]
    assert body["groupBreakdown"][-1]["outstanding"] == {"count": 2, "amount": "30.00"}
    bucket = next(each for each in body["trend"] if each["revenue"] != "0.00")
    assert [group["revenue"] for group in bucket["groupBreakdown"]] == [
        "60.00",
        "50.00",
        "40.00",
        "30.00",
        "30.00",
    ]
    by_customer = await report(living, groupBy="customer")
    assert len(by_customer["groupBreakdown"]) == 6
    assert {group["groupLabel"] for group in by_customer["groupBreakdown"]} == {"Ada"}


async def test_by_currency_every_currency_stands_alone(
    shop: Shop, living: Client, visitor: Client
) -> None:
    await sell(shop, None, "10.00")
    await sell(shop, None, "20.00")
    await sell(shop, None, "1000", currency="JPY")
    await sell(shop, None, "5.00", currency="EUR")
    body = await report(living, groupBy="currency")
    assert set(body) == {"object", "currencyBreakdown"}
    assert [(each["currency"], each["netRevenue"]) for each in body["currencyBreakdown"]] == [
        ("USD", "30.00"),
        ("EUR", "5.00"),
        ("JPY", "1000"),
    ]
    assert (await report(living))["netRevenue"] == "30.00"
    assert (await report(living, currency="JPY"))["netRevenue"] == "1000"


async def test_payment_links_stand_beside_revenue(
    shop: Shop, living: Client, visitor: Client
) -> None:
    paid = await shop.post("/v0/payments", amount="12.50", currency="USD")
    await shop.post("/v0/payments", amount="3.00", currency="USD")
    await visitor.post(paid["paymentUrl"], data=CARD)
    year = {"startTime": paid["createdAt"][:4] + "-01-01T00:00:00Z"}
    year["endTime"] = paid["createdAt"][:4] + "-12-31T23:59:59Z"
    body = await report(living, **year)
    assert body["netRevenue"] == "0.00"
    assert body["payments"]["completedCount"] == 1
    assert body["payments"]["completedAmount"] == "12.50"
    assert body["payments"]["pendingAmount"] == "3.00"
    completed = [bucket["completedPayments"] for bucket in body["trend"]]
    assert sorted(set(completed)) == ["0.00", "12.50"]


async def test_who_sells_by_links_alone_is_told_in_their_currency(
    shop: Shop, living: Client
) -> None:
    made = await shop.post("/v0/payments", amount="3.00", currency="EUR")
    year = made["createdAt"][:4]
    body = await report(
        living, startTime=f"{year}-01-01T00:00:00Z", endTime=f"{year}-12-31T23:59:59Z"
    )
    assert (body["currency"], body["payments"]["pendingAmount"]) == ("EUR", "3.00")


async def test_by_billing_period_lines_count_when_their_window_begins(
    shop: Shop, living: Client, visitor: Client, commands: InProcess
) -> None:
    """The second month's fee is issued with February's boundary and billed for February."""
    made = await sell(shop, visitor, "30.00")
    await living.patch(
        f"/v0/testClocks/{made['testClockId']}", json={"currentTime": "2030-02-12T00:00:00Z"}
    )
    await commands.close_period(shop.merchant_id, made["id"], 1)
    both = {"startTime": "2030-01-01T00:00:00Z", "endTime": "2030-03-01T00:00:00Z"}
    body = await report(living, periodBasis="billingPeriod", **both)
    assert body["netRevenue"] == "60.00"
    assert body["invoices"]["issued"] == {"count": 2, "amount": "66.00"}
    assert body["payments"]["completedCount"] == 0
    sold = [each["timestamp"] for each in body["trend"] if each["revenue"] != "0.00"]
    assert sold == ["2030-01-10T00:00:00Z", "2030-02-10T00:00:00Z"]


async def test_it_can_be_narrowed(shop: Shop, living: Client, stranger_client: Client) -> None:
    first, second = await sell(shop, None, "10.00"), await sell(shop, None, "20.00")
    by_customer = await report(living, customerId=first["customerId"])
    assert by_customer["netRevenue"] == "10.00"
    by_subscription = await report(living, subscriptionIds=[second["id"]])
    assert by_subscription["netRevenue"] == "20.00"
    theirs = await stranger_client.get("/v0/revenue", params=JANUARY)
    assert theirs.json()["netRevenue"] == "0.00"
    foreign = JANUARY | {"merchantId": shop.merchant_id}
    assert (await stranger_client.get("/v0/revenue", params=foreign)).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"startTime": "2030-02-01T00:00:00Z"},
        {"startTime": "2028-01-01T00:00:00Z"},
        {"startTime": "2029-12-31T23:00:00Z", "bucketWidth": "hour"},
        {"startTime": "soon"},
        {"bucketWidth": "month"},
        {"groupBy": "colour"},
        {"currency": "usd"},
        {"currency": "XQQ"},
        {"periodBasis": "paid"},
        {"subscriptionIds": ["inv_1"]},
    ],
)
async def test_wrong_windows_and_filters_are_refused(client: Client, query: dict[str, Any]) -> None:
    answer = await client.get("/v0/revenue", params=JANUARY | query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"]


async def test_a_window_is_required(client: Client) -> None:
    assert (await client.get("/v0/revenue")).status_code == 400
