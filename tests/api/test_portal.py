"""The customer's portal, as a browser without scripts sees it."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from activities.organizations import CreatedMerchant
from models.base import wall_now
from models.database import Database
from tests.api.in_process import InProcess, Shop
from tests.conftest import client_of

Client = httpx2.AsyncClient
START = "2026-01-31T00:00:00Z"


async def _link(living: Client, subscription: Any, **body: Any) -> Any:
    path = f"/v0/subscriptions/{subscription['id']}/portal"
    return await living.post(path, json=body)


async def _metered(shop: Shop, unit_price: str = "2") -> Any:
    product = await shop.product()
    _, price = await shop.metric_price(product, unit_price)
    plan = await shop.plan(product, price)
    clock = await shop.clock(START)
    return await shop.subscribe(plan, testClockId=clock, startedAt=START)


async def test_it_shows_the_usage_of_the_running_period(
    shop: Shop, living: Client, visitor: Client
) -> None:
    made = await _metered(shop)
    await living.post(
        "/v0/events",
        json={
            "type": "completion", "source": "test", "subject": made["customerId"],
            "timestamp": "2026-02-01T00:00:00Z", "data": {"tokens": 1250},
        },
    )  # fmt: skip
    answer = await visitor.get((await _link(living, made)).json()["url"])
    assert answer.status_code == 200
    assert "1250 token" in answer.text
    assert "31 Jan 2026 to 28 Feb 2026" in answer.text
    assert "Active" in answer.text
    assert "There are none yet" in answer.text
    assert "<script" not in answer.text
    assert "<form" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_what_is_open_links_to_its_payment_page(
    shop: Shop, living: Client, visitor: Client
) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    page = (await visitor.get((await _link(living, made)).json()["url"])).text
    assert "Waiting for the first payment" in page
    assert "53.90 USD" in page
    assert f'href="{made["payment"]["checkoutUrl"].removeprefix("http://durabill.test")}"' in page
    ended = {"reason": "Wrong plan"}
    await living.post(f"/v0/subscriptions/{made['id']}/termination", json=ended)
    page = (await visitor.get((await _link(living, made)).json()["url"])).text
    assert "Ended" in page
    assert "Cancelled" in page
    assert "<a " not in page


async def test_a_paused_one_says_so(shop: Shop, living: Client, visitor: Client) -> None:
    made = await _metered(shop)
    assert (await living.post(f"/v0/subscriptions/{made['id']}/pause")).status_code == 200
    page = (await visitor.get((await _link(living, made)).json()["url"])).text
    assert "Paused since 31 Jan 2026" in page


async def test_it_lasts_ten_minutes_unless_said_otherwise(shop: Shop, living: Client) -> None:
    made = await _metered(shop)
    for body, life in (({}, timedelta(minutes=10)), ({"expiresIn": "P7D"}, timedelta(days=7))):
        before = wall_now()
        link = (await _link(living, made, **body)).json()
        assert link["object"] == "subscriptionPortal"
        assert before + life <= datetime.fromisoformat(link["expiresAt"]) <= wall_now() + life


@pytest.mark.parametrize("life", ["P8D", "P7DT1S", "PT0S", "tomorrow", "P1M", "-P1D"])
async def test_a_wrong_life_is_refused(shop: Shop, living: Client, life: str) -> None:
    answer = await _link(living, await _metered(shop), expiresIn=life)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "expiresIn"


async def test_an_old_link_is_gone_and_a_wrong_one_unknown(
    shop: Shop, living: Client, visitor: Client, database: Database
) -> None:
    url = (await _link(living, await _metered(shop))).json()["url"]
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text("UPDATE portal_links SET expires_at = now() WHERE merchant_id = :merchant"),
            {"merchant": shop.merchant_id},
        )
        held = await connection.execute(text("SELECT id FROM portal_links"))
        assert url.rsplit("/", 1)[1] not in {row[0] for row in held}
    gone = await visitor.get(url)
    assert gone.status_code == 410
    assert "expired" in gone.text
    assert (await visitor.get(url[:-1])).status_code == 404


async def test_a_stranger_makes_no_link(
    shop: Shop, commands: InProcess, living_app: Any, stranger: CreatedMerchant
) -> None:
    made = await _metered(shop)
    async with client_of(living_app, stranger.api_key) as other:
        assert (await _link(other, made)).status_code == 404
