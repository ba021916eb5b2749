"""Payment transactions and the one outside call, the charge; schedules are the workflow's."""

from temporalio import activity

from activities import payment_attempts as attempts
from activities import payment_pages as pages
from activities import payment_settlements as settlements
from activities.gateways.port import ChargeOutcome, ChargeRequest, PaymentGateway, SavedCard
from activities.payment_attempts import (
    AttemptRef,
    BeginAttempt,
    BegunAttempt,
    RecordAttempt,
    RecordedAttempt,
)
from activities.payment_collections import Collection, CollectionRef, OpenCollection, load
from activities.payment_pages import CreatedPayment, CreateLink, CreatePayment, CreateSetup
from activities.payment_settlements import SettledOutside, SettleOutside
from billing.errors import NotFound
from billing.invoicing import check_transition
from models.database import Database
from models.queries import invoices, payments


class PaymentActivities:
    """The only writer of payments, sessions, attempts and saved cards."""

    def __init__(self, database: Database, gateway: PaymentGateway) -> None:
        self._database = database
        self._gateway = gateway

    async def create_payment(self, command: CreatePayment) -> CreatedPayment:
        """Creates a one-off payment with its hosted page; not an activity: the API calls it.

        The same idempotency key again is the first payment; with another body it is refused.
        """
        async with self._database.transaction() as session:
            return await pages.create_payment(session, command)

    async def create_setup(self, command: CreateSetup) -> str:
        """Opens a session that saves a card; returns its id. Not an activity: the API calls it."""
        async with self._database.transaction() as session:
            return await pages.create_setup(session, command)

    async def complete_setup(self, merchant_id: str, session_id: str, card: SavedCard) -> list[str]:
        """Saves the card of a set-up session; returns the invoices that wait for a better card."""
        async with self._database.transaction() as session:
            return await pages.complete_setup(session, merchant_id, session_id, card)

    async def create_link(self, command: CreateLink) -> str:
        """Opens a new page for an unpaid invoice in place of the old one; returns its session's id.

        Not an activity: the API calls it. A first invoice's page ends with its subscription's wait.
        """
        async with self._database.transaction() as session:
            return await pages.create_link(session, command)

    @activity.defn
    async def settle_outside(self, command: SettleOutside) -> SettledOutside:
        """Books an invoice as paid past the provider; run twice, it books once."""
        async with self._database.transaction() as session:
            return await settlements.settle_outside(session, command)

    @activity.defn
    async def open_collection(self, command: OpenCollection) -> Collection:
        """Reads what is to be collected and how far it has come.

        Where the saved card is to be charged at once, the attempt is pending when this answers.
        """
        async with self._database.transaction() as session:
            found = await load(session, command.merchant_id, command.collection_id)
            if command.begins and found.begins_by_itself:
                attempt = BeginAttempt(
                    merchant_id=command.merchant_id,
                    collection_id=command.collection_id,
                    number=1,
                    now=command.now,
                )
                await attempts.begin(session, found, attempt)
            return found.collection()

    @activity.defn
    async def begin_attempt(self, command: BeginAttempt) -> BegunAttempt:
        """Writes the attempt before the charge, so that a crash between them leaves a trace.

        An attempt still pending is answered again: no second one beside it.
        """
        async with self._database.transaction() as session:
            found = await load(session, command.merchant_id, command.collection_id)
            return await attempts.begin(session, found, command)

    @activity.defn
    async def record_attempt(self, command: RecordAttempt) -> RecordedAttempt:
        """Writes the gateway's answer and, if it was paid, everything that follows from it."""
        async with self._database.transaction() as session:
            return await attempts.record(session, command)

    @activity.defn
    async def charge(self, ref: AttemptRef) -> ChargeOutcome:
        """The outside call, and nothing else; the attempt's id is the gateway's idempotency key.

        A retry first looks the key up: an answer that was lost is found, never charged again.
        """
        async with self._database.transaction() as session:
            attempt = await payments.get_attempt(session, ref.merchant_id, ref.attempt_id)
        if attempt is None:
            raise NotFound(f"No payment attempt {ref.attempt_id}")
        if activity.info().attempt > 1:
            found = await self._gateway.find_charge(attempt.id)
            if found is not None:
                return found
        return await self._gateway.charge(
            ChargeRequest(
                idempotency_key=attempt.id,
                amount=attempt.amount,
                currency=attempt.currency,
                payment_method_id=attempt.gateway_method_id,
                invoice_id=attempt.collection_id,
            )
        )

    @activity.defn
    async def give_up_collection(self, ref: CollectionRef) -> None:
        """The last retry failed: the invoice's collection has ended without its money."""
        async with self._database.transaction() as session:
            invoice = await invoices.get(session, ref.merchant_id, ref.collection_id, lock=True)
            if invoice is not None and invoice.status == "ISSUED":
                check_transition("ISSUED", "PAYMENT_FAILED")
                await invoices.change(
                    session,
                    ref.merchant_id,
                    ref.collection_id,
                    status="PAYMENT_FAILED",
                    next_action_at=None,
                )
                await payments.change_sessions(
                    session, ref.merchant_id, ref.collection_id, status="failed"
                )

    @activity.defn
    async def expire_collection(self, ref: CollectionRef) -> None:
        """A one-off payment's time is over; an invoice's expiry is its subscription's business."""
        async with self._database.transaction() as session:
            payment = await payments.get_payment(
                session, ref.merchant_id, ref.collection_id, lock=True
            )
            if payment is not None and payment.status == "pending":
                await payments.change_payment(
                    session, ref.merchant_id, payment.id, status="expired"
                )
                await payments.change_sessions(
                    session, ref.merchant_id, payment.id, status="expired"
                )
