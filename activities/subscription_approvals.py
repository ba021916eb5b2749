"""How a first invoice that waits for a person is issued; its subscription's writer calls it."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import issuing
from billing.errors import Conflict
from models.queries import invoices, subscriptions
from models.queries.drafts import Terms


async def approve_first(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """Issues the draft, as it was made; found issued, it stays as it is.

    The customer has as long to pay as if it had been issued at once.
    """
    subscription = terms.subscription
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    if subscription.status == "terminated" or first is None:
        raise Conflict(f"The subscription is {subscription.status}")
    if first.status != "DRAFT":
        return
    if subscription.session_expires_at is not None:
        allowed = subscription.session_expires_at - first.grace_period_end
        await subscriptions.change(
            session,
            subscription.merchant_id,
            subscription.id,
            session_expires_at=now + allowed,
        )
    issued = issuing.Issued(terms=terms, invoice=first, now=now)
    await issuing.store(session, subscription.merchant_id, [], [issued])
