"""Retention: what is old goes, in short steps; what billing may still read stays to the second."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities import retention
from activities.organizations import CreatedMerchant
from activities.retention import Progress, RetentionActivities
from activities.subscription_starts import CreateSubscription
from activities.subscriptions import SubscriptionActivities
from billing.cycles import Cycles, EarlierCycles, cycles_documents
from billing.durations import parse_duration
from billing.errors import InvalidValue
from models.base import new_id, wall_now
from models.database import Database
from models.entitlements import Entitlement, EntitlementGrant
from models.features import Feature
from models.subscription_intervals import SubscriptionInterval
from tests.activity.rows import PlanShape, Shop, open_shop
from tests.activity.usage import report
from tests.factories import (
    a_customer,
    a_metric,
    a_plan,
    a_price,
    a_product,
    a_subscription,
    an_invoice,
)

SECOND = timedelta(seconds=1)


@pytest.fixture
async def shop(database: Database, merchant: CreatedMerchant) -> Shop:
    """A merchant who keeps four months of usage."""
    made = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    await change(database, merchant.merchant_id, usage_retention_months=4)
    return made


async def change(database: Database, merchant_id: str, **columns: Any) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        for name, value in columns.items():
            await connection.execute(
                text(f"UPDATE merchants SET {name} = :value WHERE id = :id"),
                {"value": value, "id": merchant_id},
            )


async def kept(database: Database, merchant_id: str) -> list[datetime]:
    """When the merchant's events happened that are still there."""
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.execute(
            text("SELECT timestamp FROM usage_events WHERE merchant_id = :id ORDER BY timestamp"),
            {"id": merchant_id},
        )
        return [row[0] for row in rows]


async def deleted_before(database: Database, merchant_id: str) -> datetime | None:
    async with database.transaction() as session:
        connection = await session.connection()
        found: datetime | None = await connection.scalar(
            text("SELECT usage_deleted_before FROM merchants WHERE id = :id"), {"id": merchant_id}
        )
        return found


async def report_at(database: Database, shop: Shop, instants: Sequence[datetime]) -> None:
    for instant in instants:
        await report(database, shop, [1], instant)


async def test_what_is_older_than_the_policy_goes(
    database: Database, shop: Shop, stranger: CreatedMerchant
) -> None:
    """Of two merchants with the same events, only the one with a policy loses the old ones."""
    other = await open_shop(database, stranger.merchant_id, PlanShape(fee=None))
    now = wall_now()
    old, young = now - timedelta(days=130), now - timedelta(days=110)
    for each in (shop, other):
        await report_at(database, each, [old, young])
    done = await RetentionActivities(database).delete_old_usage()
    assert done.deleted[shop.merchant_id] == 1
    assert other.merchant_id not in done.deleted
    assert await kept(database, shop.merchant_id) == [young]
    assert await kept(database, other.merchant_id) == [old, young]
    again = await RetentionActivities(database).delete_old_usage()
    assert shop.merchant_id not in again.deleted


OPENED = datetime(2026, 5, 31, tzinfo=UTC)
"""The start of a monthly period; three months before it is 28 February, 92 days 28 February too."""


@pytest.mark.parametrize(
    ("cadence", "earlier", "since"),
    [
        # 92 days before, and a period more: 31 May - 92 days is 28 February, a month before that.
        ("P1M", [], datetime(2026, 1, 28, tzinfo=UTC)),
        # Three years before, and a year more.
        ("P1Y", [], datetime(2022, 5, 31, tzinfo=UTC)),
        # Three weeks are less than 92 days.
        ("P7D", [], datetime(2026, 2, 21, tzinfo=UTC)),
        # What was billed by the year once, of whatever cadence the plan is now.
        ("P1M", ["P7D", "P1Y"], datetime(2022, 5, 31, tzinfo=UTC)),
        ("P1M", ["P7D"], datetime(2026, 1, 28, tzinfo=UTC)),
    ],
)
async def test_what_late_usage_may_read_stays(
    database: Database, shop: Shop, cadence: str, earlier: list[str], since: datetime
) -> None:
    """However old it is: the open period, and as far as a correction looks back."""
    async with database.transaction() as session:
        product = await a_product(session, shop.merchant_id)
        plan = await a_plan(session, product, billing_cadence=cadence)
        customer = await a_customer(session, shop.merchant_id)
        ended = [EarlierCycles(Cycles(since, parse_duration(each)), OPENED, 6) for each in earlier]
        living = await a_subscription(
            session, customer, plan, started_at=since, earlier_cycles=cycles_documents(ended)
        )
        await an_invoice(session, living, sequence_number=7, ended_from=OPENED)
        await an_invoice(
            session, living, sequence_number=6, status="PAID", ended_from=OPENED - timedelta(28)
        )
    await report_at(database, shop, [since - SECOND, since, OPENED])
    # Far enough in the future for the policy to reach into the open period.
    await change(database, shop.merchant_id, usage_retention_months=1)
    await RetentionActivities(database).delete_old_usage()
    assert await kept(database, shop.merchant_id) == [since, OPENED]
    assert await deleted_before(database, shop.merchant_id) == since


@pytest.mark.parametrize(
    ("every", "since"),
    [
        # A month's 28 February, and a year before it, of the plan's or of terms of one's own.
        ("P1Y", datetime(2025, 2, 28, tzinfo=UTC)),
        # Shorter than the plan's: as without it.
        ("P7D", datetime(2026, 1, 28, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("is_own", [False, True])
async def test_what_a_longer_cycle_of_usage_reads_stays(
    database: Database, shop: Shop, every: str, since: datetime, is_own: bool
) -> None:
    async with database.transaction() as session:
        product = await a_product(session, shop.merchant_id)
        metric = await a_metric(session, product)
        price = await a_price(session, metric, billing_cadence=None if is_own else every)
        plan = await a_plan(session, product, price)
        customer = await a_customer(session, shop.merchant_id)
        living = await a_subscription(session, customer, plan, started_at=since)
        await an_invoice(session, living, sequence_number=7, ended_from=OPENED)
        if is_own:
            session.add(
                SubscriptionInterval(
                    id=new_id("int"), merchant_id=shop.merchant_id, subscription_id=living.id,
                    price_id=price.id, plan_version_id=plan.default_version_id,
                    price_key=price.id, kind="plan_line", base_quantity=Decimal(1),
                    billing_cadence=every, billing_mode="arrears", start_date=since,
                )
            )  # fmt: skip
    await report_at(database, shop, [since - SECOND, since, OPENED])
    await change(database, shop.merchant_id, usage_retention_months=1)
    await RetentionActivities(database).delete_old_usage()
    assert await kept(database, shop.merchant_id) == [since, OPENED]


@pytest.mark.parametrize(
    ("every", "carried", "since"),
    [
        # A month's 28 January, and a period of the allowance before it.
        ("P7D", 0, datetime(2026, 1, 21, tzinfo=UTC)),
        ("P1Y", 0, datetime(2025, 1, 28, tzinfo=UTC)),
        # As long as it lasts.
        ("P7D", 5, datetime(2024, 3, 1, tzinfo=UTC)),
        (None, 0, datetime(2024, 3, 1, tzinfo=UTC)),
    ],
)
async def test_what_has_used_an_allowance_up_stays(
    database: Database, shop: Shop, every: str | None, carried: int, since: datetime
) -> None:
    begun = datetime(2024, 3, 1, tzinfo=UTC)
    async with database.transaction() as session:
        product = await a_product(session, shop.merchant_id)
        plan = await a_plan(session, product)
        customer = await a_customer(session, shop.merchant_id)
        living = await a_subscription(session, customer, plan, started_at=begun)
        await an_invoice(session, living, sequence_number=7, ended_from=OPENED)
        feature = Feature(
            id=new_id("feat"), merchant_id=shop.merchant_id, product_id=product.id,
            key="units", name="Units", type="metered",
        )  # fmt: skip
        session.add(feature)
        await session.flush()
        entitlement = Entitlement(
            id=new_id("ent"), merchant_id=shop.merchant_id, customer_id=customer.id,
            feature_id=feature.id, subscription_id=living.id, template={"type": "metered"},
            origin="plan", active_from=begun,
        )  # fmt: skip
        session.add(entitlement)
        await session.flush()
        session.add(
            EntitlementGrant(
                id=new_id("grt"), merchant_id=shop.merchant_id, entitlement_id=entitlement.id,
                origin="allowance", amount=Decimal(10), effective_at=begun,
                recurrence_period=every, reset_max_rollover=Decimal(carried),
            )
        )  # fmt: skip
    await report_at(database, shop, [since - SECOND, since, OPENED])
    await change(database, shop.merchant_id, usage_retention_months=1)
    await RetentionActivities(database).delete_old_usage()
    assert await kept(database, shop.merchant_id) == [since, OPENED]


@pytest.mark.parametrize("status", ["CLOSING", "DRAFT", "FAILED"])
async def test_an_invoice_that_is_not_final_keeps_its_usage(
    database: Database, shop: Shop, status: str
) -> None:
    """Also of a subscription that has ended; once the invoice is final, its usage may go."""
    async with database.transaction() as session:
        product = await a_product(session, shop.merchant_id)
        plan = await a_plan(session, product)
        customer = await a_customer(session, shop.merchant_id)
        ended = await a_subscription(session, customer, plan, status="terminated")
        row = await an_invoice(session, ended, status=status, ended_from=OPENED)
    await report_at(database, shop, [OPENED])
    await change(database, shop.merchant_id, usage_retention_months=1)
    await RetentionActivities(database).delete_old_usage()
    assert await kept(database, shop.merchant_id) == [OPENED]
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text("UPDATE invoices SET status = 'PAID' WHERE id = :id"), {"id": row.id}
        )
    await RetentionActivities(database).delete_old_usage()
    assert await kept(database, shop.merchant_id) == []


async def test_a_walk_goes_on_where_it_stopped(
    database: Database, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One block a step, a heartbeat after each; the next attempt skips what was walked."""
    monkeypatch.setattr(retention, "BLOCKS_PER_STEP", 1)
    await report(database, shop, [1] * 300, wall_now() - timedelta(days=300))
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.execute(
            text("SELECT (ctid::text::point)[0]::int FROM usage_events WHERE merchant_id = :id"),
            {"id": shop.merchant_id},
        )
        blocks = [row[0] for row in rows]
    assert len(set(blocks)) > 1
    middle = max(blocks)
    beats: list[Progress] = []
    environment = ActivityEnvironment()
    before = {"next_block": middle, "deleted": {shop.merchant_id: 40}}
    environment.info = replace(environment.info, heartbeat_details=[before])
    environment.on_heartbeat = lambda *details: beats.append(details[0])
    done = await environment.run(RetentionActivities(database).delete_old_usage)
    here = sum(1 for block in blocks if block >= middle)
    assert done.deleted[shop.merchant_id] == 40 + here
    assert len(await kept(database, shop.merchant_id)) == 300 - here
    assert beats[0].next_block == middle + 1
    whole = await RetentionActivities(database).delete_old_usage()
    assert whole.deleted[shop.merchant_id] == 300 - here


async def test_nothing_is_billed_for_time_whose_usage_is_gone(
    database: Database, shop: Shop
) -> None:
    """A subscription that began before is refused; one that begins after is made."""
    now = wall_now()
    await RetentionActivities(database).delete_old_usage()
    await change(database, shop.merchant_id, usage_deleted_before=now - timedelta(days=40))

    async def begin(days_ago: int, elapsed: str) -> bool:
        command = CreateSubscription(
            merchant_id=shop.merchant_id,
            customer_id=shop.customer_id,
            plan_id=shop.plan_id,
            name="Pro",
            started_at=now - timedelta(days=days_ago),
            elapsed_period_billing=elapsed,
        )
        created = await SubscriptionActivities(database).create_subscription(command)
        return created.created

    with pytest.raises(InvalidValue, match="no longer kept"):
        await begin(60, "per_period")
    assert await begin(60, "none")
