"""Customers over HTTP."""

import asyncio
from typing import Any

import httpx2
import pytest

from activities.organizations import CreatedMerchant
from models.base import new_id, wall_now
from models.database import Database
from models.reservations import Reservation
from tests.factories import a_customer, a_plan, a_product, a_subscription, an_invoice

Client = httpx2.AsyncClient


def body(merchant: CreatedMerchant, **members: Any) -> dict[str, Any]:
    return {
        "merchantId": merchant.merchant_id,
        "consumer": {
            "name": "Ann Example",
            "email": "ann@example.com",
            "address": {"line1": "Street 1", "country": "DE", "zipCode": "10115"},
        },
        **members,
    }


async def test_create_then_the_same_consumer_again(
    client: Client, merchant: CreatedMerchant
) -> None:
    created = await client.post("/v0/customers", json=body(merchant, externalId="a1"))
    assert created.status_code == 201
    assert created.json()["validTaxAddress"] == {"valid": True}
    assert set(created.json()) == {"customerId", "validTaxAddress"}
    again = body(merchant)
    again["consumer"]["email"] = "ANN@example.com"
    repeated = await client.post("/v0/customers", json=again)
    assert repeated.status_code == 200
    assert repeated.json() == created.json()

    customer = (await client.get(f"/v0/customers/{created.json()['customerId']}")).json()
    assert customer["object"] == "customer"
    assert customer["externalId"] == "a1"
    assert customer["organization"]["billingEmails"] == ["ann@example.com"]
    assert customer["organization"]["id"] == customer["consumerId"]
    assert customer["notificationSettings"] == {
        "invoiceIssued": True,
        "invoicePaid": True,
        "renewalReminder": True,
    }
    known = {"merchantId": merchant.merchant_id, "consumerId": customer["consumerId"]}
    by_id = await client.post("/v0/customers", json=known)
    assert (by_id.status_code, by_id.json()) == (200, created.json())


async def test_two_at_once_are_one_customer(client: Client, merchant: CreatedMerchant) -> None:
    answers = await asyncio.gather(
        *(client.post("/v0/customers", json=body(merchant)) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["customerId"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ({"country": "DE", "zipCode": "1"}, True),
        ({"country": "us", "zipCode": "1"}, False),
        ({"country": "US", "zipCode": "1", "state": "CA"}, True),
        ({"country": "CA", "zipCode": "1"}, False),
        ({"country": "DE"}, False),
        ({}, False),
    ],
)
async def test_an_address_is_judged_for_tax(
    client: Client, merchant: CreatedMerchant, address: dict[str, str], valid: bool
) -> None:
    sent = body(merchant)
    sent["consumer"]["address"] = address
    judged = (await client.post("/v0/customers", json=sent)).json()["validTaxAddress"]
    assert judged["valid"] is valid
    assert ("message" in judged) is not valid


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"consumer": None}, "consumer"),
        ({"consumer": {"name": "A", "email": "a@b"}}, "consumer.address"),
        ({"consumer": {"name": "A", "email": "nobody", "address": {}}}, "consumer.email"),
        (
            {"consumer": {"name": "A", "email": "a@b", "address": {"country": "DEU"}}},
            "consumer.address.country",
        ),
        ({"externalId": ""}, "externalId"),
        ({"externalId": "e" * 256}, "externalId"),
        ({"taxRates": {"default": 101}}, "taxRates.default"),
        ({"taxRates": 5}, "taxRates"),
        ({"notificationSettings": {}}, "notificationSettings"),
    ],
)
async def test_wrong_fields(
    client: Client, merchant: CreatedMerchant, members: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v0/customers", json=body(merchant, **members))
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_an_external_id_names_one_living_customer(
    client: Client, merchant: CreatedMerchant, database: Database
) -> None:
    await client.post("/v0/customers", json=body(merchant, externalId="a1"))
    async with database.transaction() as session:
        other = await a_customer(session, merchant.merchant_id)
    taken = await client.patch(f"/v0/customers/{other.id}", json={"externalId": "a1"})
    assert (taken.status_code, taken.json()["code"]) == (409, "DUPLICATE_RESOURCE")
    known = {
        "merchantId": merchant.merchant_id,
        "consumerId": other.consumer_id,
        "externalId": "a1",
    }
    assert (await client.delete(f"/v0/customers/{other.id}")).status_code == 204
    assert (await client.post("/v0/customers", json=known)).status_code == 409
    assert (await client.get(f"/v0/customers/{other.id}")).status_code == 404


async def test_update_merges_replaces_and_clears(client: Client, merchant: CreatedMerchant) -> None:
    sent = body(merchant, externalId="a1", taxId="DE136695976", taxRates={"default": 19})
    created = (await client.post("/v0/customers", json=sent)).json()
    path = f"/v0/customers/{created['customerId']}"
    settings = {"notificationSettings": {"invoicePaid": False}}
    changed = (await client.patch(path, json=settings)).json()
    assert changed["notificationSettings"] == {
        "invoiceIssued": True,
        "invoicePaid": False,
        "renewalReminder": True,
    }
    assert (changed["externalId"], changed["taxId"]) == ("a1", "DE136695976")
    assert changed["taxRates"] == {"default": 19}
    changed = (await client.patch(path, json={"taxRates": 7.7, "taxId": None})).json()
    assert changed["taxRates"] == {"default": 7.7}
    assert "taxId" not in changed
    changed = (await client.patch(path, json={"taxRates": {"plan_1": 5}})).json()
    assert changed["taxRates"] == {"plan_1": 5}
    assert "externalId" not in (await client.patch(path, json={"externalId": None})).json()
    for wrong in ({"taxRates": None}, {"taxRates": "7"}, {"taxRates": {"a": -1}}, {"name": "x"}):
        assert (await client.patch(path, json=wrong)).status_code == 400


async def test_list_filters(client: Client, merchant: CreatedMerchant) -> None:
    for name, email, external in (("Ann", "ann@a.example", "1"), ("Bob 50%", "bob@b.example", "2")):
        sent = body(merchant, externalId=external)
        sent["consumer"] |= {"name": name, "email": email}
        await client.post("/v0/customers", json=sent)
    for query, names in (
        ({}, ["Bob 50%", "Ann"]),
        ({"name": "ANN"}, ["Ann"]),
        ({"name": "50%"}, ["Bob 50%"]),
        ({"name": "%%%"}, []),
        ({"email": "@B.EXAMPLE"}, ["Bob 50%"]),
        ({"externalId": "1"}, ["Ann"]),
    ):
        listed = await client.get("/v0/customers", params={"limit": 5, **query})
        assert [row["organization"]["name"] for row in listed.json()["data"]] == names
    assert (await client.get("/v0/customers", params={"name": "an"})).status_code == 400


async def test_delete_waits_for_subscriptions_and_invoices(
    client: Client, merchant: CreatedMerchant, database: Database
) -> None:
    async with database.transaction() as session:
        customer = await a_customer(session, merchant.merchant_id)
        plan = await a_plan(session, await a_product(session, merchant.merchant_id))
        subscription = await a_subscription(session, customer, plan)
        invoice = await an_invoice(session, subscription)
    path = f"/v0/customers/{customer.id}"
    refused = await client.delete(path)
    assert refused.status_code == 409
    assert refused.json()["error"] == "conflict"
    assert refused.json()["details"]["blockers"] == [
        {
            "type": "subscriptions",
            "count": 1,
            "items": [{"id": subscription.id, "status": "active"}],
        },
        {"type": "invoices", "count": 1, "items": [{"id": invoice.id, "status": "ACTIVE"}]},
    ]
    async with database.transaction() as session:
        subscription.status = "terminated"
        invoice.status = "PAID"
        await session.merge(subscription)
        await session.merge(invoice)
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_delete_waits_for_what_is_held(
    client: Client, merchant: CreatedMerchant, database: Database
) -> None:
    async with database.transaction() as session:
        customer = await a_customer(session, merchant.merchant_id)
        plan = await a_plan(session, await a_product(session, merchant.merchant_id))
        subscription = await a_subscription(session, customer, plan, status="terminated")
        hold = Reservation(
            id=new_id("ent"),
            merchant_id=merchant.merchant_id,
            customer_id=customer.id,
            subscription_id=subscription.id,
            status="reserved",
            items=[],
            currency="USD",
            expires_at=wall_now(),
        )
        session.add(hold)
    refused = await client.delete(f"/v0/customers/{customer.id}")
    assert refused.status_code == 409
    assert refused.json()["details"]["blockers"] == [
        {"type": "entitlements", "count": 1, "items": [{"id": hold.id, "status": "reserved"}]}
    ]


async def test_another_merchant_sees_nothing(
    client: Client,
    stranger_client: Client,
    merchant: CreatedMerchant,
    stranger: CreatedMerchant,
    database: Database,
) -> None:
    async with database.transaction() as session:
        customer = await a_customer(session, merchant.merchant_id)
    path = f"/v0/customers/{customer.id}"
    assert (await stranger_client.get(path)).status_code == 404
    assert (await stranger_client.patch(path, json={"taxId": "x"})).status_code == 404
    assert (await stranger_client.delete(path)).status_code == 404
    theirs = {"merchantId": stranger.merchant_id, "consumerId": customer.consumer_id}
    refused = await stranger_client.post("/v0/customers", json=theirs)
    assert refused.status_code == 403
    foreign = {"organizationId": merchant.merchant_id}
    assert (await stranger_client.get("/v0/customers", params=foreign)).status_code == 403
    assert (await stranger_client.get("/v0/customers")).json()["data"] == []
    assert (await client.get(path)).status_code == 200


async def test_a_tax_id_fits_the_consumers_country(
    client: Client, merchant: CreatedMerchant
) -> None:
    refused = await client.post("/v0/customers", json=body(merchant, taxId="DE136695977"))
    assert refused.status_code == 400
    assert refused.json()["error"] == "validation_error"
    assert [each["field"] for each in refused.json()["errors"]] == ["taxId"]
    # Nothing was made: the same consumer is still new.
    created = await client.post("/v0/customers", json=body(merchant, taxId="DE136695976"))
    assert created.status_code == 201
    path = f"/v0/customers/{created.json()['customerId']}"
    assert (await client.patch(path, json={"taxId": "DE1"})).status_code == 400
    changed = await client.patch(path, json={"taxId": "FR40303265045"})
    assert changed.json()["taxId"] == "FR40303265045"
    cleared = await client.patch(path, json={"taxId": None})
    assert "taxId" not in cleared.json()
