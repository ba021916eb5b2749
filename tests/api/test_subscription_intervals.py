"""What a subscription bills over time, over HTTP: added, edited, removed, refused and recorded."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import InProcess, Shop, accepted

Client = httpx2.AsyncClient
START = "2026-01-01T00:00:00Z"
FEBRUARY = "2026-02-01T00:00:00Z"
MARCH = "2026-03-01T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"


class Terms:
    """Seats in arrears at 10.00 (two of them) and tokens at 0.50, from January on."""

    def __init__(self, shop: Shop, client: Client) -> None:
        self.shop, self.client = shop, client
        self.id = self.customer = self.seats = self.tokens = self.clock = self.other = ""
        self.product = self.plan = ""

    async def open(self) -> "Terms":
        self.product = await self.shop.product()
        self.seats = await self.shop.fee_price(
            self.product, "10.00", paymentTerm="in_arrears", quantity=2
        )
        self.other = await self.shop.fee_price(self.product, "7.00")
        _, self.tokens = await self.shop.metric_price(self.product, "0.50")
        self.clock = await self.shop.clock(START)
        lines = [
            {"priceId": self.seats, "key": "seats"}, {"priceId": self.tokens, "key": "tokens"},
        ]  # fmt: skip
        self.plan = await self.shop.plan(self.product, defaultTaxRate=0, prices=lines)
        made = await self.shop.subscribe(self.plan, startedAt=START, testClockId=self.clock)
        self.id, self.customer = made["id"], made["customerId"]
        return self

    @property
    def path(self) -> str:
        return f"/v0/subscriptions/{self.id}/intervals"

    def addition(self, **members: Any) -> dict[str, Any]:
        return {
            "priceKey": "seats",
            "unitPrice": "20.00",
            "baseQuantity": "2",
            "billingCadence": "P1M",
            "billingMode": "arrears",
            "startDate": FEBRUARY,
        } | members

    async def send(self, **body: Any) -> httpx2.Response:
        return await self.client.post(self.path, json=body)

    async def add(self, **members: Any) -> httpx2.Response:
        return await self.send(add=[self.addition(**members)])

    async def added(self, **members: Any) -> str:
        answer = accepted(await self.add(**members))
        return str(answer["intervalChange"]["intervals"][0]["intervalId"])

    async def standing(self, key: str = "seats") -> list[dict[str, Any]]:
        found = accepted(await self.client.get(self.path))["intervals"]
        return [each for each in found if each["priceKey"] == key]

    async def shown(self, key: str = "seats") -> list[tuple[str, str | None, str | None]]:
        return [
            (each["startDate"], each["endDate"], each["unitPrice"])
            for each in await self.standing(key)
        ]

    async def subtotals(self) -> list[str]:
        query: dict[str, str | int] = {"subscriptionId": self.id, "limit": 100}
        found = accepted(await self.client.get("/v2/invoices", params=query))["data"]
        return [row["subtotal"] for row in sorted(found, key=lambda row: row["sequenceNumber"])]

    async def close(self, commands: InProcess, number: int, now: str) -> None:
        body = {"currentTime": now}
        accepted(await self.client.patch(f"/v0/testClocks/{self.clock}", json=body))
        await commands.close_period(self.shop.merchant_id, self.id, number)


@pytest.fixture
async def terms(shop: Shop, living: Client) -> Terms:
    return await Terms(shop, living).open()


async def test_a_plan_is_shown_as_intervals_without_an_end(terms: Terms) -> None:
    (seats,) = await terms.standing()
    assert seats["id"].startswith("int_")
    assert seats == {
        "id": seats["id"],
        "kind": "plan_line",
        "priceId": terms.seats,
        "priceKey": "seats",
        "planVersionId": seats["planVersionId"],
        "unitPrice": None,
        "baseQuantity": "2",
        "quantityTransitions": [],
        "billingCadence": "P1M",
        "billingMode": "arrears",
        "billDate": None,
        "startDate": START,
        "endDate": None,
    }
    assert [each["id"] for each in await terms.standing()] == [seats["id"]]


async def test_an_override_takes_the_place_of_the_plan_for_its_time(
    terms: Terms, commands: InProcess
) -> None:
    """January 2 x 10, February 2 x 20, from 15 March on the plan's 10 again.

    March has 31 days: 14 at 40.00 are 18.0645…, 17 at 20.00 are 10.9677…, 29.03 together.
    """
    answer = accepted(
        await terms.send(
            add=[terms.addition(endDate="2026-03-15T00:00:00Z")],
            changeReason="commercial",
            description="Raised",
            metadata={"deal": 7},
        )
    )
    assert answer["unchanged"] is False
    assert answer["lineItems"] == {"created": 0, "removed": 0}
    change = answer["intervalChange"]
    assert (change["changeReason"], change["description"]) == ("commercial", "Raised")
    assert change["metadata"] == {"deal": 7}
    (entry,) = change["intervals"]
    assert entry["before"] is None
    assert entry["after"]["resolvedUnitPrice"] == "20"
    assert await terms.shown() == [
        (START, FEBRUARY, None),
        (FEBRUARY, "2026-03-15T00:00:00Z", "20"),
        ("2026-03-15T00:00:00Z", None, None),
    ]
    for number, now in enumerate(("2026-02-02", "2026-03-02", "2026-04-02")):
        await terms.close(commands, number, f"{now}T00:00:00Z")
    assert await terms.subtotals() == ["20.00", "40.00", "29.03", "20.00"]


async def test_the_same_addition_again_overlaps_the_first(terms: Terms) -> None:
    await terms.added()
    again = await terms.add()
    assert (again.status_code, again.json()["code"]) == (409, "INTERVAL_OVERLAP")


async def test_steps_of_a_quantity_are_prorated(terms: Terms, commands: InProcess) -> None:
    """February: 14 days with 2 seats and 14 with 4 are three on average: 30.00."""
    await terms.added(
        unitPrice=None,
        quantityTransitions=[{"effectiveDate": "2026-02-15T00:00:00Z", "quantity": "4"}],
    )
    await terms.close(commands, 0, "2026-02-02T00:00:00Z")
    await terms.close(commands, 1, "2026-03-02T00:00:00Z")
    assert await terms.subtotals() == ["20.00", "30.00", "40.00"]


async def test_an_interval_of_its_own_bills_beside_the_plan(
    terms: Terms, commands: InProcess
) -> None:
    """A fee of 7.00 in advance from February on, kept at the rate of today; once 99.00."""
    own = {"priceKey": "support", "billingMode": "advance", "baseQuantity": "1"}
    missing = await terms.add(**own)
    assert missing.json()["errors"][0]["field"] == "priceId"
    answer = accepted(await terms.add(**own, unitPrice=None, priceId=terms.other))
    assert answer["lineItems"] == {"created": 1, "removed": 0}
    (support,) = await terms.standing("support")
    assert (support["kind"], support["unitPrice"]) == ("subscription_owned", "7")
    once = terms.addition(
        priceKey="setup",
        priceId=terms.other,
        unitPrice="99.00",
        baseQuantity="1",
        billingCadence="one_off",
        billDate="2026-02-10T00:00:00Z",
    )
    accepted(await terms.send(add=[once]))
    twice = await terms.send(add=[once | {"endDate": None}])
    assert (twice.status_code, twice.json()["code"]) == (409, "INTERVAL_ONE_OFF_TWICE")
    await terms.close(commands, 0, "2026-02-02T00:00:00Z")
    await terms.close(commands, 1, "2026-03-02T00:00:00Z")
    assert await terms.subtotals() == ["27.00", "126.00", "27.00"]


async def test_a_line_is_closed_reopened_and_followed(terms: Terms) -> None:
    (seats,) = await terms.standing()
    accepted(await terms.send(edit=[{"id": seats["id"], "endDate": MARCH}]))
    assert await terms.shown() == [(START, MARCH, None)]
    late = await terms.add(startDate=APRIL)
    assert (late.status_code, late.json()["code"]) == (409, "INTERVAL_GAP")
    follower = await terms.added(startDate=MARCH)
    assert await terms.shown() == [(START, MARCH, None), (MARCH, None, "20")]
    for end, code in ((FEBRUARY, "INTERVAL_GAP"), (APRIL, "INTERVAL_OVERLAP")):
        moved = await terms.send(edit=[{"id": seats["id"], "endDate": end}])
        assert (moved.status_code, moved.json()["code"]) == (409, code)
    accepted(await terms.send(remove=[{"id": follower}]))
    accepted(await terms.send(edit=[{"id": seats["id"], "endDate": None}]))
    assert await terms.shown() == [(START, None, None)]


async def test_what_is_sent_back_as_it_is_changes_nothing(terms: Terms) -> None:
    for interval in await terms.standing():
        body = {name: value for name, value in interval.items() if name != "kind"}
        answer = accepted(await terms.send(edit=[body]))
        assert (answer["unchanged"], answer["intervalChange"]) == (True, None)
        assert answer["lineItems"] == {"created": 0, "removed": 0}
        other = await terms.send(edit=[body | {"startDate": FEBRUARY}])
        assert other.json()["errors"][0]["field"] == "startDate"
    changes = accepted(await terms.client.get(f"/v0/subscriptions/{terms.id}/intervalChanges"))
    assert changes["data"] == []


async def test_billed_periods_stay(terms: Terms, commands: InProcess) -> None:
    first = await terms.added(startDate=START, endDate=FEBRUARY)
    assert await terms.subtotals() == ["40.00"]
    await terms.close(commands, 0, "2026-02-02T00:00:00Z")
    for body in (
        {"remove": [{"id": first}]},
        {"edit": [{"id": first, "unitPrice": "1.00"}]},
        {"edit": [{"id": first, "endDate": "2026-01-15T00:00:00Z"}]},
        {"add": [terms.addition(startDate="2026-01-15T00:00:00Z", endDate="2026-01-20T00:00:00Z")]},
    ):
        answer = await terms.send(**body)
        assert (answer.status_code, answer.json()["code"]) == (409, "INTERVAL_PERIOD_BILLED"), body
        assert answer.json()["details"]["changeableFrom"] == FEBRUARY
    assert await terms.subtotals() == ["40.00", "20.00"]


async def test_late_usage_is_billed_at_the_rate_of_its_interval(
    terms: Terms, commands: InProcess
) -> None:
    """Tokens at 3.00 instead of 0.50 in January; two more come late: 6.00."""
    await terms.added(
        priceKey="tokens", unitPrice="3.00", baseQuantity="1", startDate=START, endDate=FEBRUARY
    )
    event = {
        "type": "completion",
        "source": "test",
        "subject": terms.customer,
        "timestamp": "2026-01-10T00:00:00Z",
        "data": {"tokens": 2},
    }
    assert (await terms.client.post("/v0/events", json=event)).status_code == 202
    await terms.close(commands, 0, "2026-02-02T00:00:00Z")
    assert (await terms.client.post("/v0/events", json=event)).status_code == 202
    assert await terms.subtotals() == ["26.00", "26.00"]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"billingCadence": "one_off"}, "billDate"),
        ({"billDate": FEBRUARY}, "billDate"),
        ({"endDate": FEBRUARY}, "endDate"),
        ({"startDate": "2025-12-01T00:00:00Z"}, "startDate"),
        ({"baseQuantity": "-1"}, "baseQuantity"),
        ({"billingCadence": "PT5M"}, "billingCadence"),
        ({"billingCadence": "monthly"}, "billingCadence"),
        ({"priceId": "price_0"}, "priceId"),
        ({"priceKey": "Support", "priceId": "price_0"}, "priceKey"),
        ({"priceKey": "support", "priceId": "price_0"}, "priceId"),
        ({"priceKey": "tokens", "billingMode": "advance"}, "billingMode"),
        ({"quantityTransitions": [{"effectiveDate": START, "quantity": "1"}]}, "quantityTrans"),
        ({"kind": "plan_line"}, "kind"),
        ({"unitPrice": "-1"}, "unitPrice"),
    ],
)
async def test_terms_that_cannot_be_billed(
    terms: Terms, members: dict[str, Any], field: str
) -> None:
    answer = await terms.add(**members)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["errors"][0]["field"]


async def test_what_else_is_refused(terms: Terms, stranger_client: Client) -> None:
    assert (await terms.send()).status_code == 400
    assert (await terms.send(edit=[{"id": "int_0"}])).status_code == 404
    assert (await terms.send(remove=[{"id": "int_0"}])).status_code == 404
    (seats,) = await terms.standing()
    assert (await terms.send(remove=[{"id": seats["id"]}])).status_code == 409
    other = await terms.add(planVersionId="pver_0")
    assert (other.status_code, other.json()["code"]) == (409, "INTERVAL_OTHER_PLAN_VERSION")
    assert (await stranger_client.get(terms.path)).status_code == 404
    changes = f"/v0/subscriptions/{terms.id}/intervalChanges"
    assert (await stranger_client.get(changes)).status_code == 404
    ended = {"reason": "Enough"}
    await terms.client.post(f"/v0/subscriptions/{terms.id}/termination", json=ended)
    late = await terms.add()
    assert (late.status_code, late.json()["code"]) == (409, "SUBSCRIPTION_NOT_LIVE")


async def test_changes_are_listed_oldest_first(terms: Terms) -> None:
    accepted(await terms.send(add=[terms.addition(endDate=MARCH)], changeReason="correction"))
    accepted(await terms.send(add=[terms.addition(startDate=MARCH, unitPrice="30.00")]))
    listed = accepted(await terms.client.get("/v0/intervalChanges"))["data"]
    assert [each["changeReason"] for each in listed] == ["correction", "unspecified"]
    mine = await terms.client.get(f"/v0/subscriptions/{terms.id}/intervalChanges")
    assert accepted(mine)["data"] == listed
    query: dict[str, str] = {"from": listed[1]["createdAt"], "changeReason": "unspecified"}
    assert accepted(await terms.client.get("/v0/intervalChanges", params=query))["data"] == [
        listed[1]
    ]
    query = {"to": listed[1]["createdAt"]}
    found = accepted(await terms.client.get("/v0/intervalChanges", params=query))
    assert found["data"] == [listed[0]]


async def test_terms_of_its_own_pin_the_version(terms: Terms) -> None:
    await terms.added()
    made = accepted(await terms.client.get(f"/v0/subscriptions/{terms.id}"))
    assert made["versionPolicy"] == "pinned"
