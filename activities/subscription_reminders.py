"""When a customer is reminded of a renewal, and the record that he was; nothing is sent here."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.ids import derived_id
from billing.subscriptions import reminder_at
from models.invoices import Invoice
from models.notifications import Notification
from models.queries import notifications
from models.queries.drafts import Terms

KIND = "renewal_reminder"


async def next_reminder(
    session: AsyncSession, terms: Terms, invoice: Invoice | None
) -> datetime | None:
    """When the renewal at the end of this open invoice's window is to be told of; None: not."""
    if invoice is None or invoice.ended_from is None or invoice.ended_to is None:
        return None
    subscription, plan = terms.subscription, terms.plan
    chosen = subscription.renewal_reminder_enabled
    is_wanted = plan.renewal_reminder_enabled if chosen is None else chosen
    is_wanted = is_wanted and terms.customer.notification_settings.get("renewalReminder", True)
    ends = subscription.ending_at is not None and subscription.ending_at <= invoice.ended_to
    if not is_wanted or ends:
        return None
    if await notifications.is_told(session, invoice.merchant_id, _id(invoice)):
        return None
    days = subscription.renewal_reminder_days or plan.renewal_reminder_days
    return max(invoice.ended_from, reminder_at(invoice.ended_to, days))


async def remind(
    session: AsyncSession, terms: Terms, invoice: Invoice | None, now: datetime
) -> None:
    """Records the reminder if it is due; run twice, it is recorded once."""
    due = await next_reminder(session, terms, invoice)
    if invoice is None or invoice.ended_to is None or due is None or due > now:
        return
    await notifications.add(
        session,
        Notification(
            id=_id(invoice),
            merchant_id=invoice.merchant_id,
            customer_id=invoice.customer_id,
            subscription_id=invoice.subscription_id,
            kind=KIND,
            object_id=invoice.id,
            told_at=now,
            content={"renewsAt": invoice.ended_to.isoformat(), "plan": terms.plan.name},
        ),
    )


def _id(invoice: Invoice) -> str:
    return derived_id("ntf", invoice.id, KIND)
