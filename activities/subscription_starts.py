"""How a subscription begins: row, first invoice, owed workflow; the writer calls it, no worker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import entitlements, issuing
from activities import subscription_periods as periods
from activities.customers import DescribedCustomer, customer_of
from activities.subscription_intervals import Why, record_beginning
from billing.durations import parse_duration
from billing.errors import InvalidValue, NotAllowed, NotFound
from billing.periods import Period, aligned_anchor
from models.base import new_id, wall_now
from models.customers import Customer
from models.plans import Plan
from models.queries import drafts, invoices, organizations, outbox, plans, subscriptions
from models.queries import test_clocks as clocks
from models.queries.drafts import Draft, Step, Terms, window_at
from models.subscriptions import Subscription

BACKDATED_AFTER = timedelta(hours=24)
DEFAULT_SESSION_EXPIRY = timedelta(minutes=240)
BACKDATING_MONTHS_MAX = 12
LAST_START = datetime(9990, 1, 1, tzinfo=UTC)
"""Behind it, periods would lie outside the calendar."""


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
    why: Why | None = None
    """What is said about the intervals that it begins with; None: nothing, and no record."""


@dataclass(frozen=True, slots=True)
class CreatedSubscription:
    """The subscription, and whether this call made it."""

    subscription_id: str
    created: bool


def workflow_id(subscription_id: str) -> str:
    """The id of the Subscription workflow."""
    return f"subscription/{subscription_id}"


async def create(session: AsyncSession, command: CreateSubscription) -> CreatedSubscription:
    """The living one of this customer and plan, or a new one with its first invoice."""
    merchant_id = command.merchant_id
    customer = await _customer(session, command)
    await plans.hold(session, merchant_id, command.plan_id)
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
    terms = Terms(subscription, plan, customer)
    await _begin_billing(session, terms, now)
    if command.why is not None:
        await record_beginning(session, terms, command.why)
    await entitlements.follow(session, subscription, drafts.billed_from(terms))
    await _owe_workflow(session, subscription, now)
    return CreatedSubscription(subscription.id, created=True)


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
    clock = await clocks.hold(session, command.merchant_id, command.test_clock_id)
    if clock is None or clock.deleted_at is not None:
        raise NotFound(f"No test clock {command.test_clock_id}")
    return clock.current_time


def _check(command: CreateSubscription, plan: Plan, now: datetime) -> None:
    if command.started_at >= LAST_START:
        raise InvalidValue(f"Must lie before {LAST_START:%Y}", field="startedAt")
    if command.ending_at is not None and command.ending_at <= max(command.started_at, now):
        raise InvalidValue("endingAt must lie after the start and after now", field="endingAt")
    if command.minimum_account_balance is not None and command.minimum_account_balance < 0:
        raise InvalidValue("must not be negative", field="minimumAccountBalance")
    limit = parse_duration(f"P{BACKDATING_MONTHS_MAX}M").after(command.started_at)
    if command.elapsed_period_billing == "per_period" and limit < now:
        raise InvalidValue(
            f"startedAt may lie at most {BACKDATING_MONTHS_MAX} months back where elapsed "
            "periods are billed",
            field="startedAt",
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
        coming = window_at(terms, subscription.started_at)
        await periods.open_at(session, terms, sequence_number=0, coming=coming)
        return
    running = window_at(terms, now)
    due = _due_at_creation(terms, running, now)
    await _refuse_deleted(session, terms, drafts.span_of(due).start if due else running.start)
    if not due:
        await periods.open_invoice(session, terms, sequence_number=0, ended=running)
        return
    if any(step.ended is not None for step in due):
        terms = await entitlements.expected(session, terms)
    draft = await drafts.rate(session, terms, due)
    if not draft.lines and draft.wallet_charge == 0:
        await periods.open_invoice(session, terms, sequence_number=0, ended=running)
        return
    if draft.grand_total > 0:
        subscription.status = "pending_payment"
        await session.flush()
    status = await _make_first(session, terms, draft, now)
    if status == "PAID":
        await periods.open_invoice(session, terms, sequence_number=1, ended=running)


def _due_at_creation(terms: Terms, running: Period, now: datetime) -> Sequence[Step]:
    """The boundaries that the first invoice bills.

    All that have come; but where elapsed periods are not billed only one that comes at this
    instant, since what falls due from the creation on is owed.
    """
    subscription = terms.subscription
    if subscription.billing_starts_at != now or subscription.started_at == now:
        return drafts.elapsed_steps(terms, running)
    return drafts.elapsed_steps(terms, running)[-1:] if running.start == now else []


async def _refuse_deleted(session: AsyncSession, terms: Terms, first: datetime) -> None:
    """A period whose usage the merchant no longer keeps would be billed too low."""
    merchant = await organizations.get(session, terms.subscription.merchant_id)
    before = None if merchant is None else merchant.usage_deleted_before
    if before is not None and first < before:
        message = f"Usage before {before:%Y-%m-%d} is no longer kept"
        raise InvalidValue(message, field="startedAt")


async def _make_first(session: AsyncSession, terms: Terms, draft: Draft, now: datetime) -> str:
    """The first invoice, issued unless somebody has to agree to what it asks for."""
    merchant = await organizations.get(session, terms.subscription.merchant_id)
    invoice = periods.invoice_row(terms, sequence_number=0, period=draft.period)
    invoice.grace_period_end = now
    invoice.auto_approve = merchant is None or merchant.auto_approve
    await invoices.add(session, invoice)
    stored = await invoices.get(session, invoice.merchant_id, invoice.id)
    if stored is None:
        raise NotFound(f"No invoice {invoice.id}")
    drafted = issuing.Drafted(invoice=stored, draft=draft, run=issuing.current_run())
    issued = issuing.Issued(terms=terms, invoice=stored, now=now)
    is_issued = draft.grand_total <= 0 or stored.auto_approve
    await issuing.store(session, stored.merchant_id, [drafted], [issued] if is_issued else [])
    return stored.status


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
