"""Write-offs: booked once, only what is owed, and never what somebody is paying."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.invoices import DraftInvoice, InvoiceActivities, InvoiceRef
from activities.organizations import CreatedMerchant
from activities.payment_attempts import BeginAttempt
from activities.payments import PaymentActivities
from activities.reconciliation import ReconciliationActivities
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from activities.write_offs import WriteOff, WriteOffActivities
from billing.ids import derived_id
from models.database import Database
from models.invoices import Invoice
from models.queries import invoices, payments
from tests.activity.fake_gateway import BookGateway
from tests.activity.rows import CARD, START, PlanShape, Shop, open_shop
from tests.activity.usage import report

BOUNDARY = datetime(2026, 2, 28, 9, tzinfo=UTC)
LATER = BOUNDARY + timedelta(days=30)


async def _issued(database: Database, shop: Shop) -> InvoiceRef:
    """An issued invoice of 1 000 tokens: 2.00 and 0.20 tax."""
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    await report(database, shop, [1000], START)
    rolled = await SubscriptionActivities(database).roll_period(
        RollPeriod(
            merchant_id=shop.merchant_id,
            subscription_id=made.subscription_id,
            sequence_number=0,
            now=BOUNDARY,
        )
    )
    assert rolled.closing is not None
    ref = InvoiceRef(
        merchant_id=shop.merchant_id, invoice_id=rolled.closing.invoice_id, now=BOUNDARY
    )
    draft = DraftInvoice(
        merchant_id=ref.merchant_id, invoice_id=ref.invoice_id, now=ref.now, issue=True
    )
    await ActivityEnvironment().run(InvoiceActivities(database).draft_invoice, draft)
    return ref


async def _write_off(database: Database, ref: InvoiceRef) -> bool:
    command = WriteOff(
        merchant_id=ref.merchant_id, invoice_id=ref.invoice_id, now=LATER, reason="Bankrupt"
    )
    return (await WriteOffActivities(database).write_off_invoice(command)).written_off


async def _get(database: Database, ref: InvoiceRef) -> Invoice:
    async with database.transaction() as session:
        invoice = await invoices.get(session, ref.merchant_id, ref.invoice_id)
        assert invoice is not None
        return invoice


async def _balances(database: Database, merchant_id: str) -> dict[str, Decimal]:
    async with database.transaction() as session:
        rows = await (await session.connection()).execute(
            text(
                "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
                "JOIN ledger_accounts a ON a.id = e.account_id "
                "WHERE e.merchant_id = :merchant_id GROUP BY a.kind"
            ),
            {"merchant_id": merchant_id},
        )
        return {row[0]: row[1] for row in rows}


async def test_a_write_off_is_booked_once(database: Database, merchant: CreatedMerchant) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await _issued(database, shop)
    assert all(await asyncio.gather(*(_write_off(database, ref) for _ in range(4))))
    invoice = await _get(database, ref)
    assert (invoice.status, invoice.write_off_reason) == ("WRITTEN_OFF", "Bankrupt")
    assert (invoice.written_off_at, invoice.paid_amount) == (LATER, Decimal(0))
    assert await _balances(database, merchant.merchant_id) == {
        "customer_receivable": Decimal(0),
        "revenue": Decimal("-2.00"),
        "tax_payable": Decimal("-0.20"),
        "write_off": Decimal("2.20"),
    }
    async with database.transaction() as session:
        sessions = await payments.all_sessions_of(session, ref.merchant_id, ref.invoice_id)
    assert {each.status for each in sessions} == {"cancelled"}
    proof = ReconciliationActivities(database, BookGateway())
    assert ref.invoice_id not in str(await proof.first_difference())


async def test_after_a_failed_collection_too(database: Database, merchant: CreatedMerchant) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await _issued(database, shop)
    async with database.transaction() as session:
        await invoices.change(session, ref.merchant_id, ref.invoice_id, status="PAYMENT_FAILED")
    assert await _write_off(database, ref)
    assert (await _get(database, ref)).status == "WRITTEN_OFF"


async def test_a_charge_under_way_is_waited_for(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id, PlanShape(fee=None))
    ref = await _issued(database, shop)
    begun = await PaymentActivities(database, BookGateway()).begin_attempt(
        BeginAttempt(
            merchant_id=ref.merchant_id,
            collection_id=ref.invoice_id,
            number=1,
            now=BOUNDARY,
            card=CARD,
        )
    )
    assert begun.attempt_id is not None
    assert not await _write_off(database, ref)
    assert (await _get(database, ref)).status == "ISSUED"


async def test_a_first_payment_is_not_given_up(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await open_shop(database, merchant.merchant_id)
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    ref = InvoiceRef(
        merchant_id=shop.merchant_id,
        invoice_id=derived_id("inv", made.subscription_id, 0),
        now=START,
    )
    assert not await _write_off(database, ref)
    assert (await _get(database, ref)).status == "ISSUED"
