"""When a customer is reminded of a renewal, and the record that he was; nothing is sent here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.ids import derived_id
from billing.subscriptions import reminder_at
from models.invoices import Invoice
from models.notifications import Notification
from models.queries import notifications
from models.queries.drafts import Terms

KIND = "renewal_reminder"


def reminder_id(invoice_id: str) -> str:
    """The id of the reminder of the renewal at the end of an open invoice's window."""
    return derived_id("ntf", invoice_id, KIND)


async def next_reminder(
    session: AsyncSession, terms: Terms, invoice: Invoice | None
) -> datetime | None:
    """When the renewal at the end of this open invoice's window is to be told of; None: not."""
    due = _due(terms, invoice)
    if due is None or invoice is None:
        return None
    is_told = await notifications.is_told(session, invoice.merchant_id, reminder_id(invoice.id))
    return None if is_told else due


async def next_reminders(
    session: AsyncSession, merchant_id: str, opened: Sequence[tuple[Terms, Invoice]]
) -> dict[str, datetime]:
    """The same of many of a merchant's open invoices, by their ids; left out: not."""
    wanted = {invoice.id: due for terms, invoice in opened if (due := _due(terms, invoice))}
    ids = {reminder_id(invoice_id) for invoice_id in wanted}
    told = await notifications.told_among(session, merchant_id, ids)
    return {each: due for each, due in wanted.items() if reminder_id(each) not in told}


async def remind(
    session: AsyncSession, terms: Terms, invoice: Invoice | None, now: datetime
) -> None:
    """Records the reminder if it is due; run twice, it is recorded once."""
    due = await next_reminder(session, terms, invoice)
    if invoice is not None and due is not None and due <= now:
        await notifications.add(session, _row(terms, invoice, now))


@dataclass(frozen=True, slots=True)
class Reminded:
    """An open invoice's renewal, and when its customer is told of it."""

    terms: Terms
    invoice: Invoice
    told_at: datetime


async def remind_all(session: AsyncSession, reminded: Sequence[Reminded]) -> None:
    """Records those reminders that are due, each once."""
    await notifications.add_all(
        session,
        [
            _row(each.terms, each.invoice, each.told_at)
            for each in reminded
            if (due := _due(each.terms, each.invoice)) is not None and due <= each.told_at
        ],
    )


def _due(terms: Terms, invoice: Invoice | None) -> datetime | None:
    """When it is to be told of, whether it was or not; None: not."""
    if invoice is None or invoice.ended_from is None or invoice.ended_to is None:
        return None
    subscription, plan = terms.subscription, terms.plan
    chosen = subscription.renewal_reminder_enabled
    is_wanted = plan.renewal_reminder_enabled if chosen is None else chosen
    is_wanted = is_wanted and terms.customer.notification_settings.get("renewalReminder", True)
    ends = subscription.ending_at is not None and subscription.ending_at <= invoice.ended_to
    if not is_wanted or ends:
        return None
    days = subscription.renewal_reminder_days or plan.renewal_reminder_days
    return max(invoice.ended_from, reminder_at(invoice.ended_to, days))


def _row(terms: Terms, invoice: Invoice, told_at: datetime) -> Notification:
    assert invoice.ended_to is not None, "nothing is due without it"
    return Notification(
        id=reminder_id(invoice.id),
        merchant_id=invoice.merchant_id,
        customer_id=invoice.customer_id,
        subscription_id=invoice.subscription_id,
        kind=KIND,
        object_id=invoice.id,
        told_at=told_at,
        content={"renewsAt": invoice.ended_to.isoformat(), "plan": terms.plan.name},
    )
