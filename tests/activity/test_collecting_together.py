"""Collections that go on at the same time: each as if it were alone, and the books agree."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import col, select
from temporalio.testing import ActivityEnvironment

from activities.gateways.port import ChargeOutcome, ChargeRequest, GatewayUnavailable
from activities.organizations import CreatedMerchant
from activities.payment_attempts import (
    AttemptRef,
    BeginAttempt,
    CardChoice,
    RecordAttempt,
    RecordedAttempt,
)
from activities.payment_collections import Collection, OpenCollection
from activities.payment_pages import CreatePayment
from activities.payments import AT_ONCE_MAX, PaymentActivities
from activities.subscriptions import SubscriptionActivities
from billing.durations import Duration
from billing.errors import NotFound
from models.audit import Acting, AuditEvent, acting
from models.base import new_id
from models.customers import PaymentMethod
from models.database import Database
from models.invoices import Invoice
from models.ledger import LedgerAccount, LedgerTransfer
from models.payments import PaymentSession
from models.queries import invoices, payments
from tests.activity.fake_gateway import BookGateway
from tests.activity.rows import START, Shop, next_customer, open_shop

GOOD, BAD = "pm_good", "pm_bad"


@dataclass(frozen=True, kw_only=True)
class Bill:
    """An issued invoice, and how its customer's saved card fares; None: there is no card."""

    merchant_id: str
    invoice_id: str
    method_id: str | None

    def opening(self) -> OpenCollection:
        return OpenCollection(
            merchant_id=self.merchant_id, collection_id=self.invoice_id, now=START, begins=True
        )

    def attempt(self, number: int) -> BeginAttempt:
        return BeginAttempt(
            merchant_id=self.merchant_id, collection_id=self.invoice_id, number=number, now=START
        )

    def recording(self, attempt_id: str, outcome: ChargeOutcome) -> RecordAttempt:
        return RecordAttempt(
            merchant_id=self.merchant_id,
            collection_id=self.invoice_id,
            attempt_id=attempt_id,
            outcome=outcome,
            now=START + timedelta(hours=1),
        )


async def _bills(
    database: Database, merchant: CreatedMerchant, methods: Sequence[str | None]
) -> list[Bill]:
    shop = await open_shop(database, merchant.merchant_id)
    return [await _bill(database, await next_customer(database, shop), each) for each in methods]


async def _bill(database: Database, shop: Shop, method_id: str | None) -> Bill:
    made = await SubscriptionActivities(database).create_subscription(shop.subscription())
    async with database.transaction() as session:
        first = await invoices.first_of(session, shop.merchant_id, made.subscription_id)
        assert first is not None
        if method_id is not None:
            await payments.add_method(session, _method(shop, method_id))
    return Bill(merchant_id=shop.merchant_id, invoice_id=first.id, method_id=method_id)


def _method(shop: Shop, method_id: str) -> PaymentMethod:
    return PaymentMethod(
        id=new_id("pm"),
        merchant_id=shop.merchant_id,
        customer_id=shop.customer_id,
        gateway_method_id=method_id,
        brand="visa",
        last4="4242",
        exp_month=12,
        exp_year=2040,
    )


async def _open(activities: PaymentActivities, bills: Sequence[Bill]) -> list[Collection]:
    return list(await asyncio.gather(*(_signed(activities, bill) for bill in bills)))


async def _signed(activities: PaymentActivities, bill: Bill) -> Collection:
    acting.set(Acting(f"workflow:payment/{bill.invoice_id}", "open_collection"))
    return await activities.open_collection(bill.opening())


async def _charge(activities: PaymentActivities, ref: AttemptRef) -> ChargeOutcome | None:
    return await ActivityEnvironment().run(activities.charge_at_once, ref)


async def _record(
    activities: PaymentActivities, commands: Mapping[str, RecordAttempt]
) -> list[RecordedAttempt]:
    async def one(command: RecordAttempt) -> RecordedAttempt:
        acting.set(Acting(f"workflow:payment/{command.collection_id}", "record_attempt"))
        return await activities.record_attempt(command)

    return list(await asyncio.gather(*(one(each) for each in commands.values())))


async def _row(database: Database, bill: Bill) -> Invoice:
    async with database.transaction() as session:
        found = await invoices.get(session, bill.merchant_id, bill.invoice_id)
        assert found is not None
        return found


async def test_each_collection_goes_its_own_way(
    database: Database, merchant: CreatedMerchant
) -> None:
    """Four invoices of 53.90 at once: two cards pay, one is declined, one customer has none.

    Paid are 2 x 53.90 = 107.80, which the merchant's clearing account holds.
    """
    bills = await _bills(database, merchant, [GOOD, BAD, None, GOOD])
    activities = PaymentActivities(database, BookGateway(declining=[BAD]))
    # Each twice, as when a workflow's task is given out again before it ended.
    opened = await _open(activities, [*bills, *bills])
    assert opened[: len(bills)] == opened[len(bills) :]
    assert not any(each.pending_was_found for each in opened)
    attempt_ids = [each.pending_attempt_id for each in opened[: len(bills)]]
    assert [each is not None for each in attempt_ids] == [True, True, False, True]

    commands = {}
    for bill, attempt_id in zip(bills, attempt_ids, strict=True):
        if attempt_id is not None:
            ref = AttemptRef(merchant_id=bill.merchant_id, attempt_id=attempt_id)
            outcome = await _charge(activities, ref)
            assert outcome is not None
            commands[attempt_id] = bill.recording(attempt_id, outcome)
    recorded = await _record(activities, commands | {"again": commands[attempt_ids[0] or ""]})
    assert [each.status for each in recorded] == ["succeeded", "failed", "succeeded", "succeeded"]
    assert recorded[0] == recorded[-1]

    rows = [await _row(database, bill) for bill in bills]
    assert [row.status for row in rows] == ["PAID", "ISSUED", "ISSUED", "PAID"]
    assert [row.paid_amount for row in rows] == [Decimal("53.90"), 0, 0, Decimal("53.90")]
    assert rows[1].next_action_at == START + timedelta(days=1)
    await _check_books(database, bills)
    await _check_pages(database, bills)
    await _check_signatures(database, bills)


async def _check_books(database: Database, bills: Sequence[Bill]) -> None:
    async with database.transaction() as session:
        transfers = await session.exec(
            select(LedgerTransfer).where(
                col(LedgerTransfer.merchant_id) == bills[0].merchant_id,
                col(LedgerTransfer.kind) == "payment_received",
            )
        )
        accounts = await session.exec(
            select(LedgerAccount).where(
                col(LedgerAccount.merchant_id) == bills[0].merchant_id,
                col(LedgerAccount.kind) == "customer_receivable",
            )
        )
        assert len(transfers.all()) == 2
        owed = [each.balance or Decimal(0) for each in accounts.all()]
        assert sorted(map(abs, owed)) == [
            0, 0, Decimal("53.90"), Decimal("53.90"),
        ]  # fmt: skip


async def _check_pages(database: Database, bills: Sequence[Bill]) -> None:
    async with database.transaction() as session:
        rows = await session.exec(
            select(PaymentSession).where(col(PaymentSession.merchant_id) == bills[0].merchant_id)
        )
        pages = {row.collection_id: row for row in rows.all()}
    found = [pages[bill.invoice_id] for bill in bills]
    assert [page.status for page in found] == ["completed", "pending", "pending", "completed"]
    assert [page.completed_at is not None for page in found] == [True, False, False, True]


async def _check_signatures(database: Database, bills: Sequence[Bill]) -> None:
    """What a shared transaction wrote is signed by the workflow whose collection it is."""
    async with database.transaction() as session:
        rows = await session.exec(
            select(AuditEvent).where(
                col(AuditEvent.merchant_id) == bills[0].merchant_id,
                col(AuditEvent.object_id).in_([bill.invoice_id for bill in bills]),
                col(AuditEvent.operation) == "record_attempt",
            )
        )
        signed = {row.object_id: row.actor for row in rows.all()}
    assert signed == {
        bill.invoice_id: f"workflow:payment/{bill.invoice_id}"
        for bill in bills
        if bill.method_id is not None
    }


async def test_an_unknown_one_does_not_hurt_the_others(
    database: Database, merchant: CreatedMerchant
) -> None:
    (bill,) = await _bills(database, merchant, [GOOD])
    activities = PaymentActivities(database, BookGateway())
    lost = Bill(merchant_id=bill.merchant_id, invoice_id="inv_lost", method_id=None)
    unknown, opened = await asyncio.gather(
        *(_signed(activities, each) for each in (lost, bill)), return_exceptions=True
    )
    assert isinstance(unknown, NotFound)
    assert isinstance(opened, Collection)
    assert opened.pending_attempt_id is not None


async def test_a_one_off_payment_beside_an_invoice(
    database: Database, merchant: CreatedMerchant
) -> None:
    """12.50 by a payment page and an invoice by the saved card, recorded in one go."""
    (bill,) = await _bills(database, merchant, [GOOD])
    gateway = BookGateway()
    activities = PaymentActivities(database, gateway)
    made = await activities.create_payment(
        CreatePayment(
            merchant_id=bill.merchant_id,
            amount=Decimal("12.50"),
            currency="USD",
            expires_in=Duration(days=1),
        )
    )
    page = Bill(merchant_id=bill.merchant_id, invoice_id=made.payment_id, method_id=None)
    (opened,) = await _open(activities, [bill])
    card = CardChoice(
        gateway_method_id=GOOD, brand="visa", last4="4242", exp_month=12, exp_year=2040, save=False
    )
    begun = await activities.begin_attempt(
        BeginAttempt(
            merchant_id=page.merchant_id,
            collection_id=page.invoice_id,
            number=1,
            now=START,
            card=card,
        )
    )
    commands = {}
    for each, attempt_id in ((bill, opened.pending_attempt_id), (page, begun.attempt_id)):
        assert attempt_id is not None
        ref = AttemptRef(merchant_id=each.merchant_id, attempt_id=attempt_id)
        outcome = await _charge(activities, ref)
        assert outcome is not None
        commands[attempt_id] = each.recording(attempt_id, outcome)
    recorded = await _record(activities, commands)
    assert [each.collection.status for each in recorded] == ["PAID", "completed"]
    assert sorted(each.amount for each in await gateway.list_charges()) == [
        Decimal("12.50"), Decimal("53.90"),
    ]  # fmt: skip


class SlowGateway(BookGateway):
    """Answers when it is let; it has charged before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Semaphore(0)
        self.let = asyncio.Event()
        self.looked_up = 0

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        outcome = await super().charge(request)
        self.asked.release()
        await self.let.wait()
        return outcome

    async def find_charge(self, idempotency_key: str) -> ChargeOutcome | None:
        self.looked_up += 1
        return await super().find_charge(idempotency_key)


class AbsentGateway(BookGateway):
    """Takes the charge, and its answer is lost."""

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        await super().charge(request)
        raise GatewayUnavailable("gone")


async def _pending(activities: PaymentActivities, bills: Sequence[Bill]) -> list[AttemptRef]:
    opened = await _open(activities, bills)
    return [
        AttemptRef(merchant_id=bill.merchant_id, attempt_id=each.pending_attempt_id or "")
        for bill, each in zip(bills, opened, strict=True)
    ]


async def test_a_lost_answer_is_looked_up_and_not_charged_again(
    database: Database, merchant: CreatedMerchant
) -> None:
    (ref,) = await _pending(
        PaymentActivities(database, BookGateway()), await _bills(database, merchant, [GOOD])
    )
    gateway = AbsentGateway()
    activities = PaymentActivities(database, gateway)
    assert await _charge(activities, ref) is None
    tried = AttemptRef(merchant_id=ref.merchant_id, attempt_id=ref.attempt_id, was_tried=True)
    outcome: ChargeOutcome = await ActivityEnvironment().run(activities.charge, tried)
    assert outcome.status == "succeeded"
    assert len(await gateway.list_charges()) == 1


async def test_only_some_tasks_wait_for_a_slow_provider(
    database: Database, merchant: CreatedMerchant
) -> None:
    """The one that finds all places taken is told so before anybody has been answered."""
    bills = await _bills(database, merchant, [GOOD] * (AT_ONCE_MAX + 1))
    gateway = SlowGateway()
    activities = PaymentActivities(database, gateway)
    *first, last = await _pending(activities, bills)
    waiting = [asyncio.create_task(_charge(activities, ref)) for ref in first]
    for _ in first:
        await gateway.asked.acquire()
    assert await _charge(activities, last) is None
    gateway.let.set()
    outcomes = await asyncio.gather(*waiting)
    assert [each and each.status for each in outcomes] == ["succeeded"] * AT_ONCE_MAX


@pytest.mark.parametrize("number", [1, 2])
async def test_an_attempt_begun_in_a_set_is_begun_once(
    database: Database, merchant: CreatedMerchant, number: int
) -> None:
    (bill,) = await _bills(database, merchant, [GOOD])
    activities = PaymentActivities(database, BookGateway())
    (opened,) = await _open(activities, [bill])
    assert not opened.pending_was_found
    begun = await activities.begin_attempt(bill.attempt(number))
    assert (begun.attempt_id, begun.was_pending) == (opened.pending_attempt_id, True)
    (again,) = await _open(activities, [bill])
    assert (again.pending_attempt_id, again.pending_was_found) == (begun.attempt_id, True)
