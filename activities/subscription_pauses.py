"""How a subscription pauses and goes on; what is owed for the time before is rated elsewhere."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import subscription_periods as periods
from billing.errors import Conflict
from billing.periods import Period
from models.invoices import Invoice
from models.queries import invoices, subscriptions
from models.queries.drafts import Terms, window_at
from models.subscriptions import Subscription


async def pause(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """Cuts the running window at now; nothing opens until it is resumed.

    Found paused at this very instant, it is a repeated call.
    """
    subscription = terms.subscription
    if subscription.paused_at == now:
        return
    if subscription.status != "active" or subscription.paused_at is not None:
        raise Conflict("Only an active subscription that is not paused can be paused")
    running = await _running(session, subscription)
    if running is None or running.ended_from is None:
        raise Conflict("A subscription can be paused once its first period has begun")
    await periods.cut(session, terms, running, periods.Cut(now, is_last=False))
    await subscriptions.change(session, subscription.merchant_id, subscription.id, paused_at=now)


async def resume(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """Opens the next invoice at now, on the same anchor.

    Where the window of the pause is still running its fees are paid; in a later one an invoice
    falls due at once, with what is due in advance for the rest of that window.
    """
    subscription = terms.subscription
    paused_at = subscription.paused_at
    if paused_at is None:
        running = await _running(session, subscription)
        if running is not None and running.resumed_at == now:
            return
        raise Conflict("The subscription is not paused")
    paid_until = window_at(terms, paused_at).end
    if now < paid_until:
        await reopen(session, terms, now)
        return
    number = await _go_on(session, subscription)
    coming = Period(now, window_at(terms, now).end)
    run = periods.Run(resumed_at=now, paid_until=paid_until)
    await periods.open_at(session, terms, sequence_number=number, coming=coming, run=run)


async def reopen(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """Opens the invoice of the rest of the running window, which owes no fee in advance."""
    number = await _go_on(session, terms.subscription)
    rest = Period(now, window_at(terms, now).end)
    run = periods.Run(resumed_at=now)
    await periods.open_invoice(session, terms, sequence_number=number, ended=rest, run=run)


async def _go_on(session: AsyncSession, subscription: Subscription) -> int:
    """Takes the pause away; returns the number of the next invoice."""
    await subscriptions.change(session, subscription.merchant_id, subscription.id, paused_at=None)
    last = await invoices.last_of(session, subscription.merchant_id, subscription.id)
    return 0 if last is None else last.sequence_number + 1


async def _running(session: AsyncSession, subscription: Subscription) -> Invoice | None:
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    return found[0] if found else None
