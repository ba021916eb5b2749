"""Subscription transactions on a real PostgreSQL: each once, however often it is called."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.organizations import CreatedMerchant
from activities.subscription_changes import ChangeSubscription, SubscriptionChanges
from activities.subscription_endings import Terminate
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities, SubscriptionRef
from billing.errors import Conflict, InvalidValue, NotFound
from models.database import Database
from models.invoices import Invoice
from models.queries import invoices, subscriptions
from tests.activity.rows import START, PlanShape, Shop, open_shop

DAYS_LATER = timedelta(days=8)
ALL = (
    "ACTIVE",
    "CLOSING",
    "DRAFT",
    "ISSUED",
    "PAID",
    "CANCELLED",
    "PAYMENT_FAILED",
)


async def _invoices(database: Database, shop: Shop, subscription_id: str) -> list[Invoice]:
    async with database.transaction() as session:
        return await invoices.of_subscription(session, shop.merchant_id, subscription_id, *ALL)


async def _status(database: Database, shop: Shop, subscription_id: str) -> str:
    async with database.transaction() as session:
        row = await subscriptions.get(session, shop.merchant_id, subscription_id)
        assert row is not None
        return row.status


async def _mark_paid(database: Database, invoice: Invoice) -> None:
    async with database.transaction() as session:
        await invoices.change(
            session,
            invoice.merchant_id,
            invoice.id,
            status="PAID",
            paid_amount=invoice.grand_total,
        )


def _ref(shop: Shop, subscription_id: str, now: datetime = START) -> SubscriptionRef:
    return SubscriptionRef(merchant_id=shop.merchant_id, subscription_id=subscription_id, now=now)


async def test_the_same_creation_in_parallel_makes_one(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    activities = SubscriptionActivities(database)
    made = await asyncio.gather(
        *(activities.create_subscription(shop.subscription()) for _ in range(6))
    )
    assert len({each.subscription_id for each in made}) == 1
    assert [each.created for each in made].count(True) == 1
    rows = await _invoices(database, shop, made[0].subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "ISSUED")]


async def test_the_first_invoice_is_the_fee_and_its_tax(
    database: Database, merchant: CreatedMerchant
) -> None:
    """49.00 and 10 % of it: 4.90."""
    shop = await open_shop(database, merchant.merchant_id)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    (first,) = await _invoices(database, shop, made.subscription_id)
    assert (first.subtotal, first.total_tax, first.grand_total) == (
        Decimal("49.00"),
        Decimal("4.90"),
        Decimal("53.90"),
    )
    assert (first.period_start, first.period_end) == (
        START,
        datetime(2026, 2, 28, 9, tzinfo=UTC),
    )
    assert await _status(database, shop, made.subscription_id) == "pending_payment"


async def test_without_an_advance_charge_it_is_active_at_once(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "ACTIVE")]
    assert await _status(database, shop, made.subscription_id) == "active"


async def test_a_free_first_invoice_is_paid_and_active(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee="0"))
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "PAID"), (1, "ACTIVE")]
    assert await _status(database, shop, made.subscription_id) == "active"


async def test_a_plan_anchor_makes_a_prorated_stub(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Anchor 16 January, start 31 January 09:00: 15 d 15 h of 31 days are left of the month.

    31.00 x 15.625 / 31 = 15.625, half up 15.63; tax 10 % of 15.625 = 1.5625, half up 1.56.
    """
    anchor = datetime(2026, 1, 16, tzinfo=UTC)
    shape = PlanShape(fee="31.00", anchor=anchor)
    shop = await open_shop(database, merchant.merchant_id, shape)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    (first,) = await _invoices(database, shop, made.subscription_id)
    assert (first.subtotal, first.total_tax) == (Decimal("15.63"), Decimal("1.56"))
    assert first.period_end == datetime(2026, 2, 16, tzinfo=UTC)


async def test_an_obligation_has_no_stub(database: Database, merchant: CreatedMerchant) -> None:
    shape = PlanShape(anchor=datetime(2026, 1, 16, tzinfo=UTC), is_obligation=True)
    shop = await open_shop(database, merchant.merchant_id, shape)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "ACTIVE")]


async def test_a_future_start_is_billed_at_the_start(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    activities = SubscriptionActivities(database)
    starts = START + timedelta(days=10)
    made = await activities.create_subscription(shop.subscription(started_at=starts))
    (first,) = await _invoices(database, shop, made.subscription_id)
    assert (first.status, first.next_action_at) == ("ACTIVE", starts)
    rolled = await activities.roll_period(
        RollPeriod(
            merchant_id=shop.merchant_id,
            subscription_id=made.subscription_id,
            sequence_number=0,
            now=starts,
        )
    )
    assert rolled.closing is not None
    assert rolled.closing.grace_period_end == starts


async def test_a_backdated_start_bills_only_what_falls_due_from_now(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Started 20 days ago, `none`: this month's fee fell due before; its usage is still to come."""
    shop = await open_shop(database, merchant.merchant_id)
    started = START - timedelta(days=20)
    made = await SubscriptionActivities(database).create_subscription(
        shop.subscription(started_at=started)
    )
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "ACTIVE")]
    assert rows[0].ended_from == started
    assert rows[0].ended_to == datetime(2026, 2, 11, 9, tzinfo=UTC)


async def test_a_backdated_start_per_period_bills_all_since_then(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Started 70 days ago: three fees (22 November, 22 December, 22 January) on one invoice."""
    shop = await open_shop(database, merchant.merchant_id)
    made = await SubscriptionActivities(database).create_subscription(
        shop.subscription(
            started_at=START - timedelta(days=70), elapsed_period_billing="per_period"
        )
    )
    (first,) = await _invoices(database, shop, made.subscription_id)
    assert (first.status, first.subtotal) == ("ISSUED", Decimal("147.00"))


async def test_more_than_a_year_back_is_refused(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Where the periods since then are billed."""
    shop = await open_shop(database, merchant.merchant_id)
    command = shop.subscription(
        started_at=START - timedelta(days=380), elapsed_period_billing="per_period"
    )
    with pytest.raises(InvalidValue):
        await SubscriptionActivities(database).create_subscription(command)


async def test_a_strangers_plan_is_not_found(
    database: Database, merchant: CreatedMerchant, stranger: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    other = await open_shop(database, stranger.merchant_id)
    activities = SubscriptionActivities(database)
    for foreign in (
        {"plan_id": other.plan_id},
        {"customer_id": other.customer_id},
        {"test_clock_id": other.clock_id},
    ):
        with pytest.raises(NotFound):
            await activities.create_subscription(shop.subscription(**foreign))


async def test_a_boundary_rolls_once(database: Database, merchant: CreatedMerchant) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    roll = RollPeriod(
        merchant_id=shop.merchant_id,
        subscription_id=made.subscription_id,
        sequence_number=0,
        now=datetime(2026, 2, 28, 9, tzinfo=UTC),
    )
    answers = await asyncio.gather(*(activities.roll_period(roll) for _ in range(4)))
    assert len({str(answer.closing) for answer in answers}) == 1
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "CLOSING"), (1, "ACTIVE")]
    assert rows[1].ended_from == rows[0].ended_to
    assert rows[1].ended_to == datetime(2026, 3, 31, 9, tzinfo=UTC)


async def test_an_unpaid_first_invoice_is_cancelled_at_expiry(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    for _ in range(2):
        view = await activities.expire_activation(_ref(shop, made.subscription_id))
    assert view.status == "terminated"
    (first,) = await _invoices(database, shop, made.subscription_id)
    assert first.status == "CANCELLED"


async def test_a_paid_first_invoice_activates_even_at_expiry(
    database: Database, merchant: CreatedMerchant
) -> None:
    """The news of the payment may be on its way when the time is over."""
    shop = await open_shop(database, merchant.merchant_id)
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    (first,) = await _invoices(database, shop, made.subscription_id)
    await _mark_paid(database, first)
    for _ in range(2):
        view = await activities.expire_activation(_ref(shop, made.subscription_id))
    assert view.status == "active"
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "PAID"), (1, "ACTIVE")]


@pytest.mark.parametrize(
    ("ends", "bills"),
    [(False, [(0, "PAID"), (1, "ACTIVE")]), (True, [(0, "PAID"), (1, "CLOSING")])],
)
async def test_a_payment_that_is_being_recorded_is_not_cancelled(
    database: Database, merchant: CreatedMerchant, ends: bool, bills: list[tuple[int, str]]
) -> None:
    """The end waits for the row and finds it paid: it expires no more, or ends as an active one."""
    shop = await open_shop(database, merchant.merchant_id)
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    ref = _ref(shop, made.subscription_id)
    command = Terminate(
        merchant_id=ref.merchant_id,
        subscription_id=ref.subscription_id,
        now=ref.now + timedelta(hours=1),
        reason="Moved away",
    )
    async with database.transaction() as session:
        first = await invoices.first_of(session, ref.merchant_id, ref.subscription_id, lock=True)
        assert first is not None
        await invoices.change(
            session, first.merchant_id, first.id, status="PAID", paid_amount=first.grand_total
        )
        ending = asyncio.create_task(
            activities.terminate_subscription(command)
            if ends
            else activities.expire_activation(ref)
        )
        await asyncio.sleep(0.3)
        assert not ending.done()
    await ending
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == bills
    status = await _status(database, shop, made.subscription_id)
    assert status == ("terminated" if ends else "active")


async def test_one_that_was_paid_before_its_workflow_began_is_active_at_its_first_look(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Who told of the payment found no workflow; on a test clock nothing else would wake it."""
    shop = await open_shop(database, merchant.merchant_id)
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    ref = _ref(shop, made.subscription_id)
    assert (await activities.view_subscription(ref)).status == "pending_payment"
    (first,) = await _invoices(database, shop, made.subscription_id)
    await _mark_paid(database, first)
    for _ in range(2):
        assert (await activities.view_subscription(ref)).status == "active"
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.sequence_number, row.status) for row in rows] == [(0, "PAID"), (1, "ACTIVE")]


async def test_termination_cuts_the_running_window_once(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    now = START + timedelta(days=3)
    command = Terminate(
        merchant_id=shop.merchant_id,
        subscription_id=made.subscription_id,
        now=now,
        reason="moving on",
    )
    answers = [await activities.terminate_subscription(command) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].closing is not None
    assert answers[0].closing.grace_period_end == now + timedelta(hours=24)
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.status, row.ended_to, row.coming_to) for row in rows] == [("CLOSING", now, None)]


def _changing(shop: Shop, subscription_id: str, **changes: Any) -> ChangeSubscription:
    return ChangeSubscription(
        merchant_id=shop.merchant_id,
        subscription_id=subscription_id,
        now=START + timedelta(days=3),
        changes=SubscriptionChanges(**changes),
    )


async def test_a_change_is_the_same_twice(database: Database, merchant: CreatedMerchant) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription(renewal_reminder_days=4))
    ending_at = START + timedelta(days=40)
    command = _changing(
        shop, made.subscription_id, ending_at=ending_at, cleared=("renewal_reminder_days",)
    )
    views = [await activities.change_subscription(command) for _ in range(2)]
    assert views[0] == views[1]
    assert views[0].ending_at == ending_at
    async with database.transaction() as session:
        row = await subscriptions.get(session, shop.merchant_id, made.subscription_id)
    assert row is not None
    assert row.renewal_reminder_days is None
    with pytest.raises(InvalidValue):
        await activities.change_subscription(
            _changing(shop, made.subscription_id, ending_at=START + timedelta(days=3))
        )


async def test_another_version_policy_leaves_the_begun_period_alone(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Of a plan that moves to new versions at once, a floating period has begun to follow."""
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    pinning = _changing(shop, made.subscription_id, version_policy="pinned")
    await activities.change_subscription(pinning)
    (invoice,) = await _invoices(database, shop, made.subscription_id)
    assert invoice.arrears_version_id == invoice.plan_version_id


async def test_what_has_ended_is_not_changed(database: Database, merchant: CreatedMerchant) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    await activities.terminate_subscription(
        Terminate(
            merchant_id=shop.merchant_id,
            subscription_id=made.subscription_id,
            now=START + timedelta(days=3),
            reason="moving on",
        )
    )
    with pytest.raises(Conflict):
        await activities.change_subscription(
            _changing(shop, made.subscription_id, auto_charge=True)
        )


async def test_a_pause_and_its_end_are_the_same_twice(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A worker that dies after its transaction runs it again."""
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    named = {"merchant_id": shop.merchant_id, "subscription_id": made.subscription_id}
    at = START + timedelta(days=3)
    pauses = [
        await activities.pause_subscription(SubscriptionRef(**named, now=at)) for _ in range(2)
    ]
    assert pauses[0] == pauses[1]
    assert pauses[0].closing is not None
    assert pauses[0].view.next_boundary is None
    views = [
        await activities.resume_subscription(SubscriptionRef(**named, now=START + DAYS_LATER))
        for _ in range(2)
    ]
    assert views[0] == views[1]
    rows = await _invoices(database, shop, made.subscription_id)
    assert [(row.status, row.ended_from, row.ended_to) for row in rows] == [
        ("CLOSING", START, at),
        ("ACTIVE", START + DAYS_LATER, datetime(2026, 2, 28, 9, tzinfo=UTC)),
    ]
    with pytest.raises(Conflict):
        await activities.resume_subscription(SubscriptionRef(**named, now=at))
