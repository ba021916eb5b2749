"""Usage events over HTTP: accepted once, kept to the last digit."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.database import Database
from models.plans import Plan
from tests.factories import (
    a_customer,
    a_metric,
    a_plan,
    a_product,
    a_subscription,
    a_test_clock,
)

Client = httpx2.AsyncClient

CLOCK = datetime(2031, 5, 5, 12, tzinfo=UTC)
YEAR = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}


class Meter:
    """A metric and a customer who uses it."""

    metric: BillableMetric
    customer: Customer
    plan: Plan


@pytest.fixture
async def meter(database: Database, merchant: CreatedMerchant) -> Meter:
    made = Meter()
    async with database.transaction() as session:
        product = await a_product(session, merchant.merchant_id)
        made.metric = await a_metric(session, product)
        made.plan = await a_plan(session, product)
        made.customer = await a_customer(session, merchant.merchant_id, external_id="ext-1")
    return made


def body(meter: Meter, **members: Any) -> dict[str, Any]:
    return {
        "type": "llm",
        "source": "gateway",
        "subject": meter.customer.id,
        "data": {"tokens": 5},
        "timestamp": "2026-03-01T00:00:00Z",
        **members,
    }


async def total(client: Client, meter: Meter) -> str:
    answer = await client.get(f"/v0/billableMetrics/{meter.metric.id}/meter", params=YEAR)
    assert answer.status_code == 200
    return answer.text.split('"totalValue":')[1].rstrip("}")


async def test_an_event_is_accepted_and_counted(client: Client, meter: Meter) -> None:
    sent = body(meter, externalId="e_1", externalSubject="ext-9", idempotencyKey="k1")
    answer = await client.post("/v0/events", json=sent)
    assert answer.status_code == 202
    event = answer.json()
    assert event["object"] == "event"
    assert event["id"].startswith("evt_")
    assert len(event["id"]) == 36
    assert event["namespace"] == meter.metric.merchant_id
    assert event["timestamp"] == "2026-03-01T00:00:00Z"
    assert event["externalSubject"] == "ext-9"
    assert await total(client, meter) == "5"


async def test_the_same_key_again_answers_what_was_stored_first(
    client: Client, meter: Meter
) -> None:
    first = await client.post("/v0/events", json=body(meter, idempotencyKey="k1"))
    other = body(meter, idempotencyKey="k1", data={"tokens": 7}, timestamp="2026-04-01T00:00:00Z")
    again = await client.post("/v0/events", json=other)
    assert (again.status_code, again.json()) == (202, first.json())
    elsewhere = body(meter, idempotencyKey="k1", source="other")
    assert (await client.post("/v0/events", json=elsewhere)).json()["id"] != first.json()["id"]
    assert await total(client, meter) == "10"


async def test_the_same_event_in_parallel_counts_once(client: Client, meter: Meter) -> None:
    sent = body(meter, idempotencyKey="k1")
    answers = await asyncio.gather(*(client.post("/v0/events", json=sent) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert await total(client, meter) == "5"


async def test_two_merchants_may_use_the_same_key(
    client: Client, stranger_client: Client, meter: Meter, database: Database,
    stranger: CreatedMerchant,
) -> None:  # fmt: skip
    async with database.transaction() as session:
        await a_metric(session, await a_product(session, stranger.merchant_id))
    sent = body(meter, idempotencyKey="k1")
    mine, theirs = (
        await client.post("/v0/events", json=sent),
        await stranger_client.post("/v0/events", json=sent),
    )
    assert mine.json()["id"] != theirs.json()["id"]
    foreign = body(meter, namespace=meter.metric.merchant_id)
    refused = await stranger_client.post("/v0/events", json=foreign)
    assert (refused.status_code, refused.json()["reason"]) == (403, "not_member")


async def test_numbers_keep_every_digit(client: Client, meter: Meter) -> None:
    raw = (
        b'{"type": "llm", "source": "s", "subject": "x", "timestamp": "2026-03-01T00:00:00Z",'
        b' "data": {"tokens": 12345678901234567890.123456789012345678, "huge": 1e30, "y": 0.10}}'
    )
    sent = await client.post(
        "/v0/events", content=raw, headers={"Content-Type": "application/json"}
    )
    assert sent.status_code == 202
    assert await total(client, meter) == "12345678901234567890.123456789012345678"
    listed = await client.get(f"/v0/billableMetrics/{meter.metric.id}/events", params=YEAR)
    assert '"tokens": 12345678901234567890.123456789012345678' in listed.text
    assert '"y": 0.10' in listed.text


async def test_a_fraction_of_many_decimals_is_counted(client: Client, meter: Meter) -> None:
    """1 / 900 has 19 decimals as a float, of which 18 are kept; what a program writes is usage."""
    for value in (1 / 900, str(1 / 900), "1E-7"):
        sent = body(meter, data={"tokens": value})
        assert (await client.post("/v0/events", json=sent)).status_code == 202
    assert await total(client, meter) == "0.002222322222222222"


async def test_a_value_that_is_no_number_is_stored_and_not_counted(
    client: Client, meter: Meter
) -> None:
    for value in ("12.5", "x", True, None, [1], {"a": 1}, "+1"):
        sent = body(meter, data={"tokens": value})
        assert (await client.post("/v0/events", json=sent)).status_code == 202
    assert await total(client, meter) == "12.5"
    listed = await client.get(f"/v0/billableMetrics/{meter.metric.id}/events", params=YEAR)
    assert listed.json()["pagination"]["total"] == 7


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"type": None}, "type"),
        ({"type": "t" * 256}, "type"),
        ({"type": "a\tb"}, "type"),
        ({"source": ""}, "source"),
        ({"data": []}, "data"),
        ({"data": None}, "data"),
        ({"data": {"a": "b" * 70_000}}, "data"),
        ({"subject": None}, "body"),
        ({"subject": "s" * 256}, "subject"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"timestamp": 1767225600}, "timestamp"),
        ({"externalId": "a b"}, "externalId"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"namespace": "prod_1"}, "namespace"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_wrong_fields(
    client: Client, meter: Meter, members: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v0/events", json=body(meter, **members))
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await total(client, meter) == "0"


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e400", "1e101", "1e-99999", "1e-200", "1" * 401, "1" * 5000],
)
async def test_absurd_numbers_are_refused(client: Client, meter: Meter, number: str) -> None:
    raw = f'{{"type": "llm", "source": "s", "subject": "x", "data": {{"tokens": {number}}}}}'
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/v0/events", content=raw.encode(), headers=headers)
    assert answer.status_code == 400
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "data", ['{"a": "\\u0000"}', '{"\\ud800": 1}', '{"a":' * 40 + "1" + "}" * 40]
)
async def test_what_cannot_be_stored_is_refused(client: Client, meter: Meter, data: str) -> None:
    raw = f'{{"type": "llm", "source": "s", "subject": "x", "data": {data}}}'
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/v0/events", content=raw.encode(), headers=headers)
    assert answer.status_code == 400


async def test_a_type_that_nothing_reads_is_422(client: Client, meter: Meter) -> None:
    answer = await client.post("/v0/events", json=body(meter, type="unread"))
    assert (answer.status_code, answer.json()["error"]) == (422, "unprocessable_entity")
    assert answer.json()["code"] == "UNKNOWN_EVENT_TYPE"


async def test_an_unknown_subject_is_accepted(client: Client, meter: Meter) -> None:
    assert (await client.post("/v0/events", json=body(meter, subject="nobody"))).status_code == 202


async def test_without_a_timestamp_it_is_now(client: Client, meter: Meter) -> None:
    sent = body(meter)
    del sent["timestamp"]
    event = (await client.post("/v0/events", json=sent)).json()
    moment = datetime.fromisoformat(event["timestamp"])
    assert abs(moment - meter.customer.created_at) < timedelta(minutes=5)
    assert event["idempotencyKey"]


@pytest.mark.parametrize("by", ["customer", "subscription", "external"])
async def test_on_a_test_clock_now_is_the_clocks_time(
    client: Client, meter: Meter, database: Database, by: str
) -> None:
    async with database.transaction() as session:
        clock = await a_test_clock(
            session, meter.metric.merchant_id, current_time=CLOCK, target_time=CLOCK
        )
        subscription = await a_subscription(
            session, meter.customer, meter.plan, test_clock_id=clock.id
        )
    subjects = {
        "customer": {"subject": meter.customer.id},
        "subscription": {"subject": subscription.id},
        "external": {"externalSubject": "ext-1"},
    }
    sent = body(meter)
    del sent["timestamp"], sent["subject"]
    event = (await client.post("/v0/events", json=sent | subjects[by])).json()
    assert event["timestamp"] == "2031-05-05T12:00:00Z"
    async with database.transaction() as session:
        subscription.status = "terminated"
        await session.merge(subscription)
    event = (await client.post("/v0/events", json=sent | subjects[by])).json()
    assert event["timestamp"] < "2031"
