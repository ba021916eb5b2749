"""Projected invoices: the fees to come, boundary by boundary; nothing is stored."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import Shop

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
