"""A plan change beside the close of an earlier one: what was asked for is found either way."""

import asyncio
from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import issuing
from activities.organizations import CreatedMerchant
from activities.subscription_plans import ChangePlan
from activities.subscriptions import SubscriptionActivities
from models.database import Database
from models.queries import drafts, invoices, subscriptions
from tests.activity.rows import START, PlanShape, open_shop

TRIES, PAUSE_SECONDS = 200, 0.05
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def _until_somebody_waits(session: AsyncSession) -> bool:
    connection = await session.connection()
    for _ in range(TRIES):
        if (await connection.exec_driver_sql(WAITING)).scalar_one():
            return True
        await asyncio.sleep(PAUSE_SECONDS)
    return False


async def test_what_is_stored_meanwhile_is_given_back(
    database: Database, merchant: CreatedMerchant
) -> None:
    """31.00 in arrears, then 62.00 in advance, then 31.00 in advance at the same instant.

    The close of the first change stores what it asked for while the second change is read: it is
    found among the lines that are stored, as it would have been on the invoice that closes.
    """
    merchant_id = merchant.merchant_id
    first = await open_shop(
        database, merchant_id, PlanShape(fee="31.00", unit_price=None, fee_term="in_arrears")
    )
    better, basic = [
        (await open_shop(database, merchant_id, PlanShape(fee=fee, unit_price=None))).plan_id
        for fee in ("62.00", "31.00")
    ]
    activities = SubscriptionActivities(database)
    subscription_id = (await activities.create_subscription(first.subscription())).subscription_id

    def to(plan_id: str) -> ChangePlan:
        return ChangePlan(
            merchant_id=merchant_id,
            subscription_id=subscription_id,
            now=START + timedelta(days=10),
            plan_id=plan_id,
            at="now",
        )

    (asked,) = (await activities.plan_change(to(better))).lines
    await activities.change_plan(to(better))
    async with database.transaction() as session:
        (closing,) = await invoices.still_closing(session, merchant_id, subscription_id)
        changing = asyncio.create_task(activities.plan_change(to(basic)))
        assert await _until_somebody_waits(session)
        owner = await subscriptions.get(session, merchant_id, subscription_id)
        assert owner is not None
        terms = await drafts.terms_of(session, owner)
        draft = await drafts.of_invoice(session, terms, closing)
        drafted = issuing.Drafted(invoice=closing, draft=draft, run=None)
        await issuing.store(session, merchant_id, [drafted])
    back, _ = (await changing).lines
    assert back.amount == asked.amount.copy_negate()
