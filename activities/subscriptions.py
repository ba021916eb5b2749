"""Subscription transactions: create, activate, roll a period over, terminate; no waiting here."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import issuing
from activities.customers import DescribedCustomer, customer_of
from billing.durations import parse_duration
from billing.errors import Conflict, InvalidValue, NotAllowed, NotFound
from billing.ids import derived_id
from billing.periods import Period, aligned_anchor
from models.base import new_id, wall_now
from models.customers import Customer
from models.database import Database
from models.invoices import Invoice
from models.plans import Plan
from models.queries import drafts, invoices, organizations, outbox, payments, subscriptions
from models.queries import test_clocks as clocks
from models.queries.drafts import Draft, Step, Terms, window_at
from models.subscriptions import Subscription

BACKDATED_AFTER = timedelta(hours=24)
DEFAULT_SESSION_EXPIRY = timedelta(minutes=240)
BACKDATING_MONTHS_MAX = 12
TERMINATED_BY_SYSTEM = "system"


def workflow_id(subscription_id: str) -> str:
    """The id of the Subscription workflow."""
    return f"subscription/{subscription_id}"


def close_workflow_id(subscription_id: str, sequence_number: int) -> str:
    """The id of the InvoiceClose workflow of one period."""
    return f"invoice-close/{subscription_id}/{sequence_number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubscription:
    """What a merchant promises a customer; instants aware, amounts in major units."""

    merchant_id: str
    plan_id: str
    name: str
    started_at: datetime
    customer_id: str | None = None
    described_customer: DescribedCustomer | None = None
    """Who subscribes where no customer is named."""
    auto_charge: bool = False
    tax_exempt: bool = False
    ending_at: datetime | None = None
    elapsed_period_billing: str = "none"
    test_clock_id: str | None = None
    payment_term_days: int = 0
    session_expiry_minutes: float | None = None
    minimum_account_balance: Decimal | None = None
    version_policy: str = "floating"
    renewal_reminder_enabled: bool | None = None
    renewal_reminder_days: int | None = None
    redirect_urls: dict[str, Any] | None = None
    custom: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreatedSubscription:
    """The subscription, and whether this call made it."""

    subscription_id: str
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRef:
    """Which subscription, and the instant at which something happens to it."""

    merchant_id: str
    subscription_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RollPeriod:
    """A boundary has come for the open invoice with this sequence number."""

    merchant_id: str
    subscription_id: str
    sequence_number: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """What the workflow must know to wait for the right instant."""

    status: str
    customer_id: str
    plan_name: str
    first_invoice_id: str | None
    """The invoice whose payment activates it, while it is pending."""
    session_expires_at: datetime | None
    next_boundary: datetime | None
    """When the open invoice's window ends (or begins, for a start in the future)."""
    sequence_number: int
    """The open invoice's."""
    ending_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Ends a subscription now: its running period closes at `now`."""

    merchant_id: str
    subscription_id: str
    now: datetime
    reason: str
    change_reason: str | None = None
    terminated_by: str = TERMINATED_BY_SYSTEM


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingInvoice:
    """An invoice that has begun to close; its InvoiceClose workflow takes over."""

    invoice_id: str
    sequence_number: int
    grace_period_end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledPeriod:
    """A boundary passed: what closes, and the subscription as it now stands."""

    closing: ClosingInvoice | None
    view: SubscriptionView


class SubscriptionActivities:
    """The only writer of subscriptions (and of the opening of their invoices)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_subscription(self, command: CreateSubscription) -> CreatedSubscription:
        """Creates it with its first invoice and owes its workflow; no activity: the API calls it.

        The same customer and plan again, while the first lives, is the first one (SEMANTICS §8).
        """
        try:
            async with self._database.transaction() as session:
                return await self._create(session, command)
        except IntegrityError as error:
            if not isinstance(error.orig, UniqueViolation):
                raise
            raise Conflict("The subscription was changed at the same time; try again") from error

    async def _create(
        self, session: AsyncSession, command: CreateSubscription
    ) -> CreatedSubscription:
        merchant_id = command.merchant_id
        customer = await _customer(session, command)
        plan = await subscriptions.plan_of(session, merchant_id, command.plan_id)
        if plan is None:
            raise NotFound(f"No plan {command.plan_id}")
        existing = await subscriptions.living(session, merchant_id, customer.id, plan.id)
        if existing is not None:
            return CreatedSubscription(existing.id, created=False)
        now = await _now_for(session, command)
        _check(command, plan, now)
        subscription = _new_row(command, customer.id, plan, now)
        session.add(subscription)
        await session.flush()
        await _begin_billing(session, Terms(subscription, plan, customer), now)
        await _owe_workflow(session, subscription, now)
        return CreatedSubscription(subscription.id, created=True)

    @activity.defn
    async def view_subscription(self, ref: SubscriptionRef) -> SubscriptionView:
        """Reads what the workflow waits for."""
        async with self._database.transaction() as session:
            return await _view(session, await _found(session, ref))

    @activity.defn
    async def activate_subscription(self, ref: SubscriptionRef) -> SubscriptionView:
        """Its first invoice is paid: active, and the running period's invoice opens."""
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            if subscription.status == "pending_payment":
                await _activate(session, await drafts.terms_of(session, subscription), ref.now)
            return await _view(session, subscription)

    @activity.defn
    async def expire_activation(self, ref: SubscriptionRef) -> SubscriptionView:
        """The first payment did not come: its invoice is cancelled, the subscription terminated.

        A payment under way is waited for (refused with a retryable error until it is recorded).
        """
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            if await _paid_first(session, subscription):
                await _activate(session, await drafts.terms_of(session, subscription), ref.now)
            elif subscription.status == "pending_payment":
                ending = Terminate(
                    merchant_id=ref.merchant_id,
                    subscription_id=ref.subscription_id,
                    now=ref.now,
                    reason="payment_session_expired",
                )
                await _end_pending(session, subscription, ending)
            return await _view(session, subscription)

    @activity.defn
    async def roll_period(self, command: RollPeriod) -> RolledPeriod:
        """At a boundary: the open invoice begins to close, the next window's invoice opens."""
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            invoice = await invoices.get(
                session,
                command.merchant_id,
                derived_id("inv", subscription.id, command.sequence_number),
                lock=True,
            )
            if subscription.status == "active" and invoice is not None:
                await _roll(session, await drafts.terms_of(session, subscription), invoice)
            closing = None if invoice is None else _closing(invoice)
            return RolledPeriod(closing=closing, view=await _view(session, subscription))

    @activity.defn
    async def terminate_subscription(self, command: Terminate) -> RolledPeriod:
        """Ends it: usage and arrears up to now are billed, advance fees are not refunded."""
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            if await _paid_first(session, subscription):
                await _activate(session, await drafts.terms_of(session, subscription), command.now)
            if subscription.status == "pending_payment":
                await _end_pending(session, subscription, command)
            if subscription.status == "active":
                await _end_active(session, subscription, command)
            closing = await _last_closing(session, subscription)
            return RolledPeriod(closing=closing, view=await _view(session, subscription))


def _ref(command: RollPeriod | Terminate) -> SubscriptionRef:
    return SubscriptionRef(
        merchant_id=command.merchant_id,
        subscription_id=command.subscription_id,
        now=command.now,
    )


async def _found(session: AsyncSession, ref: SubscriptionRef) -> Subscription:
    subscription = await subscriptions.get(session, ref.merchant_id, ref.subscription_id, lock=True)
    if subscription is None:
        raise NotFound(f"No subscription {ref.subscription_id}")
    return subscription


async def _customer(session: AsyncSession, command: CreateSubscription) -> Customer:
    """The customer who subscribes, locked until the subscription stands."""
    customer_id = command.customer_id
    if command.described_customer is not None:
        customer_id = await customer_of(session, command.merchant_id, command.described_customer)
    if customer_id is None:
        raise InvalidValue("Name a customer, or describe one", field="customerId")
    customer = await subscriptions.lock_customer(session, command.merchant_id, customer_id)
    if customer is None:
        raise NotFound(f"No customer {customer_id}")
    return customer


async def _now_for(session: AsyncSession, command: CreateSubscription) -> datetime:
    """The time in which the subscription lives: its clock's, or the wall's."""
    if command.test_clock_id is None:
        return wall_now()
    merchant = await organizations.get(session, command.merchant_id)
    if merchant is None or merchant.live:
        raise InvalidValue("Test clocks exist only in the sandbox", field="testClockId")
    # Locked: the clock is neither moved nor deleted before the subscription stands on it.
    clock = await clocks.get(session, command.merchant_id, command.test_clock_id, lock=True)
    if clock is None or clock.deleted_at is not None:
        raise NotFound(f"No test clock {command.test_clock_id}")
    return clock.current_time


def _check(command: CreateSubscription, plan: Plan, now: datetime) -> None:
    if command.ending_at is not None and command.ending_at <= max(command.started_at, now):
        raise InvalidValue("endingAt must lie after the start and after now", field="endingAt")
    if command.minimum_account_balance is not None and command.minimum_account_balance < 0:
        raise InvalidValue("must not be negative", field="minimumAccountBalance")
    limit = parse_duration(f"P{BACKDATING_MONTHS_MAX}M").after(command.started_at)
    if limit < now:
        raise InvalidValue(
            f"startedAt may lie at most {BACKDATING_MONTHS_MAX} months back", field="startedAt"
        )
    if plan.currency == "":
        raise NotAllowed("The plan has no currency")


def _new_row(
    command: CreateSubscription, customer_id: str, plan: Plan, now: datetime
) -> Subscription:
    minutes = command.session_expiry_minutes
    expiry = DEFAULT_SESSION_EXPIRY if minutes is None else timedelta(minutes=minutes)
    backdated = command.started_at < now - BACKDATED_AFTER
    skipping = backdated and command.elapsed_period_billing == "none"
    return Subscription(
        id=new_id("sub"),
        merchant_id=command.merchant_id,
        customer_id=customer_id,
        plan_id=plan.id,
        plan_version_id=plan.default_version_id,
        test_clock_id=command.test_clock_id,
        name=command.name,
        status="active",
        currency=plan.currency,
        started_at=command.started_at,
        billing_starts_at=now if skipping else command.started_at,
        billing_anchor=aligned_anchor(plan.billing_anchor, command.started_at),
        billing_cadence=plan.billing_cadence,
        elapsed_period_billing=command.elapsed_period_billing,
        version_policy=command.version_policy,
        auto_charge=command.auto_charge,
        tax_exempt=command.tax_exempt,
        payment_term_days=command.payment_term_days,
        minimum_account_balance=command.minimum_account_balance,
        session_expires_at=now + expiry,
        ending_at=command.ending_at,
        renewal_reminder_enabled=command.renewal_reminder_enabled,
        renewal_reminder_days=command.renewal_reminder_days,
        redirect_urls=command.redirect_urls,
        custom=command.custom,
    )


async def _begin_billing(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """Makes the first invoice of what is due by now, and opens the running window's."""
    subscription = terms.subscription
    if subscription.started_at > now:
        await _open(session, terms, sequence_number=0, ended=None)
        return
    running = window_at(terms, now)
    if subscription.billing_starts_at == now and subscription.started_at < now:
        await _open(session, terms, sequence_number=0, ended=running)
        return
    draft = await drafts.rate(session, terms, _elapsed_steps(terms, running))
    if not draft.lines and draft.wallet_charge == 0:
        await _open(session, terms, sequence_number=0, ended=running)
        return
    if draft.grand_total > 0:
        subscription.status = "pending_payment"
        await session.flush()
    status = await _issue_first(session, terms, draft, now)
    if status == "PAID":
        await _open(session, terms, sequence_number=1, ended=running)


def _elapsed_steps(terms: Terms, running: Period) -> list[Step]:
    """Every boundary from the start to now: normally one, the start itself."""
    version_id = terms.subscription.plan_version_id
    windows: list[Period | None] = [None]
    window = window_at(terms, terms.subscription.started_at)
    while window.start <= running.start:
        windows.append(window)
        window = window_at(terms, window.end)
    return [
        Step(
            ended=ended,
            ended_version_id=version_id,
            coming=coming,
            coming_version_id=version_id,
        )
        for ended, coming in pairwise(windows)
    ]


async def _issue_first(session: AsyncSession, terms: Terms, draft: Draft, now: datetime) -> str:
    invoice = _invoice_row(terms, sequence_number=0, period=draft.period)
    invoice.grace_period_end = now
    await invoices.add(session, invoice)
    await issuing.store_draft(session, invoice, draft)
    stored = await invoices.get(session, invoice.merchant_id, invoice.id)
    if stored is None:
        raise NotFound(f"No invoice {invoice.id}")
    return await issuing.issue(session, terms, stored, now)


def _invoice_row(terms: Terms, *, sequence_number: int, period: Period) -> Invoice:
    subscription = terms.subscription
    return Invoice(
        id=derived_id("inv", subscription.id, sequence_number),
        merchant_id=subscription.merchant_id,
        customer_id=subscription.customer_id,
        subscription_id=subscription.id,
        plan_version_id=subscription.plan_version_id,
        sequence_number=sequence_number,
        status="ACTIVE",
        currency=terms.plan.currency,
        tax_behavior=terms.plan.tax_behavior,
        period_start=period.start,
        period_end=period.end,
        grace_period_end=period.end,
    )


async def _open(
    session: AsyncSession, terms: Terms, *, sequence_number: int, ended: Period | None
) -> None:
    """Opens the invoice that the next boundary closes.

    `ended` is the window that will have ended there; None for a start in the future, whose first
    boundary is the start itself.
    """
    subscription = terms.subscription
    merchant = await organizations.get(session, subscription.merchant_id)
    if merchant is None:
        raise NotFound(f"No merchant {subscription.merchant_id}")
    at = subscription.started_at if ended is None else ended.end
    coming = window_at(terms, at)
    period = coming if ended is None else ended
    invoice = _invoice_row(terms, sequence_number=sequence_number, period=period)
    invoice.ended_from = None if ended is None else ended.start
    invoice.ended_to = None if ended is None else ended.end
    invoice.coming_to = coming.end
    invoice.auto_approve = merchant.auto_approve
    invoice.next_action_at = at
    grace = parse_duration(merchant.grace_period)
    # Nothing late can arrive for a window that has not begun.
    invoice.grace_period_end = at if ended is None else grace.after(at)
    await invoices.add(session, invoice)


async def _activate(session: AsyncSession, terms: Terms, now: datetime) -> None:
    subscription = terms.subscription
    await subscriptions.change(session, subscription.merchant_id, subscription.id, status="active")
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    paid_until = now if first is None or first.issued_at is None else first.issued_at
    await _open(session, terms, sequence_number=1, ended=window_at(terms, paid_until))


async def _roll(session: AsyncSession, terms: Terms, invoice: Invoice) -> None:
    """Closes the open invoice of a boundary that has come; found closing, it stays as it is."""
    if invoice.status != "ACTIVE" or invoice.coming_to is None:
        return
    subscription = terms.subscription
    if subscription.version_policy == "floating":
        await subscriptions.change(
            session,
            subscription.merchant_id,
            subscription.id,
            plan_version_id=terms.plan.default_version_id,
        )
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="CLOSING",
        arrears_version_id=drafts.arrears_version(terms, invoice),
        coming_version_id=subscription.plan_version_id,
        next_action_at=invoice.grace_period_end,
    )
    ended = _coming_of(invoice)
    await _open(session, terms, sequence_number=invoice.sequence_number + 1, ended=ended)
    await _bind_close(session, subscription, invoice.sequence_number)


def _closing(invoice: Invoice) -> ClosingInvoice | None:
    """The invoice for its InvoiceClose workflow; None while it is open or when it was dropped."""
    if invoice.status in ("ACTIVE", "CANCELLED"):
        return None
    return ClosingInvoice(
        invoice_id=invoice.id,
        sequence_number=invoice.sequence_number,
        grace_period_end=invoice.grace_period_end,
    )


def _coming_of(invoice: Invoice) -> Period:
    if invoice.coming_to is None:
        raise InvalidValue(f"Invoice {invoice.id} is the last of its subscription")
    start = invoice.period_start if invoice.ended_to is None else invoice.ended_to
    return Period(start, invoice.coming_to)


async def _bind_close(
    session: AsyncSession, subscription: Subscription, sequence_number: int
) -> None:
    await clocks.bind(
        session,
        subscription.merchant_id,
        subscription.test_clock_id,
        close_workflow_id(subscription.id, sequence_number),
    )


async def _last_closing(session: AsyncSession, subscription: Subscription) -> ClosingInvoice | None:
    """The invoice of the window that a termination cut; a retried call answers it again."""
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "CLOSING", "DRAFT"
    )
    cut = [row for row in found if row.coming_to is None]
    return _closing(cut[-1]) if cut else None


async def _paid_first(session: AsyncSession, subscription: Subscription) -> bool:
    """Whether it is still pending although its first invoice is paid (the news is on its way)."""
    if subscription.status != "pending_payment":
        return False
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    return first is not None and first.status == "PAID"


async def _end_pending(
    session: AsyncSession, subscription: Subscription, command: Terminate
) -> None:
    """Cancels the unpaid first invoice and ends the subscription."""
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    if first is not None and first.status == "ISSUED":
        locked = await invoices.get(session, first.merchant_id, first.id, lock=True)
        attempts = await payments.attempts_of(session, first.merchant_id, first.id)
        if any(attempt.status == "pending" for attempt in attempts):
            raise RuntimeError(f"A payment of {first.id} is under way; wait for its outcome")
        if locked is not None and locked.status == "ISSUED":
            await issuing.cancel(session, locked, command.now)
    await _mark_terminated(session, subscription, command)


async def _end_active(
    session: AsyncSession, subscription: Subscription, command: Terminate
) -> None:
    """Cuts the running window at now and lets its invoice close; nothing comes after it."""
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    await _mark_terminated(session, subscription, command)
    if not found:
        return
    invoice = found[0]
    merchant = await organizations.get(session, subscription.merchant_id)
    if invoice.ended_from is None or merchant is None:
        # It has not begun: nothing was used and nothing is owed.
        await invoices.change(
            session, invoice.merchant_id, invoice.id, status="CANCELLED", next_action_at=None
        )
        return
    end = max(invoice.ended_from, command.now)
    grace_end = parse_duration(merchant.grace_period).after(end)
    terms = await drafts.terms_of(session, subscription)
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="CLOSING",
        arrears_version_id=drafts.arrears_version(terms, invoice),
        ended_to=end,
        coming_to=None,
        period_end=end,
        grace_period_end=grace_end,
        next_action_at=grace_end,
    )
    await _bind_close(session, subscription, invoice.sequence_number)


async def _mark_terminated(
    session: AsyncSession, subscription: Subscription, command: Terminate
) -> None:
    await subscriptions.change(
        session,
        subscription.merchant_id,
        subscription.id,
        status="terminated",
        terminated_at=command.now,
        terminated_by=command.terminated_by,
        termination_reason=command.reason,
        termination_change_reason=command.change_reason,
    )


async def _owe_workflow(session: AsyncSession, subscription: Subscription, now: datetime) -> None:
    await clocks.bind(
        session,
        subscription.merchant_id,
        subscription.test_clock_id,
        workflow_id(subscription.id),
    )
    await outbox.add(
        session,
        outbox.WorkflowStart(
            merchant_id=subscription.merchant_id,
            workflow_id=workflow_id(subscription.id),
            workflow_type="Subscription",
            argument={
                "subscription_id": subscription.id,
                "merchant_id": subscription.merchant_id,
                "clock_id": subscription.test_clock_id,
                "clock_now": None if subscription.test_clock_id is None else now.isoformat(),
            },
        ),
    )


async def _view(session: AsyncSession, subscription: Subscription) -> SubscriptionView:
    terms = await drafts.terms_of(session, subscription)
    open_invoices = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    current = open_invoices[0] if open_invoices else None
    pending = subscription.status == "pending_payment"
    return SubscriptionView(
        status=subscription.status,
        customer_id=subscription.customer_id,
        plan_name=terms.plan.name,
        first_invoice_id=first.id if pending and first is not None else None,
        session_expires_at=subscription.session_expires_at if pending else None,
        next_boundary=None if current is None else current.next_action_at,
        sequence_number=0 if current is None else current.sequence_number,
        ending_at=subscription.ending_at,
    )
