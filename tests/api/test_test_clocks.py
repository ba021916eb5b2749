"""Test clocks over HTTP."""

from typing import Any

import httpx2
import pytest

from activities.organizations import CreateMerchant, OrganizationActivities
from api.commands import ClockMemberFailed
from billing.errors import Conflict
from models.base import wall_now
from models.database import Database
from tests.api.in_process import InProcess, Shop, app_with
from tests.conftest import client_of

Client = httpx2.AsyncClient
PATH = "/v0/testClocks"
START = "2026-01-31T00:00:00Z"


async def test_a_clock_stands_where_it_is_put(shop: Shop, living: Client) -> None:
    for start in (
        "0002-01-01T00:00:00Z",
        "9990-01-01T00:00:00Z",
        START,
        "2999-02-28T23:59:59.5+05:30",
        "2026-01-31T00:00",
    ):
        made = await shop.post(PATH, currentTime=start, name="n", description="d")
        assert made["id"].startswith("tc_")
        assert len(made["id"]) == 19
        assert made["deletedAt"] is None
        assert (await living.get(f"{PATH}/{made['id']}")).json() == made
    now = (await shop.post(PATH))["currentTime"]
    assert now[:10] == wall_now().isoformat()[:10]
    for wrong in (
        {"currentTime": "soon"},
        {"currentTime": "0001-12-31T23:59:59Z"},
        {"currentTime": "9990-01-01T00:00:01Z"},
        {"name": "n" * 256},
        {"zone": "UTC"},
    ):
        answer = await living.post(PATH, json=wrong)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] in wrong


async def test_what_lives_on_an_extreme_clock_stays_in_the_calendar(
    shop: Shop, living: Client
) -> None:
    """A day before the end of the clock's time, and at its very beginning."""
    plan = await shop.advance_plan()
    for start in ("0002-01-01T00:00:00Z", "9989-12-31T00:00:00Z"):
        clock = await shop.clock(start)
        made = await shop.subscribe(plan, testClockId=clock, startedAt=start)
        assert made["payment"]["amount"] == "53.90"
        moved = await living.patch(f"{PATH}/{clock}", json={"advanceBy": "P1D"})
        assert moved.status_code == 200, moved.text
    beyond = await living.patch(f"{PATH}/{clock}", json={"advanceBy": "P1D"})
    assert beyond.json()["errors"][0]["field"] == "advanceBy"


@pytest.mark.parametrize(
    ("change", "time"),
    [
        ({"currentTime": "2026-02-28T00:00:00Z"}, "2026-02-28T00:00:00Z"),
        ({"advanceBy": "P1M"}, "2026-02-28T00:00:00Z"),
        ({"advanceBy": "PT1.5S"}, "2026-01-31T00:00:01.500000Z"),
        ({"advanceBy": "P1Y"}, "2027-01-31T00:00:00Z"),
        ({"currentTime": "2027-01-31T00:00:00Z"}, "2027-01-31T00:00:00Z"),
    ],
)
async def test_it_moves_forward_and_at_most_a_year(
    shop: Shop, living: Client, change: dict[str, str], time: str
) -> None:
    clock = await shop.clock(START)
    answer = await living.patch(f"{PATH}/{clock}", json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["currentTime"] == time
    assert (await living.get(f"{PATH}/{clock}")).json()["currentTime"] == time


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"currentTime": None},
        {"currentTime": "2026-02-01T00:00:00Z", "advanceBy": "P1D"},
        {"currentTime": "2026-01-30T00:00:00Z"},
        {"currentTime": START},
        {"currentTime": "2027-01-31T00:00:00.000001Z"},
        {"advanceBy": "P0D"},
        {"advanceBy": "-P1D"},
        {"advanceBy": "P1Y1D"},
        {"advanceBy": "P13M"},
        {"advanceBy": "P9999Y"},
        {"advanceBy": "a month"},
        {"advanceBy": 1},
        {"by": "P1D"},
    ],
)
async def test_other_movements_are_refused(
    shop: Shop, living: Client, change: dict[str, Any]
) -> None:
    clock = await shop.clock(START)
    answer = await living.patch(f"{PATH}/{clock}", json=change)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"]
    assert (await living.get(f"{PATH}/{clock}")).json()["currentTime"] == START


async def test_a_repeated_advance_is_answered_again(shop: Shop, living: Client) -> None:
    """The first answer was lost: the clock stands there because it was moved there."""
    clock = await shop.clock(START)
    change = {"currentTime": "2026-02-28T00:00:00Z"}
    first = await living.patch(f"{PATH}/{clock}", json=change)
    again = await living.patch(f"{PATH}/{clock}", json=change)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()


async def test_what_stands_against_an_advance_is_told(
    shop: Shop, living: Client, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = await shop.clock(START)
    for raised, status in (
        (Conflict("The clock is on its way"), 409),
        (ClockMemberFailed("Not everything followed", details={"payment/inv_1": "r"}), 500),
    ):

        async def refuse(*_arguments: Any, error: Exception = raised) -> None:
            raise error

        monkeypatch.setattr(commands, "advance_test_clock", refuse)
        answer = await living.patch(f"{PATH}/{clock}", json={"advanceBy": "P1D"})
        assert answer.status_code == status
        assert answer.json()["message"] == str(raised)
    monkeypatch.undo()
    commands.is_away = True
    away = await living.patch(f"{PATH}/{clock}", json={"advanceBy": "P1D"})
    assert away.status_code == 503
    assert (await living.get(f"{PATH}/{clock}")).json()["currentTime"] == START


async def test_a_deleted_clock_is_hidden_and_stands_still(
    shop: Shop, living: Client, commands: InProcess
) -> None:
    clock, kept = await shop.clock(START), await shop.clock(START)
    gone = await living.delete(f"{PATH}/{clock}")
    assert gone.status_code == 200
    assert gone.json()["deletedAt"]
    assert commands.deleted == [clock]
    assert (await living.get(f"{PATH}/{clock}")).json() == gone.json()
    assert (await living.delete(f"{PATH}/{clock}")).json() == gone.json()
    listed = (await living.get(PATH)).json()
    assert [row["id"] for row in listed["data"]] == [kept]
    assert listed["pagination"] == {"limit": 10, "offset": 0, "total": 1}
    moved = await living.patch(f"{PATH}/{clock}", json={"advanceBy": "P1D"})
    assert moved.status_code == 404


async def test_a_clock_is_deleted_also_while_temporal_is_away(
    shop: Shop, living: Client, commands: InProcess
) -> None:
    clock = await shop.clock(START)
    commands.is_away = True
    assert (await living.delete(f"{PATH}/{clock}")).status_code == 200
    assert (await living.get(f"{PATH}/{clock}")).json()["deletedAt"]


async def test_a_clock_with_living_subscriptions_stays(shop: Shop, living: Client) -> None:
    clock = await shop.clock(START)
    made = await shop.subscribe(await shop.advance_plan(), testClockId=clock, startedAt=START)
    refused = await living.delete(f"{PATH}/{clock}")
    assert refused.status_code == 409
    assert refused.json()["details"] == {"subscriptionCount": 1}
    assert (await living.get(f"{PATH}/{clock}")).json()["deletedAt"] is None
    await shop.post(f"/v0/subscriptions/{made['id']}/termination", reason="r")
    assert (await living.delete(f"{PATH}/{clock}")).status_code == 200


async def test_only_the_sandbox_and_only_its_own(
    shop: Shop, living: Client, stranger_client: Client, database: Database, commands: InProcess
) -> None:
    clock = await shop.clock(START)
    assert (await stranger_client.get(f"{PATH}/{clock}")).status_code == 404
    foreign = await living.post(PATH, json={"merchantId": "org_0"})
    assert foreign.status_code == 403
    for path in (f"{PATH}/tc_1", f"{PATH}/tc_{'0' * 16}"):
        assert (await living.get(path)).status_code == 404
    live = await OrganizationActivities(database).create_merchant(CreateMerchant("L", live=True))
    async with client_of(app_with(database, commands), live.api_key) as client:
        assert (await client.post(PATH, json={})).status_code == 403
        assert (await client.get(PATH)).json()["data"] == []
