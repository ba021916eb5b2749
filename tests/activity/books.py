"""Honest books: a subscription whose first invoice was issued and paid."""

from temporalio.testing import ActivityEnvironment

from activities.organizations import CreateMerchant, OrganizationActivities
from activities.payment_attempts import AttemptRef, BeginAttempt, RecordAttempt
from activities.payments import PaymentActivities
from activities.subscriptions import SubscriptionActivities
from billing.ids import derived_id
from models.database import Database
from tests.activity.fake_gateway import BookGateway
from tests.activity.rows import CARD, START, Shop, open_shop


async def paid_subscription(
    database: Database, gateway: BookGateway | None = None
) -> tuple[BookGateway, str, Shop]:
    """A merchant with one invoice, issued and paid; the provider's book and the charge's key."""
    gateway = gateway or BookGateway()
    merchant = await OrganizationActivities(database).create_merchant(CreateMerchant("Books"))
    shop = await open_shop(database, merchant.merchant_id)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    activities = PaymentActivities(database, gateway)
    begun = await activities.begin_attempt(
        BeginAttempt(
            merchant_id=shop.merchant_id,
            collection_id=derived_id("inv", made.subscription_id, 0),
            number=1,
            now=START,
            card=CARD,
        )
    )
    assert begun.attempt_id is not None
    ref = AttemptRef(merchant_id=shop.merchant_id, attempt_id=begun.attempt_id)
    outcome = await ActivityEnvironment().run(activities.charge, ref)
    await activities.record_attempt(
        RecordAttempt(
            merchant_id=shop.merchant_id,
            collection_id=derived_id("inv", made.subscription_id, 0),
            attempt_id=begun.attempt_id,
            outcome=outcome,
            now=START,
        )
    )
    return gateway, begun.attempt_id, shop
