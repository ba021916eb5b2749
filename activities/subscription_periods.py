"""How a subscription's invoices follow each other; it rates nothing and waits for nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import entitlements
from activities.subscription_changes import NO_MOVE
from billing.cycles import Cycles, cycles_documents
from billing.durations import parse_duration
from billing.errors import InvalidValue, NotFound
from billing.ids import derived_id
from billing.periods import Period
from billing.turns import turn_seconds
from models.invoices import Invoice
from models.organizations import Merchant
from models.queries import drafts, invoices, organizations, plans, subscriptions
from models.queries.drafts import Terms, window_at
from models.queries.handovers import Handover, hand_over
from models.queries.outbox import WorkflowStart
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingInvoice:
    """An invoice that has begun to close; its InvoiceClose workflow takes over."""

    invoice_id: str
    sequence_number: int
    grace_period_end: datetime
    is_owed: bool = False
    """Its start is owed by rows; else an older worker closed it, and a child is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Since when an invoice's subscription is billed without a pause; see `billing.rating`."""

    resumed_at: datetime | None = None
    paid_until: datetime | None = None


UNINTERRUPTED = Run()


def close_workflow_id(subscription_id: str, sequence_number: int) -> str:
    """The id of the InvoiceClose workflow of one period."""
    return f"invoice-close/{subscription_id}/{sequence_number}"


def invoice_id_of(subscription_id: str, sequence_number: int) -> str:
    """The id of a subscription's invoice."""
    return derived_id("inv", subscription_id, sequence_number)


def invoice_row(terms: Terms, *, sequence_number: int, period: Period) -> Invoice:
    """An open invoice under its derived id."""
    subscription = terms.subscription
    return Invoice(
        id=invoice_id_of(subscription.id, sequence_number),
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


async def open_invoice(
    session: AsyncSession,
    terms: Terms,
    *,
    sequence_number: int,
    ended: Period,
    run: Run = UNINTERRUPTED,
) -> None:
    """Opens the invoice that the next boundary closes: `ended` will have ended there."""
    merchant = await merchant_of(session, terms.subscription.merchant_id)
    invoice = opened_row(terms, merchant, sequence_number=sequence_number, ended=ended, run=run)
    await invoices.add(session, invoice)


def opened_row(
    terms: Terms, merchant: Merchant, *, sequence_number: int, ended: Period, run: Run
) -> Invoice:
    """The invoice that the next boundary closes, where `ended` will have ended."""
    invoice = invoice_row(terms, sequence_number=sequence_number, period=ended)
    invoice.ended_from, invoice.ended_to = ended.start, ended.end
    invoice.coming_to = window_at(terms, ended.end).end
    invoice.next_action_at = ended.end
    invoice.grace_period_end = parse_duration(merchant.grace_period).after(ended.end)
    _agree(invoice, merchant, run)
    return invoice


async def open_at(
    session: AsyncSession,
    terms: Terms,
    *,
    sequence_number: int,
    coming: Period,
    run: Run = UNINTERRUPTED,
) -> None:
    """Opens the invoice of a start: of the subscription, or of its billing after a pause.

    The boundary that closes it is the start of `coming`, for which it bills what is due in
    advance. Nothing late can arrive for a window that has not begun: it has no grace.
    """
    merchant = await merchant_of(session, terms.subscription.merchant_id)
    invoice = invoice_row(terms, sequence_number=sequence_number, period=coming)
    invoice.coming_to = coming.end
    invoice.next_action_at = invoice.grace_period_end = coming.start
    _agree(invoice, merchant, run)
    await invoices.add(session, invoice)


async def merchant_of(session: AsyncSession, merchant_id: str) -> Merchant:
    """Whose grace and approval the invoices have."""
    merchant = await organizations.get(session, merchant_id)
    if merchant is None:
        raise NotFound(f"No merchant {merchant_id}")
    return merchant


def _agree(invoice: Invoice, merchant: Merchant, run: Run) -> None:
    invoice.auto_approve = merchant.auto_approve
    invoice.resumed_at, invoice.paid_until = run.resumed_at, run.paid_until


@dataclass(frozen=True, slots=True)
class Cut:
    """A running window ends before its boundary; the last one has nothing after it."""

    at: datetime
    is_last: bool


async def cut(session: AsyncSession, terms: Terms, invoice: Invoice, cut: Cut) -> None:
    """Ends the invoice's window before its boundary and lets it close.

    Without a window to come it is the subscription's last; with an empty one others may follow.
    """
    merchant = await merchant_of(session, invoice.merchant_id)
    end = cut.at if invoice.ended_from is None else max(invoice.ended_from, cut.at)
    grace_end = parse_duration(merchant.grace_period).after(end)
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        status="CLOSING",
        arrears_version_id=drafts.arrears_version(terms, invoice),
        ended_to=end,
        coming_to=None if cut.is_last else end,
        period_end=end,
        grace_period_end=grace_end,
        next_action_at=grace_end,
    )
    await _hand_to_close(session, terms.subscription, invoice, Period(end, grace_end))


async def _hand_to_close(
    session: AsyncSession, subscription: Subscription, invoice: Invoice, grace: Period
) -> None:
    (turn,) = await turns_of(session, [(subscription, waited_for(grace))])
    await hand_over(session, [handover_of(subscription, invoice, grace.end, turn)])


def grace_of(invoice: Invoice) -> Period:
    """From the end of an invoice's window on."""
    return Period(invoice.ended_to or invoice.grace_period_end, invoice.grace_period_end)


def waited_for(grace: Period) -> datetime | None:
    """None without a grace: then it closes in the turn in which it was rolled over."""
    return grace.end if grace.end > grace.start else None


async def turns_of(
    session: AsyncSession, waiting: Sequence[tuple[Subscription, datetime | None]]
) -> list[float]:
    """How long after its instant the turn of each comes, in seconds: of one merchant's.

    Their own invoices wait for these instants already: those that came before them go first, then
    they themselves in order. None: it waits for nothing.
    """
    instants = {
        instant
        for subscription, instant in waiting
        if instant is not None and subscription.test_clock_id is None
    }
    if not instants:
        return [0.0] * len(waiting)
    others = Counter(await invoices.due_at(session, waiting[0][0].merchant_id, instants))
    others.subtract(instant for _, instant in waiting if instant in instants)
    found = []
    for subscription, instant in waiting:
        if instant is None or subscription.test_clock_id is not None:
            found.append(0.0)
            continue
        found.append(turn_seconds(max(others[instant], 0)))
        others[instant] += 1
    return found


async def activate(session: AsyncSession, terms: Terms, now: datetime) -> None:
    """The first invoice is paid: active, and the running window's invoice opens."""
    subscription = terms.subscription
    await subscriptions.change(session, subscription.merchant_id, subscription.id, status="active")
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    # The window for which it was made, however late somebody agreed to it or paid.
    begun = now if first is None else first.grace_period_end
    await open_invoice(session, terms, sequence_number=1, ended=window_at(terms, begun))
    await entitlements.follow(session, subscription, drafts.billed_from(terms))


async def roll(session: AsyncSession, terms: Terms, invoice: Invoice) -> None:
    """Closes the open invoice of a boundary that has come; found closing, it stays as it is."""
    if not is_to_roll(invoice):
        return
    subscription, merchant_id = terms.subscription, invoice.merchant_id
    # Before the version moves on, which decides it while the period runs.
    arrears_version_id = drafts.arrears_version(terms, invoice)
    start, since = _coming_of(invoice).start, invoice.resumed_at
    cycles = terms.named_cycles(start)
    is_new = await _follow(session, terms)
    columns = closing_columns(subscription, invoice, arrears_version_id)
    if cycles is not None:
        await move_cycles(session, terms, invoice, Moved(cycles, start))
        columns["coming_to"] = cycles.at(start).end
        since = start
    await invoices.change(session, merchant_id, invoice.id, **columns)
    merchant = await merchant_of(session, merchant_id)
    await invoices.add(session, following(terms, merchant, invoice, since=since))
    if is_new:
        await entitlements.follow(session, subscription, start)
    await _hand_to_close(session, subscription, invoice, grace_of(invoice))


def is_to_roll(invoice: Invoice) -> bool:
    """Whether it is open and has a window after its own."""
    return invoice.status == "ACTIVE" and invoice.coming_to is not None


def closing_columns(
    subscription: Subscription, invoice: Invoice, arrears_version_id: str
) -> dict[str, Any]:
    """What the columns of an invoice become whose window has ended at its boundary."""
    return {
        "status": "CLOSING",
        "arrears_version_id": arrears_version_id,
        "coming_version_id": subscription.plan_version_id,
        "next_action_at": invoice.grace_period_end,
    }


@dataclass(frozen=True, slots=True)
class Moved:
    """Other cycles, and from when on they count."""

    cycles: Cycles
    at: datetime


async def move_cycles(session: AsyncSession, terms: Terms, invoice: Invoice, moved: Moved) -> None:
    """Lets the subscription go on by other cycles from where an invoice's window ends."""
    subscription = terms.subscription
    if moved.cycles == terms.timeline.current:
        return
    timeline = terms.timeline.moved(moved.cycles, moved.at, invoice.sequence_number)
    await subscriptions.change(
        session,
        subscription.merchant_id,
        subscription.id,
        billing_anchor=timeline.current.anchor,
        billing_cadence=timeline.current.cadence.text(),
        earlier_cycles=cycles_documents(timeline.earlier),
    )


def following(
    terms: Terms, merchant: Merchant, invoice: Invoice, *, since: datetime | None
) -> Invoice:
    """The invoice that opens where this one begins to close.

    `since` is from when on it is billed without a pause, and by the same cycles.
    """
    return opened_row(
        terms,
        merchant,
        sequence_number=invoice.sequence_number + 1,
        ended=_coming_of(invoice),
        run=Run(resumed_at=since),
    )


async def _follow(session: AsyncSession, terms: Terms) -> bool:
    """Moves the subscription to the version that bills it from now on; whether it is another."""
    subscription = terms.subscription
    running_id = subscription.plan_version_id
    coming_id = drafts.next_version(terms, running_id)
    if coming_id == running_id and subscription.next_version_id is None:
        return False
    coming = await plans.version_by_id(session, subscription.merchant_id, coming_id)
    if coming is None:
        raise NotFound(f"No version to follow {running_id}")
    await plans.hold(session, subscription.merchant_id, coming.plan_id)
    await subscriptions.change(
        session,
        subscription.merchant_id,
        subscription.id,
        plan_id=coming.plan_id,
        plan_version_id=coming.id,
        **NO_MOVE,
    )
    return coming_id != running_id


def closing_of(invoice: Invoice) -> ClosingInvoice | None:
    """The invoice for its InvoiceClose workflow; None while it is open or when it was dropped."""
    if invoice.status in ("ACTIVE", "CANCELLED"):
        return None
    return ClosingInvoice(
        invoice_id=invoice.id,
        sequence_number=invoice.sequence_number,
        grace_period_end=invoice.grace_period_end,
        is_owed=True,
    )


def _coming_of(invoice: Invoice) -> Period:
    if invoice.coming_to is None:
        raise InvalidValue(f"Invoice {invoice.id} is the last of its subscription")
    start = invoice.period_start if invoice.ended_to is None else invoice.ended_to
    return Period(start, invoice.coming_to)


def handover_of(
    subscription: Subscription, invoice: Invoice, grace_end: datetime, turn: float
) -> Handover:
    """Hands it to its InvoiceClose workflow, which has nothing to do before `grace_end`."""
    start = WorkflowStart(
        merchant_id=invoice.merchant_id,
        workflow_id=close_workflow_id(subscription.id, invoice.sequence_number),
        workflow_type="InvoiceClose",
        argument={
            "merchant_id": invoice.merchant_id,
            "customer_id": invoice.customer_id,
            "invoice_id": invoice.id,
            "subscription_id": subscription.id,
            "grace_period_end": grace_end.isoformat(),
            "turn_seconds": turn,
        },
    )
    return Handover(start=start, clock_id=subscription.test_clock_id, due_at=grace_end)
