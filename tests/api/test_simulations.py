"""What-if: past invoices under draft prices, side by side; and not a row of any table changes."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from models import tables
from models.database import Database
from models.organizations import Merchant
from models.products import Product
from models.queries import simulations
from tests.api.in_process import Shop, accepted
from tests.api.mixed import ENDED, FEBRUARY_END, START, Mixed, a_mixed_invoice

Client = httpx2.AsyncClient
WINDOW = {"from": START.isoformat(), "to": (START + timedelta(days=90)).isoformat()}


async def plan_of(mixed: Mixed) -> Any:
    subscription = accepted(await mixed.client.get(f"/v0/subscriptions/{mixed.subscription}"))
    return accepted(await mixed.client.get(f"/v0/plans/{subscription['planId']}"))


async def simulated(mixed: Mixed, *prices: Any, **members: Any) -> Any:
    return await simulated_of(mixed, (await plan_of(mixed))["id"], *prices, **members)


async def simulated_of(mixed: Mixed, plan_id: str, *prices: Any, **members: Any) -> Any:
    body = WINDOW | {"prices": list(prices)} | members
    return accepted(await mixed.operator.post(path_of(plan_id), json=body))


def numbers(answer: Any) -> list[int]:
    return [each["sequenceNumber"] for each in answer["invoices"]]


async def left(mixed: Mixed, at: str) -> tuple[str, str, str]:
    """Its plan, another one with a fee of 30.00 in advance that it goes to, and that fee."""
    old = await plan_of(mixed)
    price = await mixed.shop.fee_price(old["productId"], "30.00", paymentTerm="in_advance")
    new = await mixed.shop.plan(old["productId"], price, defaultTaxRate=19)
    change = f"/internal/v1/subscriptions/{mixed.subscription}/planChange"
    accepted(await mixed.operator.post(change, json={"planId": new, "at": at}))
    fee = accepted(await mixed.client.get(f"/v0/prices/{price}"))["feeId"]
    return old["id"], new, str(fee)


def path_of(plan_id: str) -> str:
    return f"/internal/v1/plans/{plan_id}/simulation"


async def draft_of(mixed: Mixed, metric: str, **changes: Any) -> dict[str, Any]:
    price = accepted(await mixed.client.get(f"/v0/prices/{mixed.prices[metric]}"))
    return {
        "billableMetricId": price["billableMetricId"],
        "model": price["model"],
        "properties": price["properties"],
        "paymentTerm": "in_arrears",
        "invoiceDisplayName": f"{metric}, new",
    } | changes


def fee_draft(fee: str, amount: str) -> dict[str, Any]:
    return {
        "feeId": fee,
        "properties": {"unitPrice": amount},
        "paymentTerm": "in_advance",
        "billingCadence": "P1M",
        "invoiceDisplayName": "Base fee",
    }


async def fingerprint(database: Database) -> dict[str, tuple[int, int]]:
    """How many rows each table has, and a sum over all that they say."""
    async with database.transaction() as session:
        connection = await session.connection()
        found = {}
        for table in tables.metadata.sorted_tables:
            statement = (
                "SELECT count(*), coalesce(sum(hashtextextended(each::text, 0)), 0)::text "
                f'FROM "{table.name}" AS each'
            )
            row = (await connection.execute(text(statement))).one()
            found[table.name] = (row[0], row[1])
        return found


async def test_the_same_prices_come_to_the_same(mixed: Mixed) -> None:
    """No draft price: old and new agree; what came late counts in its own period."""
    await mixed.open()
    await a_mixed_invoice(mixed)
    answer = await simulated(mixed)
    assert numbers(answer) == [0, 1]
    for each in answer["invoices"]:
        assert each["old"] == each["new"]
        assert each["difference"]["grandTotal"] == "0.00"
    assert answer["invoices"][1]["billedGrandTotal"] == "0.00"
    assert answer["old"] == answer["new"]
    lines = {line["displayName"]: line for line in answer["invoices"][0]["old"]["lines"]}
    assert lines["volume"]["quantity"] == "102"


async def test_a_draft_price_is_put_beside_what_was_billed(mixed: Mixed) -> None:
    """99 units at 0.07 are 6.93. By the hundred at 8.00 they are 8.00: 1.07, and 0.20 of tax.

    All other lines are alike.
    """
    await mixed.open()
    await mixed.use("volume", "99", START + timedelta(days=3))
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    billed, _ = await mixed.stored(0)
    packed = {"packageSize": "100", "unitPrice": "8.00"}
    draft = await draft_of(mixed, "volume", model="package", properties=packed)
    answer = await simulated(mixed, draft)
    (invoice,) = answer["invoices"]
    assert invoice["old"]["grandTotal"] == billed["grandTotal"] == invoice["billedGrandTotal"]
    assert invoice["difference"]["subtotal"] == "1.07"
    assert invoice["difference"]["totalTax"] == "0.20"
    assert answer["difference"] == invoice["difference"]
    new = {line["displayName"]: line for line in invoice["new"]["lines"]}
    assert (new["volume, new"]["totalPrice"], new["volume, new"]["model"]) == ("8", "package")
    assert new["volume, new"]["sourceId"] == draft["billableMetricId"]
    assert "volume" not in new
    assert len(new) == len(invoice["old"]["lines"])


async def test_a_draft_may_be_the_whole_plan(mixed: Mixed) -> None:
    """Nothing but 50 units of one metric at 2.00: 100.00, and 19.00 of tax."""
    await mixed.open()
    await mixed.use("standard", "50", START + timedelta(days=3))
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    draft = await draft_of(mixed, "standard", properties={"unitPrice": "2.00"})
    answer = await simulated(mixed, draft, replacesAll=True)
    (invoice,) = answer["invoices"]
    (line,) = invoice["new"]["lines"]
    assert (line["quantity"], line["totalPrice"]) == ("50", "100")
    assert invoice["new"]["grandTotal"] == answer["new"]["grandTotal"] == "119.00"


async def test_a_draft_may_have_another_cadence(mixed: Mixed) -> None:
    """As if it always had: by two months 50 and 30 are one reading, on the second invoice."""
    await mixed.open()
    for number, (units, since) in enumerate((("50", START), ("30", FEBRUARY_END))):
        await mixed.use("standard", units, since + timedelta(days=3))
        await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, number)
    draft = await draft_of(mixed, "standard", billingCadence="P2M")
    first, second = (await simulated(mixed, draft, replacesAll=True))["invoices"]
    assert first["new"]["lines"] == []
    (line,) = second["new"]["lines"]
    assert line["quantity"] == "80"


async def test_a_deal_reaches_the_draft_price(mixed: Mixed) -> None:
    """20 of 99 units are waived: 79 at 1.00, not 79 at 0.07."""
    await mixed.open()
    deal = f"/v0/subscriptions/{mixed.subscription}/adjustments"
    term = {
        "type": "usageDiscount",
        "usageDiscount": "20",
        "effectiveFrom": START.isoformat(),
        "targetPriceIds": [mixed.prices["volume"]],
    }
    accepted(await mixed.client.post(deal, json=term))
    await mixed.use("volume", "99", START + timedelta(days=3))
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    one = {"unitPrice": "1.00"}
    draft = await draft_of(mixed, "volume", model="standard", properties=one)
    (invoice,) = (await simulated(mixed, draft))["invoices"]
    for side, price in (("old", "5.53"), ("new", "79")):
        (line,) = [
            each for each in invoice[side]["lines"] if each["sourceId"] == draft["billableMetricId"]
        ]
        assert (line["quantity"], line["totalPrice"]) == ("79", price)


async def test_not_a_row_changes(mixed: Mixed, database: Database) -> None:
    await mixed.open()
    await a_mixed_invoice(mixed)
    draft = await draft_of(mixed, "graduated", model="standard", properties={"unitPrice": "5"})
    plan = await plan_of(mixed)
    before = await fingerprint(database)
    body = WINDOW | {"prices": [draft]}
    answer = accepted(await mixed.operator.post(path_of(plan["id"]), json=body))
    assert answer["difference"]["grandTotal"] != "0.00"
    assert await fingerprint(database) == before


async def test_the_database_holds_the_promise(database: Database, mixed: Mixed) -> None:
    """What would write in the simulation's transaction is refused by PostgreSQL itself."""
    row = Product(id="prod_1", merchant_id=mixed.shop.merchant_id, name="n", description="")
    async with database.transaction() as session:
        await simulations.read_only(session)
        session.add(row)
        with pytest.raises(InternalError) as refused:
            await session.flush()
    assert isinstance(refused.value.orig, ReadOnlySqlTransaction)


async def test_a_first_invoice_is_rated_again(shop: Shop, living: Client, operator: Client) -> None:
    """A fee of 49.00 in advance, 10 % tax: 53.90; at 60.00 it would be 66.00."""
    product = await shop.product()
    price = await shop.fee_price(product, "49.00")
    fee = accepted(await living.get(f"/v0/prices/{price}"))["feeId"]
    plan = await shop.plan(product, price)
    clock = await shop.clock(START.isoformat())
    await shop.subscribe(plan, startedAt=START.isoformat(), testClockId=clock)
    draft = fee_draft(fee, "60.00")
    answer = accepted(await operator.post(path_of(plan), json=WINDOW | {"prices": [draft]}))
    (invoice,) = answer["invoices"]
    assert invoice["old"]["grandTotal"] == invoice["billedGrandTotal"] == "53.90"
    assert invoice["new"]["grandTotal"] == "66.00"


async def test_only_what_was_asked_for_is_rated(mixed: Mixed, shop: Shop) -> None:
    await mixed.open()
    await a_mixed_invoice(mixed)
    other = await shop.customer()
    assert (await simulated(mixed, customerIds=[other]))["invoices"] == []
    (last,) = (await simulated(mixed, **{"from": FEBRUARY_END.isoformat()}))["invoices"][:1]
    assert last["sequenceNumber"] == 0
    later = (FEBRUARY_END + timedelta(seconds=1)).isoformat()
    assert numbers(await simulated(mixed, **{"from": later})) == [1]


async def test_a_plan_is_rated_for_whom_it_billed(mixed: Mixed) -> None:
    """The plan of the first two invoices is asked about after it was left amid the second."""
    await mixed.open()
    await mixed.use("standard", "50", START + timedelta(days=3))
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    await mixed.use("standard", "20", FEBRUARY_END + timedelta(days=3))
    moved = {"currentTime": ENDED.isoformat()}
    accepted(await mixed.client.patch(f"/v0/testClocks/{mixed.clock}", json=moved))
    old, new, _ = await left(mixed, "now")
    await mixed.commands.issue(mixed.shop.merchant_id, mixed.invoice_id(1), ENDED)
    draft = await draft_of(mixed, "standard", properties={"unitPrice": "2.00"})
    answer = await simulated_of(mixed, old, draft, replacesAll=True)
    assert numbers(answer) == [0, 1]
    assert [each["new"]["subtotal"] for each in answer["invoices"]] == ["100.00", "40.00"]
    assert numbers(await simulated_of(mixed, new)) == []
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 2)
    assert numbers(await simulated_of(mixed, old)) == [0, 1]
    assert numbers(await simulated_of(mixed, new)) == [2]


async def test_what_another_plan_bills_stands_as_it_is(mixed: Mixed) -> None:
    """One invoice ends a period of a plan and begins one of the next: each is asked about.

    50 units at 2.00 in place of all of the first are 100.00, and the 30.00 of the second stay;
    at 40.00 they are 10.00 more, and 1.90 of tax.
    """
    await mixed.open()
    await mixed.use("standard", "50", START + timedelta(days=3))
    old, new, fee = await left(mixed, "period_end")
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    draft = await draft_of(mixed, "standard", properties={"unitPrice": "2.00"})
    (ended,) = (await simulated_of(mixed, old, draft, replacesAll=True))["invoices"]
    assert [line["totalPrice"] for line in ended["new"]["lines"]] == ["100", "30"]
    dearer = fee_draft(fee, "40.00")
    answer = await simulated_of(mixed, new, dearer, replacesAll=True)
    (begun,) = answer["invoices"]
    assert (begun["invoiceId"], len(begun["old"]["lines"])) == (ended["invoiceId"], 7)
    assert len(begun["new"]["lines"]) == 7
    sums = {"subtotal": "10.00", "totalTax": "1.90", "grandTotal": "11.90"}
    assert answer["difference"] == sums


async def test_a_bill_keeps_the_tax_behavior_it_was_opened_with(mixed: Mixed) -> None:
    await mixed.open()
    await mixed.use("standard", "5000", START + timedelta(days=3))
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    plan = await plan_of(mixed)
    body = {"taxBehavior": "inclusive"}
    accepted(await mixed.client.patch(f"/v0/plans/{plan['id']}", json=body))
    (invoice,) = (await simulated(mixed))["invoices"]
    assert invoice["old"]["grandTotal"] == invoice["billedGrandTotal"]


@pytest.mark.parametrize(
    ("days", "start", "status"),
    [
        (10, START, 400),
        # The invoice that is asked for with its end bills what was used before that.
        (10, FEBRUARY_END, 400),
        (0, FEBRUARY_END, 200),
    ],
)
async def test_no_bill_is_told_from_what_is_left_of_its_usage(
    mixed: Mixed, database: Database, days: int, start: datetime, status: int
) -> None:
    await mixed.open()
    await mixed.use("volume", "99", START + timedelta(days=3))
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    async with database.transaction() as session:
        merchant = await session.get_one(Merchant, mixed.shop.merchant_id)
        merchant.usage_deleted_before = START + timedelta(days=days)
    body = WINDOW | {"prices": [], "from": start.isoformat()}
    answer = await mixed.operator.post(path_of((await plan_of(mixed))["id"]), json=body)
    assert answer.status_code == status, answer.text
    if status != 200:
        (error,) = answer.json()["errors"]
        assert (error["field"], "no longer kept" in error["message"]) == ("from", True)


async def test_what_cannot_be_simulated_is_refused(mixed: Mixed, living: Client) -> None:
    await mixed.open()
    plan = path_of((await plan_of(mixed))["id"])
    draft = await draft_of(mixed, "volume")
    for wrong, field in (
        ({"to": WINDOW["from"]}, "to"),
        ({"prices": [draft, draft]}, "prices[1]"),
        ({"prices": [draft | {"properties": {"unitPrice": "1"}}]}, "properties.unitPrice"),
        ({"prices": [draft | {"pricing": "x"}]}, "prices[0].pricing"),
    ):
        answer = await mixed.operator.post(plan, json=WINDOW | {"prices": []} | wrong)
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["field"] == field
    for missing in (
        {"customerIds": ["cus_0"]},
        {"prices": [draft | {"billableMetricId": "bm_0"}]},
    ):
        answer = await mixed.operator.post(plan, json=WINDOW | {"prices": []} | missing)
        assert answer.status_code == 404
    nowhere = await mixed.operator.post(path_of("plan_0"), json=WINDOW | {"prices": []})
    assert nowhere.status_code == 404
    assert (await living.post(plan, json=WINDOW | {"prices": []})).status_code == 404
