"""Invoice transactions: drafted and issued once, numbered without gaps, booked to the cent."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.invoices import DraftInvoice, InvoiceActivities
from activities.organizations import CreatedMerchant
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from models.base import new_id
from models.database import Database
from models.invoices import Invoice
from models.manual_lines import ManualLine
from models.queries import invoices
from tests.activity.rows import START, PlanShape, Shop, open_shop
from tests.activity.usage import report

FEBRUARY_END = datetime(2026, 2, 28, 9, tzinfo=UTC)
MARCH_END = datetime(2026, 3, 31, 9, tzinfo=UTC)
ISSUED_AT = FEBRUARY_END + timedelta(hours=24)


async def closing_invoice(database: Database, shop: Shop) -> DraftInvoice:
    """A subscription whose first period has ended."""
    activities = SubscriptionActivities(database)
    made = await activities.create_subscription(shop.subscription())
    rolled = await activities.roll_period(
        RollPeriod(
            merchant_id=shop.merchant_id,
            subscription_id=made.subscription_id,
            sequence_number=0,
            now=FEBRUARY_END,
        )
    )
    assert rolled.closing is not None
    return DraftInvoice(
        merchant_id=shop.merchant_id, invoice_id=rolled.closing.invoice_id, now=ISSUED_AT
    )


async def _get(database: Database, ref: DraftInvoice) -> Invoice:
    async with database.transaction() as session:
        invoice = await invoices.get(session, ref.merchant_id, ref.invoice_id)
        assert invoice is not None
        return invoice


async def _balances(database: Database, merchant_id: str) -> dict[str, Decimal]:
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.execute(
            text(
                "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
                "JOIN ledger_accounts a ON a.id = e.account_id "
                "WHERE e.merchant_id = :merchant_id GROUP BY a.kind"
            ),
            {"merchant_id": merchant_id},
        )
        return {kind: amount for kind, amount in rows}  # noqa: C416 - rows are no pairs to mypy


async def test_usage_is_rated_taxed_and_booked(
    database: Database, merchant: CreatedMerchant
) -> None:
    """3 events of 1000, 500 and 250 tokens at 0.002: 3.50, tax 0.35, together 3.85."""
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await closing_invoice(database, shop)
    await report(database, shop, [1000, 500, 250], START + timedelta(days=1))
    activities = InvoiceActivities(database)
    for _ in range(2):
        await activities.draft_invoice(ref)
    for _ in range(2):
        finalized = await activities.finalize_invoice(ref)
    assert finalized.status == "ISSUED"
    invoice = await _get(database, ref)
    assert (invoice.subtotal, invoice.total_tax, invoice.grand_total) == (
        Decimal("3.50"),
        Decimal("0.35"),
        Decimal("3.85"),
    )
    assert (invoice.issued_at, invoice.invoice_number) == (ISSUED_AT, "INV-2026-03-001")
    assert await _balances(database, shop.merchant_id) == {
        "customer_receivable": Decimal("3.85"),
        "revenue": Decimal("-3.50"),
        "tax_payable": Decimal("-0.35"),
    }


async def test_events_after_the_draft_do_not_change_it(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await closing_invoice(database, shop)
    await report(database, shop, [1000], START + timedelta(days=1))
    activities = InvoiceActivities(database)
    await activities.draft_invoice(ref)
    await report(database, shop, [9000], START + timedelta(days=2))
    await activities.draft_invoice(ref)
    await activities.finalize_invoice(ref)
    assert (await _get(database, ref)).subtotal == Decimal("2.00")


async def test_nothing_to_bill_is_paid_without_a_booking(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await closing_invoice(database, shop)
    activities = InvoiceActivities(database)
    await activities.draft_invoice(ref)
    assert (await activities.finalize_invoice(ref)).status == "PAID"
    assert await _balances(database, shop.merchant_id) == {}


async def test_numbers_have_no_gaps_under_concurrency(
    database: Database, merchant: CreatedMerchant
) -> None:
    shops = [await open_shop(database, merchant.merchant_id, PlanShape(fee=None)) for _ in range(5)]
    refs = [await closing_invoice(database, shop) for shop in shops]
    activities = InvoiceActivities(database)
    await asyncio.gather(*(activities.draft_invoice(ref) for ref in refs))
    finalized = await asyncio.gather(*(activities.finalize_invoice(ref) for ref in [*refs, *refs]))
    numbers = {each.invoice_number for each in finalized}
    assert numbers == {f"INV-2026-03-{number:03d}" for number in range(1, 6)}


async def test_an_earlier_one_that_is_due_comes_first(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A credit of 15.00 against 10.00 a month: nothing for February, 5.00 for March.

    March's close comes first; February's finds its invoice issued.
    """
    shape = PlanShape(fee="10.00", fee_term="in_arrears", tax_percent="0")
    shop = await open_shop(database, merchant.merchant_id, shape)
    february = replace(await closing_invoice(database, shop), issue=True)
    subscription_id = (await _get(database, february)).subscription_id
    rolled = await SubscriptionActivities(database).roll_period(
        RollPeriod(
            merchant_id=shop.merchant_id,
            subscription_id=subscription_id,
            sequence_number=1,
            now=MARCH_END,
        )
    )
    assert rolled.closing is not None
    async with database.transaction() as session:
        session.add(
            ManualLine(
                id=new_id("li"),
                merchant_id=shop.merchant_id,
                customer_id=shop.customer_id,
                subscription_id=subscription_id,
                display_name="Credit",
                currency="USD",
                quantity=Decimal(1),
                unit_price=Decimal(-15),
                invoice_at=START + timedelta(days=2),
                period_start=START,
                period_end=FEBRUARY_END,
            )
        )
    activities, now = InvoiceActivities(database), MARCH_END + timedelta(hours=24)
    march = replace(february, invoice_id=rolled.closing.invoice_id, now=now)
    await activities.draft_invoice(march)
    drafted = await activities.draft_invoice(replace(february, now=now))
    assert drafted.finalized is not None
    assert (drafted.finalized.status, drafted.finalized.is_handed_over) == ("PAID", True)
    totals = [(await _get(database, ref)).grand_total for ref in (february, march)]
    assert totals == [Decimal("0.00"), Decimal("5.00")]


async def test_a_draft_names_the_run_that_made_it(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A second run finds the draft made, and does not claim it."""
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await closing_invoice(database, shop)
    activities = InvoiceActivities(database)
    for run_id in ("run-1", "run-2"):
        environment = ActivityEnvironment()
        environment.info = replace(
            environment.info, workflow_id="invoice-close/sub/0", workflow_run_id=run_id
        )
        await environment.run(activities.draft_invoice, ref)
    drafted = await _get(database, ref)
    assert drafted.drafted_workflow_id == "invoice-close/sub/0"
    assert drafted.drafted_run_id == "run-1"
