"""The seam for another calculator of tax: what it says is what the draft of an invoice bills."""

from dataclasses import replace
from decimal import Decimal

from activities.organizations import CreatedMerchant
from activities.subscriptions import SubscriptionActivities
from billing.taxes import FoundRate, TaxCase
from models.database import Database
from models.queries import drafts, invoices, subscriptions
from tests.activity.rows import START, PlanShape, open_shop
from tests.activity.usage import report


class HalfOfUsage:
    """Takes 50 % of whatever is metered, and nothing of fees; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[TaxCase] = []

    def rate_of(self, case: TaxCase) -> FoundRate:
        self.asked.append(case)
        return FoundRate(Decimal("0.5" if case.metric_id else 0), "plan")


async def test_a_draft_is_taxed_by_the_calculator_of_its_terms(
    database: Database, merchant: CreatedMerchant
) -> None:
    """1 000 tokens at 0.002 are 2.00; 10 % of them is 0.20, and half of them is 1.00."""
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    await report(database, shop, [1000], START)
    calculator = HalfOfUsage()
    async with database.transaction() as session:
        row = await subscriptions.get(session, shop.merchant_id, made.subscription_id)
        assert row is not None
        (running,) = await invoices.of_subscription(session, shop.merchant_id, row.id, "ACTIVE")
        terms = await drafts.terms_of(session, row)
        built_in = await drafts.of_invoice(session, terms, running)
        taxed = await drafts.of_invoice(session, replace(terms, calculator=calculator), running)
    assert built_in.totals.tax == Decimal("0.20")
    assert taxed.totals.subtotal == built_in.totals.subtotal
    assert taxed.totals.tax == Decimal("1.00")
    assert {case.metric_id for case in calculator.asked} >= {shop.metric_id}
    assert {case.plan_id for case in calculator.asked} == {shop.plan_id}
