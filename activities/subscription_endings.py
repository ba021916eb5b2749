"""How a subscription ends, before or after its first payment; nothing of its last bill's sums."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import entitlements, issuing
from activities import subscription_pauses as pauses
from activities import subscription_periods as periods
from activities.subscription_intervals import Why, record_ending
from activities.subscription_periods import ClosingInvoice
from models.queries import drafts, invoices, payments, subscriptions
from models.queries import subscription_intervals as intervals
from models.subscriptions import Subscription

TERMINATED_BY_SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Ends a subscription now: its running period closes at `now`."""

    merchant_id: str
    subscription_id: str
    now: datetime
    reason: str
    change_reason: str | None = None
    terminated_by: str = TERMINATED_BY_SYSTEM


async def last_closing(session: AsyncSession, subscription: Subscription) -> ClosingInvoice | None:
    """The invoice of the window that a termination cut; a retried call answers it again."""
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "CLOSING", "DRAFT"
    )
    cut = [row for row in found if row.coming_to in (None, row.ended_to)]
    return periods.closing_of(cut[-1]) if cut else None


async def end_pending(
    session: AsyncSession, subscription: Subscription, command: Terminate
) -> None:
    """Cancels the first invoice, unpaid or not yet agreed to, and ends the subscription."""
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id, lock=True)
    if first is not None and first.status == "DRAFT":
        await invoices.change(
            session, first.merchant_id, first.id, status="CANCELLED", next_action_at=None
        )
    elif first is not None and first.status == "ISSUED":
        attempts = await payments.attempts_of(session, first.merchant_id, first.id)
        if any(attempt.status == "pending" for attempt in attempts):
            raise RuntimeError(f"A payment of {first.id} is under way; wait for its outcome")
        # A termination may be dated back, a cancellation never before its invoice.
        issued_at = first.issued_at or command.now
        await issuing.cancel(session, first, max(issued_at, command.now))
    await _mark_terminated(session, subscription, command)


async def end_active(session: AsyncSession, subscription: Subscription, command: Terminate) -> None:
    """Cuts the running window at now and lets its invoice close; nothing comes after it.

    A paused one goes on for no time at all: its last invoice takes what is left to bill.
    """
    terms = await drafts.terms_of(session, subscription)
    if subscription.paused_at is not None:
        await pauses.reopen(session, terms, max(subscription.paused_at, command.now))
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    billed = [] if command.change_reason is None else await intervals.all_of(session, terms)
    await _mark_terminated(session, subscription, command)
    if command.change_reason is not None:
        why = Why(change_reason=command.change_reason, description=command.reason)
        await record_ending(session, terms, why, billed)
    if not found:
        return
    invoice = found[0]
    if invoice.ended_from is None:
        # It has not begun: nothing was used and nothing is owed.
        await invoices.change(
            session, invoice.merchant_id, invoice.id, status="CANCELLED", next_action_at=None
        )
        return
    await periods.cut(session, terms, invoice, periods.Cut(command.now, is_last=True))


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
    await entitlements.end(session, subscription, command.now)
