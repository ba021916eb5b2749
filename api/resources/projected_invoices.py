"""Invoices to come, on the wire: derived at each read and stored nowhere; none has a page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.deps import Caller, Session
from api.idempotency import KeptRoute
from api.invoice_answers import Invoice, InvoiceLine, InvoiceLines, Standing
from api.pagination import Listing, Paging, listing
from api.schema import Instant, SubscriptionId, found
from billing.durations import parse_duration
from billing.errors import InvalidValue
from billing.ids import derived_id
from billing.invoicing import due_at
from billing.periods import Period
from models import invoices as tables
from models.base import wall_now
from models.organizations import Merchant
from models.queries import drafts, organizations, projections, subscriptions, test_clocks
from models.queries.drafts import Terms
from models.queries.projections import Projection

router = APIRouter(prefix="/v2/invoices/projected", tags=["Invoices V2"], route_class=KeptRoute)

HORIZON = parse_duration("P1Y")
SPAN_DEFAULT = parse_duration("P1M")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of whose invoices are projected."""

    subscription_id: str
    start: datetime | None
    end: datetime | None

    def span(self, now: datetime) -> Period:
        """The boundaries that are asked for: none before now, none beyond a year."""
        start = max(self.start or now, now)
        end = self.end or SPAN_DEFAULT.after(start)
        if end > HORIZON.after(now):
            raise InvalidValue("At most a year from now", field="to")
        if end <= start:
            raise InvalidValue("Must lie after from, and in the future", field="to")
        return Period(start, end)


async def wanted_projection(
    subscription_id: Annotated[SubscriptionId, Query(alias="subscriptionId")],
    start: Annotated[Instant | None, Query(alias="from")] = None,
    end: Annotated[Instant | None, Query(alias="to")] = None,
) -> Wanted:
    """Whose invoices to come are listed, and how far ahead."""
    return Wanted(subscription_id, start, end)


@router.get("", operation_id="listProjectedInvoices")
async def list_projected_invoices(
    wanted: Annotated[Wanted, Depends(wanted_projection)],
    caller: Caller,
    paging: Paging,
    session: Session,
) -> Listing[Invoice]:
    """List the invoices that fees and written lines will make, in their order; usage is not in."""
    merchant_id = caller.merchant_id
    owner = found(
        await subscriptions.get(session, merchant_id, wanted.subscription_id), "subscription"
    )
    now = await test_clocks.now_of(session, merchant_id, owner.test_clock_id, wall_now())
    terms = await drafts.terms_of(session, owner)
    merchant = found(await organizations.get(session, merchant_id), "merchant")
    projected = await projections.project(session, terms, wanted.span(now), now)
    shown = projected[paging.offset :][: paging.limit]
    answers = [_answer(terms, each, merchant) for each in shown]
    return listing(answers, len(projected), paging)


def _answer(terms: Terms, projected: Projection, merchant: Merchant) -> Invoice:
    owner = terms.subscription
    grace_end = projected.moment
    if projected.has_grace:
        grace_end = parse_duration(merchant.grace_period).after(grace_end)
    row = tables.Invoice(
        id=derived_id("inv", owner.id, projected.sequence_number, "projected"),
        merchant_id=owner.merchant_id,
        customer_id=owner.customer_id,
        subscription_id=owner.id,
        plan_version_id=projected.version_id,
        sequence_number=projected.sequence_number,
        status="PROJECTED",
        auto_approve=merchant.auto_approve,
        currency=owner.currency,
        tax_behavior=terms.behavior,
        period_start=projected.draft.period.start,
        period_end=projected.draft.period.end,
        grace_period_end=grace_end,
        issued_at=grace_end,
        due_at=due_at(grace_end, owner.payment_term_days),
        created_at=owner.created_at,
        updated_at=owner.updated_at,
    )
    lines = [InvoiceLine.of(line) for line in drafts.line_rows(row, projected.draft)]
    standing = Standing(
        subscription=owner,
        payment_url=None,
        pdf_url=None,
        subtotal=projected.draft.totals.subtotal,
        total_tax=projected.draft.totals.tax,
        grand_total=projected.draft.grand_total,
        item_count=len(lines),
        period_start=projected.draft.period.start,
        period_end=projected.draft.period.end,
    )
    shown = InvoiceLines(
        invoice_id=row.id, line_items=lines, total_count=len(lines), next_page_token=None
    )
    return Invoice.of(row, standing, line_items=shown)
