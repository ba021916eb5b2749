"""Projected invoices: fees and written lines to come, boundary by boundary; nothing is stored."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from tests.api.in_process import InProcess, Shop, accepted

Client = httpx2.AsyncClient
PATH = "/v2/invoices/projected"
START = "2026-01-31T00:00:00Z"


@pytest.fixture
async def owner(shop: Shop, living: Client) -> Any:
    """49.00 a month in arrears with 10 % on top, and tokens: active from 31 January at once."""
    product = await shop.product()
    fee = await shop.fee_price(product, "49.00", paymentTerm="in_arrears")
    _metric, usage = await shop.metric_price(product, "0.002")
    plan = await shop.plan(product, fee, usage)
    clock = await shop.clock(START)
    return await shop.subscribe(
        plan, testClockId=clock, startedAt=START, endingAt="2026-04-15T00:00:00Z"
    )


async def projected(living: Client, owner: Any, **query: Any) -> list[Any]:
    answer = await living.get(PATH, params={"subscriptionId": owner["id"]} | query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def test_fees_to_the_known_end(living: Client, owner: Any) -> None:
    """28 February, 31 March, and 15 April: half of April's 30 days, 24.50 + 2.45."""
    rows = await projected(living, owner, to="2026-12-31T00:00:00Z")
    assert [(row["sequenceNumber"], row["grandTotal"], row["periodEnd"]) for row in rows] == [
        (0, "53.90", "2026-02-28T00:00:00Z"),
        (1, "53.90", "2026-03-31T00:00:00Z"),
        (2, "26.95", "2026-04-15T00:00:00Z"),
    ]
    assert {row["status"] for row in rows} == {"PROJECTED"}
    assert {row["itemCount"] for row in rows} == {1}
    again = await projected(living, owner, to="2026-12-31T00:00:00Z")
    assert [row["id"] for row in again] == [row["id"] for row in rows]
    found = await living.get(f"/v2/invoices/{rows[0]['id']}")
    assert found.status_code == 404


async def written(living: Client, price: float, **members: Any) -> str:
    """A manual line; its id."""
    body = {"displayName": "Written", "currency": "USD", "quantity": 1, "unitPrice": price}
    return str(accepted(await living.post("/v2/invoices/lineItems", json=body | members))["id"])


def totals(rows: list[Any]) -> list[tuple[int, str]]:
    return [(row["sequenceNumber"], row["grandTotal"]) for row in rows]


async def test_written_lines_come_with_the_invoice_that_will_take_them(
    shop: Shop, living: Client, owner: Any, commands: InProcess
) -> None:
    """A set-up of 100.00 and a credit of 300.00 now, training of 80.00 in March, 10.00 in June.

    February: 149.00 + 14.90, all of it credited, 151.00 of the credit are left. March: 129.00 +
    12.90, credited, 22.00 left. On 15 April everything comes: 24.50 + 10.00 - 22.00 = 12.50 + 1.25.
    """
    subscription = {"subscriptionId": owner["id"]}
    set_up = await written(living, 100, **subscription)
    credit = await written(living, -300, **subscription)
    training = await written(living, 80, **subscription, invoiceAt="2026-03-10T00:00:00Z")
    june = await written(living, 10, **subscription, invoiceAt="2026-06-01T00:00:00Z")
    rows = await projected(living, owner, to="2026-12-31T00:00:00Z")
    assert totals(rows) == [(0, "0.00"), (1, "0.00"), (2, "13.75")]
    lines = [row["lineItems"]["lineItems"] for row in rows]
    ids = [{line["eventId"] for line in each} for each in lines]
    assert {set_up, credit} <= ids[0]
    assert training in ids[1]
    assert june in ids[2]
    assert [row["itemCount"] for row in rows] == [len(each) for each in lines] == [3, 3, 3]
    assert [line["totalPrice"] for line in lines[0]] == ["49", "100", "-149"]
    assert await projected(living, owner, to="2026-12-31T00:00:00Z") == rows
    later = {"from": "2026-04-01T00:00:00Z", "to": "2026-12-31T00:00:00Z"}
    assert await projected(living, owner, **later) == rows[2:]
    clock = f"/v0/testClocks/{owner['testClockId']}"
    for number, now in enumerate(("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")):
        accepted(await living.patch(clock, json={"currentTime": now}))
        await commands.close_period(shop.merchant_id, owner["id"], number)
    found = accepted(await living.get("/v2/invoices", params=subscription))["data"]
    stored = {row["sequenceNumber"]: row["id"] for row in found if row["status"] == "PAID"}
    for number in (0, 1):
        path = f"/v2/invoices/{stored[number]}/lineItems"
        billed = accepted(await living.get(path))["lineItems"]
        amounts = [(line["invoiceDisplayName"], line["totalAmount"]) for line in billed]
        assert [each for each in amounts if each[0] != "Tokens"] == [
            (line["invoiceDisplayName"], line["totalAmount"]) for line in lines[number]
        ]
    last = await projected(living, owner, to="2026-12-31T00:00:00Z")
    assert totals(last) == [(2, "13.75")]
    assert {line["eventId"] for line in last[0]["lineItems"]["lineItems"]} >= ids[2] - {
        line["eventId"] for line in lines[2] if line["invoiceDisplayName"] != "Written"
    }


async def test_what_an_ended_invoice_takes_is_not_projected_again(
    shop: Shop, living: Client, owner: Any, commands: InProcess
) -> None:
    """February is in its grace and takes the credit of 120.00 and a line of its own, 5.00.

    54.00 of the credit are used there, 66.00 go on: March 49.00, and 17.00 of April's 24.50.
    """
    await written(living, -120, subscriptionId=owner["id"])
    clock = f"/v0/testClocks/{owner['testClockId']}"
    accepted(await living.patch(clock, json={"currentTime": "2026-02-28T12:00:00Z"}))
    rolled = await SubscriptionActivities(commands.database).roll_period(
        RollPeriod(
            merchant_id=shop.merchant_id,
            subscription_id=owner["id"],
            sequence_number=0,
            now=datetime(2026, 2, 28, tzinfo=UTC),
        )
    )
    assert rolled.closing is not None
    await written(living, 5, invoiceId=rolled.closing.invoice_id)
    rows = await projected(living, owner, to="2026-12-31T00:00:00Z")
    assert totals(rows) == [(1, "0.00"), (2, "8.25")]
    given = [rows[0]["lineItems"]["lineItems"][-1], rows[1]["lineItems"]["lineItems"][-1]]
    assert [line["totalPrice"] for line in given] == ["-49", "-17"]


async def test_a_boundary_with_nothing_but_usage_is_left_out(shop: Shop, living: Client) -> None:
    """Tokens alone, until 10.00 are written for March: number 1 then, and no other."""
    product = await shop.product()
    _, usage = await shop.metric_price(product, "0.002")
    plan = await shop.plan(product, usage)
    made = await shop.subscribe(plan, testClockId=await shop.clock(START), startedAt=START)
    window = {"to": "2026-12-31T00:00:00Z"}
    assert await projected(living, made, **window) == []
    await written(living, 10, subscriptionId=made["id"], invoiceAt="2026-03-01T00:00:00Z")
    assert totals(await projected(living, made, **window)) == [(1, "11.00")]


async def test_the_window_excludes_its_end(living: Client, owner: Any) -> None:
    default = await projected(living, owner)
    assert [row["sequenceNumber"] for row in default] == []
    to_march = await projected(living, owner, to="2026-03-31T00:00:00Z")
    assert [row["sequenceNumber"] for row in to_march] == [0]
    later = await projected(
        living, owner, **{"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}
    )
    assert [row["sequenceNumber"] for row in later] == [1]


@pytest.mark.parametrize(
    "query", [{"to": "2027-02-01T00:00:00Z"}, {"to": "2026-01-30T00:00:00Z"}, {"to": "never"}]
)
async def test_a_window_that_cannot_be_is_refused(
    living: Client, owner: Any, query: dict[str, str]
) -> None:
    answer = await living.get(PATH, params={"subscriptionId": owner["id"], **query})
    assert answer.status_code == 400


async def test_what_has_ended_projects_nothing(living: Client, owner: Any) -> None:
    ended = await living.post(f"/v0/subscriptions/{owner['id']}/termination", json={"reason": "x"})
    assert ended.status_code == 200
    assert await projected(living, owner, to="2026-12-31T00:00:00Z") == []
