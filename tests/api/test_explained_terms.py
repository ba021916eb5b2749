"""Explanations of terms that change: intervals, plan changes, pauses, each rated by hand."""

from fractions import Fraction
from typing import Any

import httpx2
import pytest

from tests.api import by_hand
from tests.api.in_process import CARD, InProcess, Shop, accepted
from tests.api.test_subscription_intervals import Terms

Client = httpx2.AsyncClient
BANDS = {"tiers": [{"upTo": "10", "unitPrice": "1"}, {"upTo": None, "unitPrice": "0.70"}]}


class Told(Terms):
    """The same subscription; its invoices are worked out from their explanations."""

    def __init__(self, shop: Shop, client: Client, commands: InProcess, operator: Client) -> None:
        super().__init__(shop, client)
        self.commands, self.operator = commands, operator
        self.keys = iter(range(1000))

    async def subscribe(self, *lines: dict[str, str], **plan: Any) -> None:
        """Another subscription of the shop, under a plan of these lines."""
        members = {"defaultTaxRate": 19} | plan
        self.plan = await self.shop.plan(self.product, prices=list(lines), **members)
        made = await self.shop.subscribe(
            self.plan, startedAt="2026-01-01T00:00:00Z", testClockId=self.clock
        )
        self.id, self.customer = made["id"], made["customerId"]
        if made["status"] == "pending_payment":
            page = made["payment"]["checkoutUrl"]
            assert "<h1>Paid</h1>" in (await self.client.post(page, data=CARD)).text

    async def metric(self, name: str, model: str, properties: dict[str, Any]) -> str:
        metric = await self.shop.post(
            "/v0/billableMetrics",
            merchantId=self.shop.merchant_id,
            productId=self.product,
            name=name,
            description="d",
            unit="unit",
            aggregation="SUM",
            eventType=f"{name}.used",
            valueProperty="$.tokens",
        )
        price = await self.shop.post(
            "/v0/prices",
            billableMetricId=metric["id"],
            model=model,
            properties=properties,
            paymentTerm="in_arrears",
            invoiceDisplayName=name,
        )
        return str(price["id"])

    async def use(self, amount: str, day: str, event_type: str = "completion") -> None:
        event = {
            "type": event_type,
            "source": "test",
            "subject": self.customer,
            "idempotencyKey": f"told-{self.id}-{next(self.keys)}",
            "timestamp": f"{day}T12:00:00Z",
            "data": {"tokens": amount},
        }
        accepted(await self.client.post("/v0/events", json=event))

    async def deal(self, kind: str, value: str, since: str, target: str | None = None) -> None:
        targets = {} if target is None else {"targetPriceIds": [target]}
        term = {"type": kind, kind: value, "effectiveFrom": f"{since}T00:00:00Z", **targets}
        path = f"/v0/subscriptions/{self.id}/adjustments"
        accepted(await self.client.post(path, json=term))

    async def at(self, now: str) -> None:
        body = {"currentTime": now}
        accepted(await self.client.patch(f"/v0/testClocks/{self.clock}", json=body))

    async def invoices(self) -> list[Any]:
        query: dict[str, str | int] = {"subscriptionId": self.id, "limit": 100}
        found = accepted(await self.client.get("/v2/invoices", params=query))["data"]
        return sorted(found, key=lambda row: row["sequenceNumber"])

    async def issue_cut(self, number: int, now: str) -> None:
        invoice = (await self.invoices())[number]
        await self.commands.issue(self.shop.merchant_id, invoice["id"], by_hand.instant(now))

    async def told(self, number: int) -> Any:
        """The explanation, after every amount in it was found again by hand."""
        invoice = (await self.invoices())[number]
        path = f"/internal/v1/invoices/{invoice['id']}/explanation"
        told = accepted(await self.operator.get(path))
        assert (told["isStored"], told["agrees"]) == (True, True)
        recomputed = by_hand.recompute(told)
        for line in told["lines"]:
            stored = [Fraction(line[name]) for name in ("totalPrice", "totalTax", "totalAmount")]
            assert by_hand.Amounts(*stored) == recomputed[line["id"]], line
        subtotal, tax = by_hand.due(told, recomputed)
        assert (subtotal, tax) == (Fraction(invoice["subtotal"]), Fraction(invoice["totalTax"]))
        return told


@pytest.fixture
async def told(shop: Shop, living: Client, commands: InProcess, operator: Client) -> Told:
    opened = Told(shop, living, commands, operator)
    await opened.open()
    return opened


def _named(told: Any, name: str) -> list[Any]:
    return [line for line in told["lines"] if line["displayName"] == name]


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
async def test_lines_of_intervals_name_their_terms(told: Told, behavior: str) -> None:
    """Seats at 20.00 that step, tokens at two rates, a line of its own, and one billed once.

    Late usage of both halves of January, a minimum over the steps, waived tokens, a discount.
    """
    bands = await told.metric("Calls", "volume", BANDS)
    await told.subscribe(
        {"priceId": told.seats, "key": "seats"},
        {"priceId": told.tokens, "key": "tokens"},
        {"priceId": bands, "key": "calls"},
        taxBehavior=behavior,
    )
    steps = [
        {"effectiveDate": "2026-01-11T00:00:00Z", "quantity": "3"},
        {"effectiveDate": "2026-01-25T06:00:00Z", "quantity": "1"},
    ]
    own = {"priceKey": "support", "priceId": told.other, "baseQuantity": "1"}
    await told.added(
        startDate="2026-01-05T00:00:00Z", endDate="2026-03-15T00:00:00Z", quantityTransitions=steps
    )
    await told.added(
        priceKey="tokens", unitPrice="0.333", baseQuantity="1", startDate="2026-01-16T00:00:00Z"
    )
    await told.added(
        priceKey="calls", unitPrice=None, baseQuantity="1",
        startDate="2026-01-10T00:00:00Z", endDate="2026-01-20T00:00:00Z",
    )  # fmt: skip
    await told.added(
        **own, unitPrice="365.00", billingCadence="P1Y", billingMode="advance",
        startDate="2026-02-01T00:00:00Z",
    )  # fmt: skip
    await told.added(
        priceKey="setup", priceId=told.other, unitPrice="99.00", baseQuantity="1",
        billingCadence="one_off", billDate="2026-01-20T00:00:00Z",
        startDate="2026-01-01T00:00:00Z",
    )  # fmt: skip
    await told.deal("percentageDiscount", "0.25", "2026-01-20")
    await told.deal("minimumQuantity", "4", "2026-01-01", told.seats)
    await told.deal("usageDiscount", "7", "2026-01-01", told.tokens)
    await told.deal("minimumQuantity", "50", "2026-01-01", bands)
    for day, amount in (("2026-01-15", "100.5"), ("2026-01-16", "33.25")):
        await told.use(amount, day)
    for day, amount in (("2026-01-05", "3"), ("2026-01-15", "8"), ("2026-01-25", "12")):
        await told.use(amount, day, "Calls.used")
    await told.close(told.commands, 0, "2026-02-01T00:00:00Z")
    january = await told.told(0)
    seats = _named(january, "Base fee")
    windows = [line["window"]["start"][:10] for line in seats if line["kind"] == "fee"]
    assert windows.count("2026-01-11") == 1
    (stepped,) = [line for line in seats if line["window"]["start"].startswith("2026-01-11")]
    interval = stepped["steps"]["price"]["interval"]
    assert (interval["kind"], interval["priceKey"], interval["unitPrice"]) == (
        "plan_line", "seats", "20",
    )  # fmt: skip
    assert interval["startDate"] == "2026-01-05T00:00:00Z"
    assert interval["endDate"] == "2026-03-15T00:00:00Z"
    assert [each["quantity"] for each in interval["quantityTransitions"]] == ["3", "1"]
    assert stepped["steps"]["measuredQuantity"] == "3"
    plans = [line["steps"]["price"] for line in _named(january, "Calls")]
    assert ["interval" in each for each in plans].count(True) == 1
    assert {each["planVersionNumber"] for each in plans} == {1}
    (once,) = [each for each in seats if each["window"]["seconds"] == "0" and each["kind"] == "fee"]
    assert once["steps"]["price"]["interval"]["billDate"] == "2026-01-20T00:00:00Z"
    for day, amount in (("2026-01-14", "10"), ("2026-01-17", "20"), ("2026-01-30", "1")):
        await told.use(amount, day)
    await told.close(told.commands, 1, "2026-03-01T00:00:00Z")
    february = await told.told(1)
    late = _named(february, "Tokens (late usage)")
    assert [("interval" in line["steps"]["price"]) for line in late] == [False, True]
    assert late[1]["steps"]["price"]["interval"]["unitPrice"] == "0.333"


async def test_what_was_explained_stays_after_an_edit(told: Told) -> None:
    """The interval is given an end in March; January's line keeps what it was billed by."""
    interval_id = await told.added(startDate="2026-01-10T00:00:00Z")
    await told.close(told.commands, 0, "2026-02-01T00:00:00Z")
    before = await told.told(0)
    edit = {"id": interval_id, "endDate": "2026-03-10T00:00:00Z"}
    accepted(await told.send(edit=[edit]))
    assert await told.told(0) == before


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
async def test_lines_of_a_plan_change_name_their_versions(told: Told, behavior: str) -> None:
    """31.00 to three at 61.99, on 11 January at noon, with a tenth off since the 8th.

    To 31.00 and a yearly 3.65 in February, which gives back more than it asks; the rest waits for
    another invoice.
    """
    basic = await told.shop.fee_price(told.product, "31.00", invoiceDisplayName="Basic")
    better = await told.shop.fee_price(
        told.product, "61.99", invoiceDisplayName="Better", quantity=3
    )
    yearly = await told.shop.fee_price(
        told.product, "3.65", invoiceDisplayName="Support", billingCadence="P1Y"
    )
    first = {"taxBehavior": behavior, "defaultTaxRate": 19}
    rents = [{"priceId": better, "key": "rent"}]
    new = await told.shop.plan(told.product, prices=rents, **first)
    rents = [{"priceId": basic, "key": "rent"}, {"priceId": yearly, "key": "support"}]
    third = await told.shop.plan(told.product, prices=rents, **first)
    await told.subscribe({"priceId": basic, "key": "rent"}, **first)
    await told.deal("percentageDiscount", "0.1", "2026-01-08")
    await told.at("2026-01-11T12:00:00Z")
    change = f"/internal/v1/subscriptions/{told.id}/planChange"
    accepted(await told.operator.post(change, json={"planId": new, "at": "now"}))
    await told.issue_cut(1, "2026-01-11T12:00:00Z")
    cut = await told.told(1)
    kinds = {line["displayName"]: line["steps"] for line in cut["lines"]}
    unused, asked = kinds["Basic (unused)"], kinds["Better"]
    assert unused["planChange"]["kind"] == "given_back"
    assert unused["planChange"]["invoiceId"] == (await told.invoices())[0]["id"]
    assert unused["proration"]["cycle"]["end"] == "2026-02-01T00:00:00Z"
    assert unused["price"]["planVersionId"] != asked["price"]["planVersionId"]
    assert asked["planChange"]["kind"] == "asked_for"
    assert (asked["price"]["priceId"], asked["pricedQuantity"]) == (better, "3")
    assert [each["share"]["denominator"] for each in asked["discountsTaken"]] == ["10"]
    assert [each["kind"] for each in asked["deal"]] == ["percentageDiscount"]
    await told.close(told.commands, 2, "2026-02-01T00:00:00Z")
    await told.told(2)
    await told.at("2026-02-10T00:00:00Z")
    accepted(await told.operator.post(change, json={"planId": third, "at": "now"}))
    await told.issue_cut(3, "2026-02-10T00:00:00Z")
    back = {line["displayName"]: line["steps"] for line in (await told.told(3))["lines"]}
    assert back["Support"]["proration"]["cycle"]["end"] == "2027-01-01T00:00:00Z"
    rest = back["Better (unused)"]["cut"]["carried"]
    assert Fraction(rest) < 0
    await told.close(told.commands, 4, "2026-03-01T00:00:00Z")
    march = (await told.told(4))["lines"]
    (carried,) = [line for line in march if line["displayName"] == "Better (unused)"]
    assert carried["unitPrice"] == rest
    assert carried["steps"]["carriedFrom"] != carried["id"]


async def test_stubs_around_a_pause(told: Told) -> None:
    """Paused on 11 January at 06:00, resumed on 18 March at 18:00; usage on both sides, a deal."""
    rent = await told.shop.fee_price(told.product, "31.00", invoiceDisplayName="Rent")
    await told.subscribe(
        {"priceId": rent, "key": "rent"},
        {"priceId": told.seats, "key": "seats"},
        {"priceId": told.tokens, "key": "tokens"},
    )
    await told.deal("minimumQuantity", "100", "2026-01-01", told.tokens)
    await told.deal("percentageDiscount", "0.05", "2026-01-03")
    await told.use("40", "2026-01-05")
    await told.at("2026-01-11T06:00:00Z")
    accepted(await told.client.post(f"/v0/subscriptions/{told.id}/pause"))
    await told.issue_cut(1, "2026-01-11T06:00:00Z")
    cut = {line["displayName"]: line for line in (await told.told(1))["lines"]}
    assert cut["Base fee"]["window"]["end"] == "2026-01-11T06:00:00Z"
    await told.at("2026-03-18T18:00:00Z")
    accepted(await told.client.post(f"/v0/subscriptions/{told.id}/resume"))
    await told.close(told.commands, 2, "2026-03-18T18:00:00Z")
    stub = {line["displayName"]: line for line in (await told.told(2))["lines"]}
    assert stub["Rent"]["window"]["start"] == "2026-03-18T18:00:00Z"
    await told.use("7", "2026-01-06")
    await told.use("150", "2026-03-20")
    await told.close(told.commands, 3, "2026-04-01T00:00:00Z")
    kinds = [line["kind"] for line in (await told.told(3))["lines"]]
    assert set(kinds) == {"fee", "metric", "adjustment"}
