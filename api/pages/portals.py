"""What a portal page shows: read from the rows, decided here, rendered elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlmodel.ext.asyncio.session import AsyncSession

from api import open_drafts
from api.links import CHECKOUT_PATH
from billing.money import amount_text, text
from models.base import wall_now
from models.invoices import Invoice
from models.queries import (
    drafts,
    invoices,
    organizations,
    payments,
    portal_links,
    subscriptions,
)
from models.queries import test_clocks as clocks
from models.queries.draft_lines import Draft
from models.subscriptions import Subscription

INVOICES_MAX = 24
SHOWN = ("ISSUED", "PAID", "PAYMENT_FAILED", "CANCELLED", "WRITTEN_OFF")
STATES = {
    "ISSUED": "Open",
    "PAID": "Paid",
    "PAYMENT_FAILED": "Payment failed",
    "CANCELLED": "Cancelled",
    "WRITTEN_OFF": "Written off",
}
STATUSES = {"pending_payment": "Waiting for the first payment", "terminated": "Ended"}


@dataclass(frozen=True, slots=True)
class ShownInvoice:
    """An invoice in the list; with the path of its payment page where it can be paid."""

    name: str
    detail: str
    amount: str
    state: str
    pay_path: str | None


@dataclass(frozen=True, slots=True)
class ShownUse:
    """A meter's reading in the running period."""

    name: str
    quantity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A subscription as its customer sees it."""

    merchant_name: str
    name: str
    plan_name: str
    status: str
    period: str
    uses: Sequence[ShownUse]
    invoices: Sequence[ShownInvoice]


class Expired(Exception):
    """The link was one, once."""


async def read_portal(session: AsyncSession, secret: str) -> Portal | None:
    """The portal behind this secret; None: there never was one. An old one is `Expired`."""
    link = await portal_links.by_hash(session, sha256(secret.encode()).hexdigest())
    if link is None:
        return None
    if link.expires_at <= wall_now():
        raise Expired
    row = await subscriptions.get(session, link.merchant_id, link.subscription_id)
    merchant = await organizations.get(session, link.merchant_id)
    if row is None or merchant is None:
        return None
    terms = await drafts.terms_of(session, row)
    running = await invoices.of_subscription(session, row.merchant_id, row.id, "ACTIVE")
    current = running[0] if running and running[0].ended_to is not None else None
    uses: list[ShownUse] = []
    if current is not None:
        draft = await open_drafts.calculated(session, terms, current)
        uses = [] if draft is None else _uses(draft)
    return Portal(
        merchant_name=merchant.name,
        name=row.name,
        plan_name=terms.plan.name,
        status=_status(row),
        period="" if current is None else _span(current),
        uses=uses,
        invoices=await _invoices(session, row),
    )


def _uses(draft: Draft) -> list[ShownUse]:
    return [
        ShownUse(
            line.price.display_name,
            f"{text(line.quantity)} {draft.names[line.price.price_id].unit}",
        )
        for line in draft.lines
        if line.price.kind == "metric" and not line.is_late
    ]


def _status(row: Subscription) -> str:
    if row.status == "active" and row.paused_at is not None:
        return f"Paused since {row.paused_at:%d %b %Y}"
    if row.status == "active" and row.ending_at is not None:
        return f"Active until {row.ending_at:%d %b %Y}"
    return STATUSES.get(row.status, "Active")


def _span(invoice: Invoice) -> str:
    return f"{invoice.period_start:%d %b %Y} to {invoice.period_end:%d %b %Y}"


async def _invoices(session: AsyncSession, row: Subscription) -> list[ShownInvoice]:
    found = await invoices.of_subscription(session, row.merchant_id, row.id, *SHOWN)
    newest = found[::-1][:INVOICES_MAX]
    now = await clocks.now_of(session, row.merchant_id, row.test_clock_id, wall_now())
    pages = await payments.sessions_of(session, row.merchant_id, [each.id for each in newest])
    shown = []
    for each in newest:
        page = pages.get(each.id)
        is_open = page is not None and page.status in ("pending", "failed")
        lasts = page is not None and (page.expires_at is None or page.expires_at > now)
        payable = each.status in ("ISSUED", "PAYMENT_FAILED") and is_open and lasts
        shown.append(
            ShownInvoice(
                name=each.invoice_number or "Invoice",
                detail=_span(each),
                amount=f"{amount_text(each.grand_total, each.currency)} {each.currency}",
                state=STATES[each.status],
                pay_path=f"{CHECKOUT_PATH}/{page.token}" if payable and page else None,
            )
        )
    return shown
