"""Why intervals are as they are: said at the creation, a change or the end; shown and kept."""

from typing import Any

import httpx2
import pytest

from tests.api.in_process import InProcess, Shop, accepted
from tests.api.test_explained_terms import Told
from tests.api.test_subscription_intervals import FEBRUARY, START

Client = httpx2.AsyncClient
DEAL = {
    "changeReason": "migration",
    "changeDescription": "Moved from the old system",
    "changeMetadata": {"deal": "D-7", "signed": True, "seats": 2},
}


class Reasons(Told):
    """Seats and tokens again, with what was said about them."""

    async def agreed(self, plan: str, **said: Any) -> None:
        """Another customer's subscription of the plan, with these words."""
        made = await self.shop.subscribe(plan, startedAt=START, testClockId=self.clock, **said)
        self.id, self.customer = made["id"], made["customerId"]

    async def records(self) -> list[Any]:
        path = f"/v0/subscriptions/{self.id}/intervalChanges"
        found: list[Any] = accepted(await self.client.get(path))["data"]
        return found

    async def agreement(self, number: int, name: str) -> Any:
        (line,) = [
            each for each in (await self.told(number))["lines"] if each["displayName"] == name
        ]
        return line["steps"]["price"].get("agreement")


@pytest.fixture
async def reasons(shop: Shop, living: Client, commands: InProcess, operator: Client) -> Reasons:
    opened = Reasons(shop, living, commands, operator)
    await opened.open()
    return opened


async def test_what_is_said_at_the_creation_is_the_first_record(reasons: Reasons) -> None:
    await reasons.agreed(reasons.plan, **DEAL)
    (record,) = await reasons.records()
    assert (record["changeReason"], record["description"], record["metadata"]) == (
        "migration", "Moved from the old system", {"deal": "D-7", "signed": True, "seats": 2},
    )  # fmt: skip
    assert [entry["before"] for entry in record["intervals"]] == [None, None]
    standing = accepted(await reasons.client.get(reasons.path))["intervals"]
    kept = {entry["intervalId"]: entry["after"] for entry in record["intervals"]}
    assert kept.keys() == {each["id"] for each in standing}
    for each in standing:
        after = kept[each["id"]]
        assert (after["priceKey"], after["startDate"]) == (each["priceKey"], START)
    resolved = {after["priceKey"]: after["resolvedUnitPrice"] for after in kept.values()}
    assert resolved == {"seats": "10", "tokens": "0.5"}


async def test_a_creation_without_words_makes_no_record(reasons: Reasons) -> None:
    await reasons.agreed(reasons.plan)
    assert await reasons.records() == []


async def test_a_description_alone_has_no_named_reason(reasons: Reasons) -> None:
    await reasons.agreed(reasons.plan, changeDescription="As agreed by phone")
    (record,) = await reasons.records()
    assert (record["changeReason"], record["metadata"]) == ("unspecified", {})


async def test_the_reason_of_an_end_is_recorded_with_its_intervals(reasons: Reasons) -> None:
    """Seats have ended with January and stay as they are; tokens end with the subscription."""
    (seats,) = await reasons.standing("seats")
    accepted(await reasons.send(edit=[{"id": seats["id"], "endDate": FEBRUARY}]))
    await reasons.close(reasons.commands, 0, "2026-02-10T00:00:00Z")
    ending = {"reason": "The contract ran out", "changeReason": "commercial"}
    path = f"/v0/subscriptions/{reasons.id}/termination"
    accepted(await reasons.client.post(path, json=ending))
    _, record = await reasons.records()
    assert (record["changeReason"], record["description"]) == ("commercial", "The contract ran out")
    (entry,) = record["intervals"]
    assert entry["before"]["priceKey"] == "tokens"
    assert (entry["before"]["endDate"], entry["after"]["endDate"]) == (None, "2026-02-10T00:00:00Z")


async def test_an_end_without_a_reason_makes_no_record(reasons: Reasons) -> None:
    path = f"/v0/subscriptions/{reasons.id}/termination"
    accepted(await reasons.client.post(path, json={"reason": "Enough"}))
    assert await reasons.records() == []


async def test_explanations_name_the_record_behind_a_line(reasons: Reasons) -> None:
    """January as created; from February 20.00 a seat, by words of its own; tokens as ever.

    The interval's end, given after February was billed, is another record: it made other terms.
    """
    await reasons.agreed(reasons.plan, **DEAL)
    raised = await reasons.send(
        add=[reasons.addition()],
        changeReason="commercial",
        description="Raised",
        metadata={"deal": "D-9"},
    )
    interval = accepted(raised)["intervalChange"]["intervals"][0]["intervalId"]
    await reasons.close(reasons.commands, 0, "2026-02-01T00:00:00Z")
    await reasons.close(reasons.commands, 1, "2026-03-01T00:00:00Z")
    edit = {"id": interval, "endDate": "2026-04-01T00:00:00Z"}
    accepted(await reasons.send(edit=[edit], description="Ends in April"))
    first, second, third = await reasons.records()
    january = await reasons.agreement(0, "Base fee")
    assert january == {
        "intervalChangeId": first["id"],
        "changeReason": "migration",
        "description": "Moved from the old system",
        "metadata": DEAL["changeMetadata"],
        "createdAt": first["createdAt"],
    }
    february = await reasons.agreement(1, "Base fee")
    assert (february["intervalChangeId"], february["metadata"]) == (second["id"], {"deal": "D-9"})
    assert (await reasons.agreement(1, "Tokens"))["intervalChangeId"] == first["id"]
    await reasons.close(reasons.commands, 2, "2026-04-01T00:00:00Z")
    running = await reasons.agreement(2, "Base fee")
    assert (running["intervalChangeId"], running["description"]) == (third["id"], "Ends in April")


async def test_records_are_in_the_audit_log(reasons: Reasons) -> None:
    await reasons.agreed(reasons.plan, **DEAL)
    (record,) = await reasons.records()
    query = {"objectId": record["id"]}
    found = await reasons.operator.get("/internal/v1/auditEvents", params=query)
    (event,) = accepted(found)["data"]
    assert (event["change"], event["operation"]) == ("insert", "createSubscription")
    assert event["after"]["description"] == "Moved from the old system"
