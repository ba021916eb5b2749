"""Payment transactions and the one outside call, the charge; schedules are the workflow's."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import collecting, issuing
from activities.gateways.port import ChargeOutcome, ChargeRequest, PaymentGateway, SavedCard
from billing import ledger as bookkeeping
from billing.dunning import next_attempt_at
from billing.durations import Duration
from billing.errors import BillingError, Conflict, NotFound
from billing.ids import derived_id, request_digest
from billing.invoicing import check_transition
from models.base import new_id, wall_now
from models.customers import PaymentMethod
from models.database import Database
from models.invoices import Invoice
from models.notifications import Notification
from models.payments import Payment, PaymentAttempt, PaymentSession
from models.queries import customers as customer_rows
from models.queries import invoices, ledger, notifications, outbox, payments, subscriptions
from models.subscriptions import Subscription

PAYABLE_INVOICE = ("ISSUED", "PAYMENT_FAILED")
SETUP_SESSION_LIFE = timedelta(days=30)
LINK_LIFE = timedelta(days=30)
RETRY_PAUSE = timedelta(minutes=1)
Origin = Literal["automatic", "checkout", "retry", "out_of_band"]


class NotLinkable(BillingError):
    """A link pays an invoice that is issued and unpaid, none that is open, paid or taken back."""

    code = "INVOICE_NOT_LINKABLE_STATUS"


class NoBalance(BillingError):
    """There is nothing left to pay."""

    code = "INVOICE_NO_BALANCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRef:
    """Which invoice or payment is collected, and the instant at which something happens to it."""

    merchant_id: str
    collection_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCollection(CollectionRef):
    """Reads what is to be collected; `begins`: and opens the saved card's first attempt at once."""

    begins: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What the workflow must know to collect: the amount stays in the rows."""

    is_open: bool
    """Whether there is still something to collect."""
    status: str
    customer_id: str | None
    subscription_id: str | None
    activates_subscription: bool
    auto_charge: bool
    has_method: bool
    expires_at: datetime | None
    attempts: int
    failed_automatic: int
    first_failed_at: datetime | None
    pending_attempt_id: str | None
    """An attempt whose outcome was never recorded: it is looked up before any new one."""
    pending_number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardChoice:
    """The card of a checkout, as the gateway knows it; None: the customer's newest saved card."""

    gateway_method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    save: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginAttempt:
    """Opens attempt `number` to collect."""

    merchant_id: str
    collection_id: str
    number: int
    now: datetime
    card: CardChoice | None = None
    is_retry: bool = False
    """The merchant asks for it: dunning's own attempts are counted without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunAttempt:
    """The attempt to charge, or why there is none.

    `no_payment_method`, `not_payable`, or `too_soon` after another retry.
    """

    attempt_id: str | None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """One attempt."""

    merchant_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAttempt:
    """The gateway's answer, to be written once."""

    merchant_id: str
    attempt_id: str
    outcome: ChargeOutcome
    now: datetime
    card: CardChoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAttempt:
    """How the attempt ended."""

    status: str
    """`succeeded` or `failed`."""
    decline_code: str | None
    message: str | None
    collection: Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOutside:
    """The merchant says that an invoice was paid to him directly; recorded as attempt `number`."""

    merchant_id: str
    invoice_id: str
    number: int
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SettledOutside:
    """Whether this settled it; an invoice that is paid or taken back is not settled again."""

    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLink:
    """A new hosted page for an unpaid invoice."""

    merchant_id: str
    invoice_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePayment:
    """A one-off payment; `digest_of` is what the same key must repeat."""

    merchant_id: str
    amount: Decimal
    currency: str
    expires_in: Duration
    customer_id: str | None = None
    idempotency_key: str | None = None
    reference: str | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    line_items: list[dict[str, Any]] = field(default_factory=list)
    save_payment_method: bool = False
    success_url: str | None = None
    failure_url: str | None = None


@dataclass(frozen=True, slots=True)
class CreatedPayment:
    """The payment, and whether this call made it."""

    payment_id: str
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSetup:
    """A hosted page that saves a card without a charge."""

    merchant_id: str
    customer_id: str
    expires_at: datetime | None = None
    success_url: str | None = None
    failure_url: str | None = None
    custom: dict[str, Any] = field(default_factory=dict)


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
            if command.customer_id is not None:
                await _living_customer(session, command.merchant_id, command.customer_id)
            row = _payment_row(command)
            if not await payments.add_payment(session, row):
                return await _repeated(session, command, row)
            await payments.add_session(session, _payment_session(command, row))
            await outbox.add(
                session,
                outbox.WorkflowStart(
                    merchant_id=row.merchant_id,
                    workflow_id=collecting.collection_workflow_id(row.id),
                    workflow_type="PaymentCollection",
                    argument={"collection_id": row.id, "merchant_id": row.merchant_id},
                ),
            )
            return CreatedPayment(row.id, created=True)

    async def create_setup(self, command: CreateSetup) -> str:
        """Opens a session that saves a card; returns its id. Not an activity: the API calls it."""
        async with self._database.transaction() as session:
            await _living_customer(session, command.merchant_id, command.customer_id)
            row = PaymentSession(
                id=new_id("ps"),
                merchant_id=command.merchant_id,
                token=secrets.token_hex(24),
                entity_type="setup",
                entity_id=command.customer_id,
                collection_id=command.customer_id,
                customer_id=command.customer_id,
                currency="",
                status="pending",
                save_payment_method=True,
                success_url=command.success_url,
                failure_url=command.failure_url,
                custom=command.custom,
                expires_at=command.expires_at or wall_now() + SETUP_SESSION_LIFE,
            )
            await payments.add_session(session, row)
            return row.id

    async def complete_setup(self, merchant_id: str, session_id: str, card: SavedCard) -> list[str]:
        """Saves the card of a set-up session; returns the invoices that wait for a better card."""
        async with self._database.transaction() as session:
            row = await payments.get_session(session, merchant_id, session_id)
            if row is None or row.customer_id is None:
                raise NotFound(f"No payment session {session_id}")
            await payments.add_method(session, _method_row(merchant_id, row.customer_id, card))
            await payments.change_session(
                session, merchant_id, session_id, status="completed", completed_at=wall_now()
            )
            return await invoices.unpaid_automatic(session, merchant_id, row.customer_id)

    async def create_link(self, command: CreateLink) -> str:
        """Opens a new page for an unpaid invoice in place of the old one; returns its session's id.

        Not an activity: the API calls it. A first invoice's page ends with its subscription's wait.
        """
        async with self._database.transaction() as session:
            invoice = await invoices.get(
                session, command.merchant_id, command.invoice_id, lock=True
            )
            if invoice is None:
                raise NotFound(f"No invoice {command.invoice_id}")
            if invoice.status not in PAYABLE_INVOICE:
                raise NotLinkable(f"An invoice that is {invoice.status} is not paid by a link")
            if issuing.unpaid(invoice) <= 0:
                raise NoBalance("Nothing is left to pay on the invoice")
            link_id = await _replace_link(session, invoice, command.now)
            await notifications.add(
                session,
                Notification(
                    id=derived_id("ntf", link_id),
                    merchant_id=invoice.merchant_id,
                    customer_id=invoice.customer_id,
                    subscription_id=invoice.subscription_id,
                    kind="payment_link",
                    object_id=link_id,
                    told_at=command.now,
                    content={"invoiceId": invoice.id},
                ),
            )
            return link_id

    @activity.defn
    async def settle_outside(self, command: SettleOutside) -> SettledOutside:
        """Books an invoice as paid past the provider; run twice, it books once."""
        async with self._database.transaction() as session:
            attempt_id = derived_id("att", command.invoice_id, command.number)
            made = await payments.get_attempt(session, command.merchant_id, attempt_id)
            if made is not None and made.origin == "out_of_band":
                return SettledOutside(settled=True)
            payable = await _payable(session, command.merchant_id, command.invoice_id)
            if not payable.is_open or payable.invoice is None:
                return SettledOutside(settled=False)
            attempt = _outside_row(payable, command)
            await payments.add_attempt(session, attempt)
            await _pay_invoice(session, payable.invoice, attempt, command.now)
            await payments.change_sessions(
                session, command.merchant_id, command.invoice_id, status="cancelled"
            )
            return SettledOutside(settled=True)

    @activity.defn
    async def open_collection(self, command: OpenCollection) -> Collection:
        """Reads what is to be collected and how far it has come.

        Where the saved card is to be charged at once, the attempt is pending when this answers.
        """
        async with self._database.transaction() as session:
            found = await _load(session, command.merchant_id, command.collection_id)
            if command.begins and found.begins_by_itself:
                attempt = BeginAttempt(
                    merchant_id=command.merchant_id,
                    collection_id=command.collection_id,
                    number=1,
                    now=command.now,
                )
                await _begin(session, found, attempt)
            return found.collection()

    @activity.defn
    async def begin_attempt(self, command: BeginAttempt) -> BegunAttempt:
        """Writes the attempt before the charge, so that a crash between them leaves a trace.

        An attempt still pending is answered again: no second one beside it.
        """
        async with self._database.transaction() as session:
            found = await _load(session, command.merchant_id, command.collection_id)
            return await _begin(session, found, command)

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
    async def record_attempt(self, command: RecordAttempt) -> RecordedAttempt:
        """Writes the gateway's answer and, if it was paid, everything that follows from it."""
        async with self._database.transaction() as session:
            attempt = await payments.get_attempt(
                session, command.merchant_id, command.attempt_id, lock=True
            )
            if attempt is None:
                raise NotFound(f"No payment attempt {command.attempt_id}")
            found = await _load(session, attempt.merchant_id, attempt.collection_id)
            if attempt.status == "pending":
                await _record(session, found, attempt, command)
            return RecordedAttempt(
                status=attempt.status,
                decline_code=attempt.decline_code,
                message=attempt.message,
                collection=found.collection(),
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


@dataclass(frozen=True, slots=True)
class _Payable:
    """An invoice or a payment, as far as collecting it goes."""

    amount: Decimal
    currency: str
    customer_id: str | None
    invoice: Invoice | None
    payment: Payment | None

    @property
    def status(self) -> str:
        """As its row stands by now."""
        row = self.invoice or self.payment
        return "" if row is None else row.status

    @property
    def is_open(self) -> bool:
        return self.status in (PAYABLE_INVOICE if self.invoice is not None else ("pending",))


async def _payable(session: AsyncSession, merchant_id: str, collection_id: str) -> _Payable:
    if collection_id.startswith("inv_"):
        invoice = await invoices.get(session, merchant_id, collection_id, lock=True)
        if invoice is None:
            raise NotFound(f"No invoice {collection_id}")
        return _Payable(
            amount=issuing.unpaid(invoice),
            currency=invoice.currency,
            customer_id=invoice.customer_id,
            invoice=invoice,
            payment=None,
        )
    payment = await payments.get_payment(session, merchant_id, collection_id, lock=True)
    if payment is None:
        raise NotFound(f"No payment {collection_id}")
    return _Payable(
        amount=payment.amount,
        currency=payment.currency,
        customer_id=payment.customer_id,
        invoice=None,
        payment=payment,
    )


@dataclass(slots=True)
class _Found:
    """What is collected, and what has been tried: read once a transaction, under its lock."""

    payable: _Payable
    attempts: list[PaymentAttempt]
    subscription: Subscription | None
    method_id: str | None
    """The customer's newest saved card."""

    @property
    def failed(self) -> list[PaymentAttempt]:
        """Dunning's own attempts that failed; those that somebody asked for are not counted."""
        return [
            row for row in self.attempts if row.status == "failed" and row.origin == "automatic"
        ]

    @property
    def activates(self) -> bool:
        return self.subscription is not None and self.subscription.status == "pending_payment"

    @property
    def begins_by_itself(self) -> bool:
        """Whether the saved card is charged now, before anybody waits for anything."""
        subscription = self.subscription
        if self.attempts or subscription is None or not subscription.auto_charge:
            return False
        return self.payable.status == "ISSUED" and not (self.activates and self.method_id is None)

    def collection(self) -> Collection:
        """As the workflow is told."""
        payable, subscription, failed = self.payable, self.subscription, self.failed
        last = self.attempts[-1] if self.attempts else None
        pending = last if last is not None and last.status == "pending" else None
        expires_at = payable.payment.expires_at if payable.payment is not None else None
        if self.activates and subscription is not None:
            expires_at = subscription.session_expires_at
        return Collection(
            is_open=payable.is_open,
            status=payable.status,
            customer_id=payable.customer_id,
            subscription_id=None if subscription is None else subscription.id,
            activates_subscription=self.activates,
            auto_charge=subscription is not None and subscription.auto_charge,
            has_method=self.method_id is not None,
            expires_at=expires_at,
            attempts=len(self.attempts),
            failed_automatic=len(failed),
            first_failed_at=failed[0].attempted_at if failed else None,
            pending_attempt_id=None if pending is None else pending.id,
            pending_number=None if pending is None else pending.number,
        )


async def _load(session: AsyncSession, merchant_id: str, collection_id: str) -> _Found:
    payable = await _payable(session, merchant_id, collection_id)
    subscription, method = None, None
    if payable.invoice is not None:
        subscription, method = await payments.payer_of(session, payable.invoice)
    elif payable.customer_id is not None:
        method = await payments.newest_method(session, merchant_id, payable.customer_id)
    return _Found(
        payable=payable,
        attempts=await payments.attempts_of(session, merchant_id, collection_id),
        subscription=subscription,
        method_id=None if method is None else method.gateway_method_id,
    )


async def _begin(session: AsyncSession, found: _Found, command: BeginAttempt) -> BegunAttempt:
    if not found.payable.is_open:
        return BegunAttempt(attempt_id=None, refusal="not_payable")
    made = found.attempts
    if made and made[-1].status == "pending":
        return BegunAttempt(attempt_id=made[-1].id)
    if command.is_retry and _was_retried(made, command):
        return BegunAttempt(attempt_id=None, refusal="too_soon")
    method_id = found.method_id if command.card is None else command.card.gateway_method_id
    attempt = _attempt_row(found.payable, command, method_id)
    await payments.add_attempt(session, attempt)
    made.append(attempt)
    if method_id is None:
        await _show_retry(session, found)
        return BegunAttempt(attempt_id=None, refusal="no_payment_method")
    return BegunAttempt(attempt_id=attempt.id)


def _attempt_row(payable: _Payable, command: BeginAttempt, method_id: str | None) -> PaymentAttempt:
    """The attempt, pending; without a card it has failed as it is made, and charges nothing."""
    missing = method_id is None
    return PaymentAttempt(
        id=derived_id("att", command.collection_id, command.number),
        merchant_id=command.merchant_id,
        collection_id=command.collection_id,
        number=command.number,
        status="failed" if missing else "pending",
        origin=_origin(command),
        amount=payable.amount,
        currency=payable.currency,
        gateway_method_id=method_id or "",
        decline_code="no_payment_method" if missing else None,
        message="The customer has no saved card" if missing else None,
        attempted_at=command.now,
        resolved_at=command.now if missing else None,
    )


def _origin(command: BeginAttempt) -> Origin:
    if command.card is not None:
        return "checkout"
    return "retry" if command.is_retry else "automatic"


def _was_retried(made: Sequence[PaymentAttempt], command: BeginAttempt) -> bool:
    """Whether the merchant asked less than a minute ago, in real time; his own call does not count.

    Run again after its commit, this finds the attempt that it made itself.
    """
    own = derived_id("att", command.collection_id, command.number)
    since = wall_now() - RETRY_PAUSE
    return any(row.origin == "retry" and row.created_at > since for row in made if row.id != own)


def _outside_row(payable: _Payable, command: SettleOutside) -> PaymentAttempt:
    """The record of money that no provider saw: without a card or a charge, its reason as told."""
    return PaymentAttempt(
        id=derived_id("att", command.invoice_id, command.number),
        merchant_id=command.merchant_id,
        collection_id=command.invoice_id,
        number=command.number,
        status="succeeded",
        origin="out_of_band",
        amount=payable.amount,
        currency=payable.currency,
        gateway_method_id="",
        message=command.reason,
        attempted_at=command.now,
        resolved_at=command.now,
    )


async def _replace_link(session: AsyncSession, invoice: Invoice, now: datetime) -> str:
    earlier = await payments.all_sessions_of(session, invoice.merchant_id, invoice.id)
    if not earlier:
        raise NotLinkable("The invoice never had a payment page")
    await payments.change_sessions(
        session, invoice.merchant_id, invoice.id, status="cancelled", completed_at=wall_now()
    )
    newest = earlier[-1]
    limits = [now + LINK_LIFE]
    subscription = await subscriptions.get(session, invoice.merchant_id, invoice.subscription_id)
    if subscription is not None and subscription.status == "pending_payment":
        limits.append(subscription.session_expires_at or limits[0])
    row = PaymentSession(
        id=derived_id("ps", invoice.id, len(earlier)),
        merchant_id=invoice.merchant_id,
        token=secrets.token_hex(24),
        entity_type=newest.entity_type,
        entity_id=newest.entity_id,
        collection_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=invoice.subscription_id,
        amount=issuing.unpaid(invoice),
        currency=invoice.currency,
        status="pending",
        save_payment_method=newest.save_payment_method,
        success_url=newest.success_url,
        failure_url=newest.failure_url,
        expires_at=min(limits),
    )
    await payments.add_session(session, row)
    return row.id


async def _show_retry(session: AsyncSession, found: _Found) -> None:
    """Shows on the invoice when it is tried next."""
    invoice, failed = found.payable.invoice, found.failed
    if invoice is None or invoice.status != "ISSUED" or not failed:
        return
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        next_action_at=next_attempt_at(failed[0].attempted_at, len(failed)),
    )


async def _record(
    session: AsyncSession, found: _Found, attempt: PaymentAttempt, command: RecordAttempt
) -> None:
    outcome, payable = command.outcome, found.payable
    await payments.change_attempt(
        session,
        attempt.merchant_id,
        attempt.id,
        status=outcome.status,
        gateway_charge_id=outcome.charge_id,
        decline_code=outcome.decline_code,
        message=outcome.message,
        resolved_at=command.now,
    )
    if outcome.status != "succeeded":
        await _show_retry(session, found)
        return
    if payable.invoice is not None:
        await _pay_invoice(session, payable.invoice, attempt, command.now)
    if payable.payment is not None:
        await payments.change_payment(
            session,
            attempt.merchant_id,
            payable.payment.id,
            status="completed",
            completed_at=command.now,
        )
        await _book_one_off(session, payable.payment, attempt, command.now)
    await payments.change_sessions(
        session,
        attempt.merchant_id,
        attempt.collection_id,
        status="completed",
        completed_at=command.now,
        provider_payment_ref=outcome.charge_id,
    )
    await _save_card(session, found, command)


async def _save_card(session: AsyncSession, found: _Found, command: RecordAttempt) -> None:
    card, customer_id = command.card, found.payable.customer_id
    if card is None or not card.save or customer_id is None:
        return
    saved = SavedCard(
        payment_method_id=card.gateway_method_id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
    )
    await payments.add_method(session, _method_row(command.merchant_id, customer_id, saved))
    found.method_id = found.method_id or card.gateway_method_id


async def _pay_invoice(
    session: AsyncSession, invoice: Invoice, attempt: PaymentAttempt, now: datetime
) -> None:
    check_transition("ISSUED" if invoice.status == "ISSUED" else "PAYMENT_FAILED", "PAID")
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="PAID",
        paid_amount=invoice.paid_amount + attempt.amount,
        paid_at=now,
        next_action_at=None,
    )
    till: bookkeeping.Till = (
        "external_clearing" if attempt.origin == "out_of_band" else "processor_clearing"
    )
    owed = attempt.amount - invoice.wallet_charge
    if owed > 0:
        await ledger.post(
            session,
            ledger.Booking(
                merchant_id=invoice.merchant_id,
                transfer_id=derived_id("ltr", attempt.id, "received"),
                booked_at=now,
                transfer=bookkeeping.payment_received(
                    issuing.parties(invoice), attempt.id, amount=owed, till=till
                ),
            ),
        )
    if invoice.wallet_charge > 0:
        await ledger.post(
            session,
            ledger.Booking(
                merchant_id=invoice.merchant_id,
                transfer_id=derived_id("ltr", attempt.id, "topped-up"),
                booked_at=now,
                transfer=bookkeeping.wallet_topped_up(
                    issuing.parties(invoice), attempt.id, amount=invoice.wallet_charge, till=till
                ),
            ),
        )


async def _book_one_off(
    session: AsyncSession, payment: Payment, attempt: PaymentAttempt, now: datetime
) -> None:
    """A one-off payment is earned when it is paid: nobody owed it before."""
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=payment.merchant_id,
            transfer_id=derived_id("ltr", attempt.id, "received"),
            booked_at=now,
            transfer=bookkeeping.one_off_paid(
                bookkeeping.Parties(
                    payment.merchant_id,
                    payment.customer_id or payment.merchant_id,
                    payment.currency,
                ),
                attempt.id,
                amount=payment.amount,
            ),
        ),
    )


def _method_row(merchant_id: str, customer_id: str, card: SavedCard) -> PaymentMethod:
    return PaymentMethod(
        id=derived_id("pm", customer_id, card.payment_method_id),
        merchant_id=merchant_id,
        customer_id=customer_id,
        gateway_method_id=card.payment_method_id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
    )


async def _living_customer(session: AsyncSession, merchant_id: str, customer_id: str) -> None:
    if await customer_rows.get(session, merchant_id, customer_id) is None:
        raise NotFound(f"No customer {customer_id}")


def _payment_row(command: CreatePayment) -> Payment:
    now = wall_now()
    return Payment(
        id=new_id("pay"),
        merchant_id=command.merchant_id,
        customer_id=command.customer_id,
        status="pending",
        amount=command.amount,
        currency=command.currency,
        idempotency_key=command.idempotency_key,
        request_digest=request_digest(command),
        reference=command.reference,
        custom=command.custom,
        line_items=command.line_items,
        save_payment_method=command.save_payment_method,
        expires_at=command.expires_in.after(now),
    )


def _payment_session(command: CreatePayment, row: Payment) -> PaymentSession:
    return PaymentSession(
        id=derived_id("ps", row.id, 0),
        merchant_id=row.merchant_id,
        token=secrets.token_hex(24),
        entity_type="payment",
        entity_id=row.id,
        collection_id=row.id,
        customer_id=row.customer_id,
        amount=row.amount,
        currency=row.currency,
        status="pending",
        save_payment_method=row.save_payment_method,
        success_url=command.success_url,
        failure_url=command.failure_url,
        expires_at=row.expires_at,
    )


async def _repeated(session: AsyncSession, command: CreatePayment, row: Payment) -> CreatedPayment:
    first = await payments.payment_by_key(
        session, command.merchant_id, command.idempotency_key or ""
    )
    if first is None or first.request_digest != row.request_digest:
        raise Conflict("The idempotency key was used for another payment")
    return CreatedPayment(first.id, created=False)
