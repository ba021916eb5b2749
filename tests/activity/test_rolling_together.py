"""Periods that end at the same time: to the row what they are when they roll one by one.

Both ways start from one copy of a database, so that all that is derived is the same in both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from temporalio.testing import ActivityEnvironment

from activities.gathering import Gathering
from activities.organizations import CreateMerchant, OrganizationActivities
from activities.subscription_endings import Terminate
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import RolledPeriod, SubscriptionActivities, SubscriptionRef
from billing.turns import TOGETHER
from models.audit import Acting, acting
from models.database import Database
from models.plans import PlanVersion
from tests.activity.rows import PlanShape, Shop, next_customer, open_shop
from tests.activity.twins import nobody_together, opened, told_rows, twin

FEBRUARY_END = datetime(2026, 2, 28, 9, tzinfo=UTC)
MARCH_END = datetime(2026, 3, 31, 9, tzinfo=UTC)
REMINDED_AT = FEBRUARY_END - timedelta(days=3)
ARREARS = PlanShape(fee="10.00", fee_term="in_arrears")

Answers = list[RolledPeriod | BaseException]
Way = Callable[[SubscriptionActivities, Sequence[RollPeriod]], Awaitable[Answers]]


async def one_by_one(activities: SubscriptionActivities, rolls: Sequence[RollPeriod]) -> Answers:
    """Each rolled alone, after the one before it."""
    activities._rolling = Gathering(nobody_together)
    done: Answers = []
    for roll in rolls:
        done += await asyncio.gather(_signed(activities, roll), return_exceptions=True)
    return done


async def together(activities: SubscriptionActivities, rolls: Sequence[RollPeriod]) -> Answers:
    """All at the same time, as a worker's activities are."""
    calls = [_signed(activities, roll) for roll in rolls]
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def _signed(activities: SubscriptionActivities, roll: RollPeriod) -> RolledPeriod:
    """As a worker runs it: under the name of the workflow that asks."""

    async def rolling() -> RolledPeriod:
        acting.set(Acting(f"workflow:subscription/{roll.subscription_id}", "roll_period"))
        return await activities.roll_period(roll)

    return await asyncio.create_task(ActivityEnvironment().run(rolling))


async def _shop(database: Database, shape: PlanShape = ARREARS) -> Shop:
    made = await OrganizationActivities(database).create_merchant(CreateMerchant("Together"))
    return await open_shop(database, made.merchant_id, shape)


async def _subscribed(database: Database, shop: Shop, **terms: Any) -> RollPeriod:
    """A subscription whose first boundary comes."""
    command = replace(shop.subscription(), **terms)
    made = await SubscriptionActivities(database).create_subscription(command)
    return RollPeriod(
        merchant_id=shop.merchant_id,
        subscription_id=made.subscription_id,
        sequence_number=0,
        now=FEBRUARY_END,
    )


async def _written(database: Database, statement: str, **values: object) -> None:
    async with database.transaction() as session:
        await (await session.connection()).execute(text(statement), values)


async def _read(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as session:
        found = await (await session.connection()).execute(text(statement))
        return [tuple(row) for row in found]


class World:
    """One merchant's subscriptions of each kind, all of whose boundaries come at once."""

    def __init__(self, database: Database, shop: Shop) -> None:
        self.database, self.shop = database, shop
        self.plain: dict[str, RollPeriod] = {}
        self.peculiar: dict[str, RollPeriod] = {}

    async def stage(self) -> None:
        """What is rolled together, and what is left to go alone."""
        await _written(
            self.database,
            "UPDATE merchants SET auto_approve = false, grace_period = 'P2D' WHERE id = :id",
            id=self.shop.merchant_id,
        )
        await self._stage_plain()
        await self._stage_reminded()
        await self._stage_peculiar()

    async def _customer(self, **columns: object) -> Shop:
        return await next_customer(self.database, self.shop, **columns)

    async def _one(self, **terms: Any) -> RollPeriod:
        return await _subscribed(self.database, await self._customer(), **terms)

    async def _stage_plain(self) -> None:
        self.plain["on a clock"] = await self._one()
        self.plain["in wall time"] = await self._one(test_clock_id=None)
        self.plain["pinned"] = await self._one(version_policy="pinned")
        self.plain["ends in March"] = await self._one(ending_at=MARCH_END - timedelta(days=9))
        self.plain["ends in April"] = await self._one(ending_at=MARCH_END + timedelta(days=9))
        self.plain["resumed"] = resumed = await self._one()
        await _written(
            self.database,
            "UPDATE invoices SET resumed_at = :at, paid_until = :at WHERE id = :id",
            at=FEBRUARY_END - timedelta(days=20),
            id=resumed.invoice_id,
        )
        late = await open_shop(self.database, self.shop.merchant_id, ARREARS)
        self.plain["on a clock past its grace"] = await _subscribed(self.database, late)
        await _written(
            self.database,
            'UPDATE test_clocks SET "current_time" = :now, target_time = :now WHERE id = :id',
            now=MARCH_END,
            id=late.clock_id,
        )

    async def _stage_reminded(self) -> None:
        told = replace(await self._one(), reminded_at=REMINDED_AT)
        await SubscriptionActivities(self.database).remind_renewal(
            SubscriptionRef(
                merchant_id=told.merchant_id, subscription_id=told.subscription_id, now=REMINDED_AT
            )
        )
        silent = await self._customer(notification_settings={"renewalReminder": False})
        one = await _subscribed(self.database, silent)
        off = await self._one(renewal_reminder_enabled=False)
        self.plain |= {
            "to be told": replace(await self._one(), reminded_at=REMINDED_AT),
            "told before": told,
            "too early": replace(await self._one(), reminded_at=REMINDED_AT - timedelta(hours=1)),
            "wants to hear nothing": replace(one, reminded_at=REMINDED_AT),
            "is told nothing": replace(off, reminded_at=REMINDED_AT),
            "told ten days ahead": await self._one(renewal_reminder_days=10),
        }

    async def _stage_peculiar(self) -> None:
        activities = SubscriptionActivities(self.database)
        named = await self._one(version_policy="pinned")
        await _written(
            self.database,
            "UPDATE subscriptions SET next_version_id = :version WHERE id = :id",
            version=await self._next_version(self.shop.plan_id, "pver_named"),
            id=named.subscription_id,
        )
        back = await self._one(version_policy="pinned")
        await _written(
            self.database,
            "UPDATE subscriptions SET next_version_id = plan_version_id WHERE id = :id",
            id=back.subscription_id,
        )
        moving = await open_shop(self.database, self.shop.merchant_id, ARREARS)
        floats = await _subscribed(self.database, moving)
        await _written(
            self.database,
            "UPDATE plans SET default_version_id = :version WHERE id = :id",
            version=await self._next_version(moving.plan_id, "pver_default"),
            id=moving.plan_id,
        )
        rolled, ended, broken_off = await self._one(), await self._one(), await self._one()
        await activities.roll_period(rolled)
        terminate = Terminate(
            merchant_id=ended.merchant_id,
            subscription_id=ended.subscription_id,
            now=FEBRUARY_END - timedelta(days=1),
            reason="test",
        )
        await activities.terminate_subscription(terminate)
        await _written(
            self.database,
            "UPDATE subscriptions SET status = 'terminated' WHERE id = :id",
            id=broken_off.subscription_id,
        )
        asked = await open_shop(self.database, self.shop.merchant_id)
        self.peculiar = {
            "a migration has named a version": named,
            "a migration has named the one it has": back,
            "the plan has another default": floats,
            "rolled before": rolled,
            "rolled before, and to be told": replace(rolled, reminded_at=REMINDED_AT),
            "terminated": ended,
            "terminated with an open invoice": broken_off,
            "not paid yet": await _subscribed(self.database, asked),
            "without an invoice of this number": replace(rolled, sequence_number=7),
            "unknown": replace(rolled, subscription_id="sub_unknown"),
        }

    async def _next_version(self, plan_id: str, version_id: str) -> str:
        async with self.database.transaction() as session:
            session.add(
                PlanVersion(
                    id=version_id, merchant_id=self.shop.merchant_id, plan_id=plan_id, number=2
                )
            )
        return version_id


async def test_every_row_and_answer_is_what_it_is_one_by_one(fresh_url: str) -> None:
    """All tables are compared, the audit log and its actors included, and who goes alone."""
    async with opened(fresh_url) as database:
        world = World(database, await _shop(database))
        await world.stage()
    rolls = world.plain | world.peculiar
    outcomes, transactions = {}, {}
    for way in (one_by_one, together):
        async with twin(fresh_url) as database:
            activities = SubscriptionActivities(database)
            answers = await way(activities, list(rolls.values()))
            outcomes[way] = dict(zip(rolls, map(repr, answers), strict=True))
            transactions[way] = await _transactions(database)
            rows = await told_rows(database)
            outcomes[way] |= {f"table {name}": str(members) for name, members in rows.items()}
    for name, outcome in outcomes[one_by_one].items():
        assert outcomes[together][name] == outcome, name
    assert "NotFound" in outcomes[together]["unknown"]
    # Besides the plain ones, three roll: those of which a migration or the plan has a version.
    assert (transactions[one_by_one], transactions[together]) == (len(world.plain) + 3, 4)


async def _transactions(database: Database) -> int:
    """In how many transactions invoices have begun to close by their boundary."""
    ((count,),) = await _read(
        database,
        "SELECT count(DISTINCT xmin::text) FROM audit_events WHERE object_type = 'invoices' "
        "AND after->>'status' = 'CLOSING' AND actor LIKE 'workflow:%'",
    )
    return int(count)


async def test_their_statements_do_not_grow_with_their_number(fresh_url: str) -> None:
    """One that comes alone has no more than before."""
    async with opened(fresh_url) as database:
        shop = await _shop(database)
        rolls = [
            replace(
                await _subscribed(database, await next_customer(database, shop)),
                reminded_at=REMINDED_AT,
            )
            for _ in range(5)
        ]
    counts = {}
    for number in (1, 5):
        async with twin(fresh_url) as database:
            counts[number] = await _count(database, rolls[:number])
    async with twin(fresh_url) as database:
        alone = await _count(database, rolls[:1], one_by_one)
    assert counts[1] == counts[5] == 11
    assert alone == 12


async def _count(database: Database, rolls: Sequence[RollPeriod], way: Way = together) -> int:
    statements = []
    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    answers = await way(SubscriptionActivities(database), rolls)
    assert all(isinstance(each, RolledPeriod) for each in answers)
    return len(statements)


async def test_in_wall_time_they_take_turns_by_the_second(fresh_url: str) -> None:
    """One that waits for the instant already comes first; a test clock knows no turns."""
    async with opened(fresh_url) as database:
        shop = await _shop(database)
        first, *rest, on_a_clock = [
            await _subscribed(database, await next_customer(database, shop), **terms)
            for terms in [{"test_clock_id": None}] * (TOGETHER + 2) + [{}]
        ]
        alone = await one_by_one(SubscriptionActivities(database), [first])
        others = await together(SubscriptionActivities(database), [*rest, on_a_clock])
        owed = await _read(
            database,
            "SELECT argument->>'turn_seconds' FROM outbox WHERE workflow_type = 'InvoiceClose' "
            "AND argument->>'clock_id' IS NULL",
        )
    found = [each.view.turn_seconds for each in alone + others if isinstance(each, RolledPeriod)]
    assert (found[0], found[-1]) == (0, 0)
    assert sorted(found[1:-1]) == [0] * (TOGETHER - 1) + [1] * 2
    assert sorted(float(turn) for (turn,) in owed) == [0] * TOGETHER + [1] * 2


async def test_one_that_fails_fails_alone(fresh_url: str) -> None:
    """A cadence that cannot be read stops its own subscription, whose invoice stays open."""
    async with opened(fresh_url) as database:
        shop = await _shop(database)
        rolls = [await _subscribed(database, await next_customer(database, shop)) for _ in range(5)]
        broken = rolls[2]
        await _written(
            database,
            "UPDATE subscriptions SET billing_cadence = 'never' WHERE id = :id",
            id=broken.subscription_id,
        )
        answers = await together(SubscriptionActivities(database), rolls)
        rows = await _read(
            database,
            "SELECT subscription_id, string_agg(status, ' ' ORDER BY sequence_number) "
            "FROM invoices GROUP BY subscription_id",
        )
        owed = await _read(database, "SELECT workflow_id FROM test_clock_members")
    assert [isinstance(each, BaseException) for each in answers] == [
        each is broken for each in rolls
    ]
    assert dict(rows) == {
        each.subscription_id: "ACTIVE" if each is broken else "CLOSING ACTIVE" for each in rolls
    }
    closes = {workflow_id for (workflow_id,) in owed if workflow_id.startswith("invoice-close/")}
    assert closes == {
        f"invoice-close/{each.subscription_id}/0" for each in rolls if each is not broken
    }


@pytest.mark.parametrize("is_first", [True, False])
async def test_asked_twice_at_once_it_rolls_and_reminds_once(
    fresh_url: str, is_first: bool
) -> None:
    """Also where only one of the two brings the reminder, whichever comes first."""
    async with opened(fresh_url) as database:
        roll = await _subscribed(database, await _shop(database))
        reminded = replace(roll, reminded_at=REMINDED_AT)
        asked = [reminded, roll, reminded] if is_first else [roll, reminded, roll]
        answers = await together(SubscriptionActivities(database), asked)
        invoices = await _read(
            database, "SELECT sequence_number, status FROM invoices ORDER BY sequence_number"
        )
        told = await _read(database, "SELECT object_id, told_at FROM notifications")
    assert len({repr(each) for each in answers}) == 1
    assert invoices == [(0, "CLOSING"), (1, "ACTIVE")]
    assert told == [(roll.invoice_id, REMINDED_AT)]
