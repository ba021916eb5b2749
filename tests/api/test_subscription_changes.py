"""Changes of living subscriptions over HTTP."""

from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from api.commands import Commands
from models.database import Database
from tests.api.in_process import InProcess, Shop, app_with, away, gateway_of
from tests.conftest import client_of

Client = httpx2.AsyncClient
START = "2026-01-31T00:00:00Z"


async def _running(shop: Shop, **members: Any) -> Any:
    """A subscription that owes nothing in advance, on a test clock of its own."""
    product = await shop.product()
    _, price = await shop.metric_price(product, "1")
    plan = await shop.plan(product, price)
    return await shop.subscribe(
        plan, testClockId=await shop.clock(START), startedAt=START, **members
    )


def _path(subscription: Any) -> str:
    return f"/v0/subscriptions/{subscription['id']}"


async def test_what_is_sent_changes_and_the_rest_stays(shop: Shop, living: Client) -> None:
    made = await _running(shop, renewalReminderDays=5, renewalReminderEnabled=True)
    sent = {
        "endingAt": "2026-06-30T00:00:00Z",
        "autoCharge": True,
        "taxExempt": True,
        "paymentTermDays": 14,
        "versionPolicy": "pinned",
        "renewalReminderDays": None,
        "status": "active",
    }
    changed = await living.patch(_path(made), json=sent)
    assert changed.status_code == 200, changed.text
    body = changed.json()
    estimated = {"estimatedTaxRate": 0, "updatedAt": body["updatedAt"]}
    assert body == made | sent | estimated
    assert body["renewalReminderEnabled"] is True
    assert (await living.get(_path(made))).json() == body


async def test_nothing_sent_changes_nothing(shop: Shop, living: Client) -> None:
    made = await _running(shop)
    assert (await living.patch(_path(made), json={})).json() == made


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"endingAt": START}, "endingAt"),
        ({"endingAt": None}, "endingAt"),
        ({"status": "pending_payment"}, "status"),
        ({"status": "terminated", "terminatedAt": START}, "terminatedAt"),
        ({"terminationReason": "x"}, "terminationReason"),
        ({"status": "active", "terminatedAt": "2026-02-01T00:00:00Z"}, "terminatedAt"),
        ({"status": "terminated", "terminationReason": ""}, "terminationReason"),
        ({"renewalReminderDays": 31}, "renewalReminderDays"),
        ({"paymentTermDays": -1}, "paymentTermDays"),
        ({"minimumAccountBalance": "-1"}, "minimumAccountBalance"),
        ({"versionPolicy": None}, "versionPolicy"),
        ({"name": "Other"}, "name"),
    ],
)
async def test_wrong_changes_name_their_field(
    shop: Shop, living: Client, sent: dict[str, Any], field: str
) -> None:
    made = await _running(shop)
    answer = await living.patch(_path(made), json=sent)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert (await living.get(_path(made))).json() == made


async def test_it_ends_with_the_reason_that_is_given(shop: Shop, living: Client) -> None:
    """The clock stands at the start: what is to end in June ends now."""
    made = await _running(shop)
    ending = {
        "status": "terminated",
        "terminatedAt": "2026-06-30T00:00:00Z",
        "terminatedBy": made["customerId"],
        "terminationReason": "Customer asked for it",
        "taxExempt": True,
    }
    ended = await living.patch(_path(made), json=ending)
    assert ended.status_code == 200, ended.text
    assert {name: ended.json()[name] for name in ending} == ending | {"terminatedAt": START}
    again = await living.patch(_path(made), json=ending)
    assert again.status_code == 409
    assert (await living.patch(_path(made), json={"autoCharge": True})).status_code == 409


async def test_an_ending_may_be_dated_back(shop: Shop, living: Client) -> None:
    made = await _running(shop)
    clock = f"/v0/testClocks/{made['testClockId']}"
    await living.patch(clock, json={"advanceBy": "P20D"})
    at = "2026-02-10T00:00:00Z"
    ended = await living.patch(_path(made), json={"status": "terminated", "terminatedAt": at})
    assert ended.json()["terminatedAt"] == at
    assert ended.json()["terminatedBy"] == shop.merchant_id
    (last,) = (await living.get("/v2/invoices", params={"subscriptionId": made["id"]})).json()[
        "data"
    ]
    assert (last["status"], last["periodEnd"]) == ("CLOSING", at)


async def test_only_its_first_payment_makes_it_active(shop: Shop, living: Client) -> None:
    pending = await shop.subscribe(await shop.advance_plan())
    refused = await living.patch(_path(pending), json={"status": "active"})
    assert refused.status_code == 400
    changed = await living.patch(_path(pending), json={"autoCharge": True})
    assert (changed.json()["status"], changed.json()["autoCharge"]) == ("pending_payment", True)


async def test_a_strangers_subscription_is_not_found(
    shop: Shop, living_app: Any, stranger: CreatedMerchant
) -> None:
    made = await _running(shop)
    async with client_of(living_app, stranger.api_key) as other:
        assert (await other.patch(_path(made), json={"autoCharge": True})).status_code == 404


async def test_with_temporal_away_a_change_is_to_be_tried_again(
    database: Database, merchant: CreatedMerchant, tmp_path: Any
) -> None:
    commands = Commands(database, await away(), gateway_of(tmp_path))
    async with client_of(app_with(database, commands), merchant.api_key) as client:
        made = await _running(Shop(client, merchant))
        assert (await client.patch(_path(made), json={"autoCharge": True})).status_code == 503
        assert (await client.get(_path(made))).json() == made
    await commands.close()


async def test_a_change_of_one_that_ended_meanwhile_is_a_conflict(
    shop: Shop, living: Client, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workflow is gone, so nobody answers the change: the row tells what became of it."""
    made = await _running(shop)

    async def nobody(_command: Any) -> None:
        answer = await living.post(f"{_path(made)}/termination", json={"reason": "first"})
        assert answer.status_code == 200
        commands.is_away = True
        await commands._refuse_away()

    monkeypatch.setattr(commands, "change_subscription", nobody)
    assert (await living.patch(_path(made), json={"autoCharge": True})).status_code == 409
