"""The night's sums of days: which are made, what they are worth once something is broken."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.organizations import CreatedMerchant
from activities.retention import RetentionActivities
from activities.usage_rollups import UsageRollupActivities
from models.base import wall_now
from models.billable_metrics import BillableMetric
from models.database import Database
from models.queries import billable_metrics, usage, usage_rollups
from models.queries.usage import Selection
from tests.activity.rows import PlanShape, Shop, open_shop
from tests.activity.usage import report

TODAY = wall_now().replace(hour=0, minute=0, second=0, microsecond=0)
GHOST = """
INSERT INTO usage_days
    (metric_id, merchant_id, day, subject, external_subject, event_count, amount)
VALUES (:metric, :merchant, :day, 'ghost', '', 1, 5)
"""
START, END = TODAY - timedelta(days=300), TODAY + timedelta(days=1)


@pytest.fixture
async def shop(database: Database, merchant: CreatedMerchant) -> Shop:
    """A merchant whose tokens are summed by the day."""
    made = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    await run(database, "UPDATE billable_metrics SET daily_rollup = true WHERE id = :metric", made)
    return made


async def run(database: Database, statement: str, shop: Shop, **values: Any) -> Any:
    async with database.transaction() as session:
        connection = await session.connection()
        known = {"metric": shop.metric_id, "merchant": shop.merchant_id} | values
        used = {name: value for name, value in known.items() if f":{name}" in statement}
        result = await connection.execute(text(statement), used)
        return result.scalar_one_or_none() if result.returns_rows else None


async def metric_of(database: Database, shop: Shop) -> BillableMetric:
    async with database.transaction() as session:
        metric = await billable_metrics.get(session, shop.merchant_id, shop.metric_id)
        assert metric is not None
        return metric


async def readings(
    database: Database, shop: Shop, start: datetime = START, end: datetime = END
) -> tuple[int, int]:
    """From sums as far as there are any, and raw."""
    selection = Selection(shop.merchant_id, await metric_of(database, shop), start, end)
    async with database.transaction() as session:
        summed = await usage_rollups.total(session, selection)
        return int(summed), int(await usage.total(session, selection))


async def summed_days(database: Database, shop: Shop) -> int:
    found = await run(database, "SELECT count(*) FROM usage_days WHERE metric_id = :metric", shop)
    return int(found)


async def test_sums_are_what_is_read(database: Database, shop: Shop) -> None:
    """Of 10 on two days each, the sums are made to say 1 000 more: it shows in the reading."""
    for days_ago in (3, 5):
        await report(database, shop, [4, 6], TODAY - timedelta(days=days_ago))
    await report(database, shop, [1], TODAY)
    done = await UsageRollupActivities(database).roll_up_usage()
    assert done.differing == 0
    assert await summed_days(database, shop) == 2
    assert await readings(database, shop) == (21, 21)
    planted = "UPDATE usage_days SET amount = amount + 500 WHERE metric_id = :metric"
    await run(database, planted, shop)
    assert await readings(database, shop) == (1021, 21)


async def test_a_difference_is_told_and_mended(database: Database, shop: Shop) -> None:
    """The night compares all sums with the events: one is wrong, one is gone, one is invented."""
    for days_ago in (3, 5):
        await report(database, shop, [4, 6], TODAY - timedelta(days=days_ago))
    await UsageRollupActivities(database).roll_up_usage()
    day = TODAY - timedelta(days=3)
    for statement in (
        "UPDATE usage_days SET amount = 11 WHERE metric_id = :metric AND day = :day",
        "DELETE FROM usage_days WHERE metric_id = :metric AND day <> :day",
        GHOST,
    ):
        await run(database, statement, shop, day=day)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, activity_type="roll_up_usage")
    done = await environment.run(UsageRollupActivities(database).roll_up_usage)
    assert done.differing == 3
    assert await readings(database, shop) == (20, 20)
    assert (await UsageRollupActivities(database).roll_up_usage()).differing == 0


async def test_only_touched_days_are_summed_anew(database: Database, shop: Shop) -> None:
    for days_ago in (3, 5, 7):
        await report(database, shop, [10], TODAY - timedelta(days=days_ago))
    metric = await metric_of(database, shop)

    async def build() -> usage_rollups.Built:
        async with database.transaction() as session:
            await usage_rollups.repeatable(session)
            return await usage_rollups.build(session, metric)

    assert (await build()).days == 3
    assert (await build()).days == 0
    await report(database, shop, [1], TODAY - timedelta(days=5) + timedelta(hours=3))
    assert await readings(database, shop) == (31, 31)
    assert await build() == usage_rollups.Built(days=1, differing=0)
    assert await readings(database, shop) == (31, 31)


async def test_another_definition_is_not_read_from_old_sums(database: Database, shop: Shop) -> None:
    """The metric counts from four days ago on: raw at once, from new sums after the night."""
    for days_ago in (3, 5):
        await report(database, shop, [10], TODAY - timedelta(days=days_ago))
    await UsageRollupActivities(database).roll_up_usage()
    since = "UPDATE billable_metrics SET event_from = :since WHERE id = :metric"
    await run(database, since, shop, since=TODAY - timedelta(days=4))
    assert await readings(database, shop) == (10, 10)
    await UsageRollupActivities(database).roll_up_usage()
    assert await summed_days(database, shop) == 1
    assert await readings(database, shop) == (10, 10)


async def test_sums_do_not_outlive_their_events(database: Database, shop: Shop) -> None:
    """What retention has deleted is in no reading, though it was summed."""
    await report(database, shop, [10], TODAY - timedelta(days=200))
    await report(database, shop, [7], TODAY - timedelta(days=20))
    await UsageRollupActivities(database).roll_up_usage()
    months = "UPDATE merchants SET usage_retention_months = 4 WHERE id = :merchant"
    await run(database, months, shop)
    await RetentionActivities(database).delete_old_usage()
    assert await readings(database, shop) == (7, 7)
    assert await summed_days(database, shop) == 1
    assert (await UsageRollupActivities(database).roll_up_usage()).differing == 0


async def test_days_are_utc(database: Database, shop: Shop) -> None:
    """A window with an offset begins and ends amid a day: these days are read raw."""
    first = TODAY - timedelta(days=5)
    await report(database, shop, [1], first + timedelta(hours=1))
    await report(database, shop, [2], first + timedelta(hours=23))
    await UsageRollupActivities(database).roll_up_usage()
    start = datetime(first.year, first.month, first.day, 2, tzinfo=UTC)
    assert await readings(database, shop, start) == (2, 2)
