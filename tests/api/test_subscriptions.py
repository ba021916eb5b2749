"""Subscriptions over HTTP."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from activities.organizations import CreatedMerchant
from api.app import create_app
from api.commands import Commands
from models.base import wall_now
from models.database import Database
from models.queries import customers
from settings import Settings
from tests.api.in_process import InProcess, Shop, app_with, away, consumer, gateway_of, hours_ago
from tests.conftest import client_of

AMERICAN = {"country": "us", "zipCode": "94105"}

Client = httpx2.AsyncClient


async def test_what_is_due_in_advance_waits_for_its_payment(shop: Shop, living: Client) -> None:
    made = await shop.subscribe(await shop.advance_plan(), metadata={"team": "a", "seats": 3})
    assert made["status"] == "pending_payment"
    payment = made["payment"]
    assert payment["status"] == "pending"
    assert payment["amount"] == "53.90"
    assert payment["breakdown"] == {"upfrontCharges": "53.90", "walletCharge": "0.00"}
    assert payment["checkoutUrl"].startswith("http://durabill.test/checkout/")
    assert payment["paymentSessionId"].startswith("ps_")
    assert payment["invoiceId"].startswith("inv_")
    assert made["metadata"] == {"team": "a", "seats": 3}
    assert made["versionNumber"] == 1
    assert made["estimatedTaxRate"] == 10
    assert made["billingCadence"] == "P1M"
    assert made["billingAnchor"] == made["startedAt"]
    assert made["renewalReminderEnabled"] is None
    assert "terminatedAt" not in made
    assert (await living.get(f"/v0/subscriptions/{made['id']}")).json() == made


async def test_the_same_customer_and_plan_again_is_the_first_one(
    shop: Shop, living: Client
) -> None:
    plan, customer = await shop.advance_plan(), await shop.customer()
    body = {
        "name": "Sub",
        "planId": plan,
        "customerId": customer,
        "startedAt": wall_now().isoformat(),
    }
    first = await living.post("/v0/subscriptions", json=body)
    again = await living.post("/v0/subscriptions", json=body | {"name": "Other"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


async def test_an_inline_customer_is_made_or_found(
    shop: Shop, living: Client, database: Database
) -> None:
    plan, other = await shop.advance_plan(), await shop.advance_plan()
    described = consumer() | {"taxRates": {"default": 20}}
    made = await shop.subscribe(plan, customer=described)
    again = await shop.subscribe(other, customer=described)
    assert made["customerId"] == again["customerId"]
    assert made["estimatedTaxRate"] == 20
    assert made["payment"]["amount"] == "58.80"
    known = (await living.get(f"/v0/customers/{made['customerId']}")).json()
    assert known["organization"]["billingEmails"] == [described["email"]]
    assert known["notificationSettings"]["invoiceIssued"] is True


async def test_a_refused_subscription_leaves_no_customer_behind(
    shop: Shop, living: Client, database: Database
) -> None:
    body = {
        "name": "Sub",
        "planId": "plan_0",
        "customer": consumer(),
        "startedAt": wall_now().isoformat(),
    }
    refused = await living.post("/v0/subscriptions", json=body)
    assert refused.status_code == 404
    async with database.transaction() as session:
        statement = customers.newest_first(shop.merchant_id, customers.CustomerFilter())
        assert (await session.exec(statement)).all() == []


async def test_nothing_due_in_advance_is_active_without_a_payment(shop: Shop) -> None:
    product = await shop.product()
    _, price = await shop.metric_price(product, "0.002")
    made = await shop.subscribe(await shop.plan(product, price))
    assert made["status"] == "active"
    assert "payment" not in made


async def test_a_first_invoice_of_nothing_is_paid(shop: Shop) -> None:
    made = await shop.subscribe(await shop.advance_plan("0"))
    assert made["status"] == "active"
    assert made["payment"]["status"] == "paid"
    assert made["payment"]["amount"] == "0"
    assert made["payment"]["invoiceId"].startswith("inv_")
    assert "checkoutUrl" not in made["payment"]


async def test_a_start_in_the_future_is_active_and_owes_nothing_yet(shop: Shop) -> None:
    made = await shop.subscribe(await shop.advance_plan(), startedAt=hours_ago(-48))
    assert made["status"] == "active"
    assert "payment" not in made


async def test_on_a_test_clock_the_clock_tells_the_time(shop: Shop) -> None:
    clock = await shop.clock("2026-01-31T00:00:00Z")
    made = await shop.subscribe(
        await shop.advance_plan(), testClockId=clock, startedAt="2026-01-31T00:00:00Z"
    )
    assert made["testClockId"] == clock
    assert made["startedAt"] == "2026-01-31T00:00:00Z"
    assert made["payment"]["amount"] == "53.90"


async def test_version_zero_tops_the_wallet_up(shop: Shop) -> None:
    plan = await shop.advance_plan("10.00", billingVersion=0)
    made = await shop.subscribe(plan, minimumAccountBalance="25.50", prefundAmount="3")
    assert made["minimumAccountBalance"] == "25.5"
    assert made["payment"]["amount"] == "36.50"
    assert made["payment"]["breakdown"] == {"upfrontCharges": "11.00", "walletCharge": "25.50"}
    modern = await shop.subscribe(await shop.advance_plan("10.00"), minimumAccountBalance="25.50")
    assert "minimumAccountBalance" not in modern
    assert modern["payment"]["amount"] == "11.00"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": ""}, "name"),
        ({"planId": "prod_1"}, "planId"),
        ({"startedAt": "yesterday"}, "startedAt"),
        (
            {"startedAt": "2020-01-01T00:00:00Z", "elapsedPeriodBilling": "per_period"},
            "startedAt",
        ),
        ({"endingAt": "2020-01-01T00:00:00Z"}, "endingAt"),
        ({"autoCharge": "yes"}, "autoCharge"),
        ({"paymentTermDays": 366}, "paymentTermDays"),
        ({"renewalReminderDays": 31}, "renewalReminderDays"),
        ({"sessionExpiryMinutes": 0}, "sessionExpiryMinutes"),
        ({"sessionExpiryMinutes": 1e300}, "sessionExpiryMinutes"),
        ({"minimumAccountBalance": "-1"}, "minimumAccountBalance"),
        ({"minimumAccountBalance": 1}, "minimumAccountBalance"),
        ({"versionPolicy": "loose"}, "versionPolicy"),
        ({"elapsedPeriodBilling": "all"}, "elapsedPeriodBilling"),
        ({"testClockId": "tc_1"}, "testClockId"),
        ({"redirectUrls": {"onSuccess": "javascript:alert(1)"}}, "redirectUrls.onSuccess"),
        ({"metadata": {"a": None}}, "metadata.a"),
        ({"customer": consumer()}, "customerId"),
        ({"customerId": None}, "customerId"),
        (
            {"customerId": None, "customer": consumer() | {"address": AMERICAN}},
            "customer.address.state",
        ),
        ({"startedAt": "9999-11-01T00:00:00Z"}, "startedAt"),
        ({"trial": True}, "trial"),
    ],
)
async def test_wrong_bodies_name_their_field(
    shop: Shop, living: Client, members: dict[str, Any], field: str
) -> None:
    body = {
        "name": "Sub",
        "planId": await shop.advance_plan(),
        "customerId": await shop.customer(),
        "startedAt": wall_now().isoformat(),
    }
    answer = await living.post("/v0/subscriptions", json=body | members)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_foreign_plans_customers_and_clocks_are_not_found(
    shop: Shop, living: Client, living_app: FastAPI, stranger: CreatedMerchant
) -> None:
    async with client_of(living_app, stranger.api_key) as other:
        theirs = Shop(other, stranger)
        plan, customer, clock = (
            await theirs.advance_plan(),
            await theirs.customer(),
            await theirs.clock(),
        )
        own = {
            "name": "Sub",
            "planId": await shop.advance_plan(),
            "customerId": await shop.customer(),
            "startedAt": wall_now().isoformat(),
        }
        for foreign in ({"planId": plan}, {"customerId": customer}, {"testClockId": clock}):
            answer = await living.post("/v0/subscriptions", json=own | foreign)
            assert answer.status_code == 404, foreign
        made = await shop.subscribe(own["planId"])
        assert (await other.get(f"/v0/subscriptions/{made['id']}")).status_code == 404
        path = f"/v0/subscriptions/{made['id']}/termination"
        assert (await other.post(path, json={"reason": "r"})).status_code == 404


async def test_the_list_is_narrowed_and_newest_first(shop: Shop, living: Client) -> None:
    plan, usage = await shop.advance_plan(), await shop.product()
    _, price = await shop.metric_price(usage, "1")
    pending = await shop.subscribe(plan)
    active = await shop.subscribe(await shop.plan(usage, price))
    path = "/v0/subscriptions"

    async def listed(**query: Any) -> list[str]:
        answer = await living.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["data"]]

    assert await listed() == [active["id"], pending["id"]]
    assert await listed(limit="1", offset="1") == [pending["id"]]
    assert await listed(status="active") == [active["id"]]
    assert await listed(status=["active", "pending_payment"]) == [active["id"], pending["id"]]
    assert await listed(customerId=pending["customerId"]) == [pending["id"]]
    assert await listed(startedBefore=pending["startedAt"]) == [pending["id"]]
    assert await listed(startedBefore="2020-01-01T00:00:00Z") == []
    known = (await living.get(f"/v0/customers/{active['customerId']}")).json()
    assert await listed(consumerId=known["consumerId"]) == [active["id"]]
    both = {"customerId": pending["customerId"], "merchantId": shop.merchant_id}
    assert (await living.get(path, params=both)).status_code == 400
    for wrong in ({"status": "paused"}, {"limit": "ten"}, {"include": "plan"}, {"limit": "101"}):
        assert (await living.get(path, params=wrong)).status_code == 400
    shown = (await living.get(path, params={"include": "customer", "limit": 1})).json()["data"][0]
    assert shown["customer"]["merchant"] == {"id": shop.merchant_id, "name": "Test", "email": ""}
    assert shown["customer"]["consumer"]["name"] == "Ada"
    assert "customer" not in active


async def test_terminating_ends_it_once(shop: Shop, living: Client) -> None:
    product = await shop.product()
    _, price = await shop.metric_price(product, "1")
    made = await shop.subscribe(await shop.plan(product, price))
    path = f"/v0/subscriptions/{made['id']}/termination"
    ended = await living.post(path, json={"reason": "Moved", "changeReason": "commercial"})
    assert ended.status_code == 200
    body = ended.json()
    assert body["status"] == "terminated"
    assert body["terminatedBy"] == shop.merchant_id
    assert body["terminationReason"] == "Moved"
    assert body["terminationChangeReason"] == "commercial"
    assert body["terminatedAt"].endswith("Z")
    assert (await living.post(path, json={"reason": "Moved"})).status_code == 409
    for wrong in ({}, {"reason": ""}, {"reason": "r" * 1001}, {"reason": "r", "changeReason": "x"}):
        assert (await living.post(path, json=wrong)).status_code == 400
    missing = await living.post("/v0/subscriptions/sub_0/termination", json={"reason": "r"})
    assert missing.status_code == 404


async def test_terminating_a_pending_one_kills_its_checkout(
    shop: Shop, living: Client, visitor: Client
) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    ended = await living.post(
        f"/v0/subscriptions/{made['id']}/termination", json={"reason": "Wrong plan"}
    )
    assert ended.json()["status"] == "terminated"
    assert "payment" not in ended.json()
    assert (await visitor.get(made["payment"]["checkoutUrl"])).status_code == 410


async def test_with_temporal_away_sales_go_on_and_changes_wait(
    database: Database, merchant: CreatedMerchant, tmp_path: Any
) -> None:
    """The product's own commands, and nothing where Temporal should be."""
    commands = Commands(database, await away(), gateway_of(tmp_path))
    app = app_with(database, commands)
    async with client_of(app, merchant.api_key) as client:
        made = await Shop(client, merchant).subscribe(await Shop(client, merchant).advance_plan())
        path = f"/v0/subscriptions/{made['id']}"
        ended = await client.post(f"{path}/termination", json={"reason": "r"})
        assert ended.status_code == 503
        assert ended.headers["retry-after"] == "1"
        assert (await client.get(path)).json() == made
    await commands.close()


async def test_a_server_without_commands_sells_nothing_but_reads(
    database: Database, merchant: CreatedMerchant, shop: Shop
) -> None:
    made = await shop.subscribe(await shop.advance_plan())
    async with client_of(create_app(Settings(), database=database), merchant.api_key) as client:
        assert (await client.get(f"/v0/subscriptions/{made['id']}")).status_code == 200
        answer = await client.post("/v0/subscriptions", json={})
        assert answer.status_code in {400, 503}


async def test_a_subscription_that_ended_meanwhile_is_answered(
    shop: Shop, living: Client, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workflow is gone, so nobody answers the change: the row tells what became of it."""
    made = await shop.subscribe(await shop.advance_plan())
    original = commands.terminate_subscription

    async def ends_then_loses_the_answer(command: Any) -> None:
        await original(command)
        commands.is_away = True
        await commands._refuse_away()

    monkeypatch.setattr(commands, "terminate_subscription", ends_then_loses_the_answer)
    answer = await living.post(f"/v0/subscriptions/{made['id']}/termination", json={"reason": "r"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "terminated"
