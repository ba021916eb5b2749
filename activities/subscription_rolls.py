"""Periods that end at the same time, rolled over together; what is peculiar is left to go alone.

It writes what `subscription_periods.roll` writes, a statement a table. It waits for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import subscription_periods as periods
from activities import subscription_reminders as reminders
from models.invoices import Invoice
from models.queries import drafts, invoices, subscriptions
from models.queries.drafts import Terms
from models.queries.handovers import hand_over
from models.queries.terms import terms_of_all
from models.row_sets import Change
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class RollPeriod:
    """A boundary has come for the open invoice with this sequence number."""

    merchant_id: str
    subscription_id: str
    sequence_number: int
    now: datetime
    reminded_at: datetime | None = None
    """When its customer is told of this renewal, on a test clock that did not stop there."""

    @property
    def invoice_id(self) -> str:
        """The invoice that begins to close."""
        return periods.invoice_id_of(self.subscription_id, self.sequence_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """A period that was rolled over with others."""

    terms: Terms
    closing: Invoice
    opened: Invoice
    next_reminder: datetime | None
    """When the customer is told of the renewal at the end of the opened one; None: not."""
    turn_seconds: float
    """How long after the opened one's boundary its turn comes, in wall time."""


@dataclass(frozen=True, slots=True)
class _Plain:
    command: RollPeriod
    terms: Terms
    invoice: Invoice


def rows_of(command: RollPeriod) -> list[str]:
    """The ids of the rows that a roll may write and the audit log tells of."""
    opened = periods.invoice_id_of(command.subscription_id, command.sequence_number + 1)
    told = [] if command.reminded_at is None else [reminders.reminder_id(command.invoice_id)]
    return [command.invoice_id, opened, *told]


async def roll_all(
    session: AsyncSession, merchant_id: str, commands: Sequence[RollPeriod]
) -> dict[RollPeriod, Rolled]:
    """Rolls the periods about which nothing is peculiar; the others it leaves as they are."""
    plain = await _plain(session, merchant_id, commands)
    if not plain:
        return {}
    merchant = await periods.merchant_of(session, merchant_id)
    opened = [
        periods.following(each.terms, merchant, each.invoice, since=each.invoice.resumed_at)
        for each in plain
    ]
    await reminders.remind_all(
        session,
        [
            reminders.Reminded(each.terms, each.invoice, each.command.reminded_at)
            for each in plain
            if each.command.reminded_at is not None
        ],
    )
    await invoices.change_all(session, merchant_id, [_closed(each) for each in plain])
    added = await invoices.add_all(session, opened)
    assert len(added) == len(opened), "an invoice follows one that is still open"
    pairs = [(each.terms, invoice) for each, invoice in zip(plain, opened, strict=True)]
    told_at = await reminders.next_reminders(session, merchant_id, pairs)
    closing = [
        (each.terms.subscription, periods.waited_for(periods.grace_of(each.invoice)))
        for each in plain
    ]
    opening = [(terms.subscription, invoice.next_action_at) for terms, invoice in pairs]
    turns = await periods.turns_of(session, closing + opening)
    await hand_over(
        session,
        [
            periods.handover_of(
                each.terms.subscription, each.invoice, each.invoice.grace_period_end, turn
            )
            for each, turn in zip(plain, turns[: len(plain)], strict=True)
        ],
    )
    return {
        each.command: Rolled(
            terms=each.terms,
            closing=each.invoice,
            opened=invoice,
            next_reminder=told_at.get(invoice.id),
            turn_seconds=turn,
        )
        for each, invoice, turn in zip(plain, opened, turns[len(plain) :], strict=True)
    }


async def _plain(
    session: AsyncSession, merchant_id: str, commands: Sequence[RollPeriod]
) -> list[_Plain]:
    """Those that are active, with an open invoice, and stay with their version; all are locked.

    Subscriptions are locked before invoices, as a roll alone locks them, and each in one order.
    """
    asked = {each.invoice_id: each for each in commands}
    ids = {each.subscription_id for each in commands}
    rows = {row.id: row for row in await subscriptions.locked(session, merchant_id, ids)}
    ending = [
        (rows[invoice.subscription_id], invoice)
        for invoice in await invoices.locked(session, merchant_id, asked)
        if periods.is_to_roll(invoice)
    ]
    active = [(owner, invoice) for owner, invoice in ending if owner.status == "active"]
    terms = await terms_of_all(session, merchant_id, [owner for owner, _ in active])
    return [
        _Plain(asked[invoice.id], own, invoice)
        for own, (owner, invoice) in zip(terms, active, strict=True)
        if _stays(own, owner)
    ]


def _stays(terms: Terms, subscription: Subscription) -> bool:
    """Whether its next period is billed by the version that it has, without a migration."""
    running_id = subscription.plan_version_id
    is_named = subscription.next_version_id is not None
    return not is_named and drafts.next_version(terms, running_id) == running_id


def _closed(each: _Plain) -> Change:
    arrears_version_id = drafts.arrears_version(each.terms, each.invoice)
    subscription = each.terms.subscription
    columns = periods.closing_columns(subscription, each.invoice, arrears_version_id)
    return Change(each.invoice, columns)
