"""Line items across a subscription: stored ones as billed, pending ones as they stand now."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import Field, StringConstraints

from activities.manual_lines import CreateManualLine
from api import open_drafts
from api.deps import Caller, Commands, Session, Transactions, anchor
from api.idempotency import KeptRoute
from api.item_answers import ResolvedItem, resolved
from api.line_item_answers import Billed, LineItem, Status, Waiting
from api.line_pages import LIMIT_DEFAULT, LIMIT_MAX, read_expand
from api.pagination import Limits, paging
from api.schema import (
    Absent,
    Body,
    Currency,
    Instant,
    InvoiceId,
    ItemId,
    Key,
    Label,
    Name,
    Rate,
    SubscriptionId,
    Wire,
    found,
)
from billing.errors import InvalidValue
from billing.money import amount_text, exact
from models.base import wall_now
from models.invoices import InvoiceLine
from models.queries import (
    adjustments,
    drafts,
    invoices,
    manual_lines,
    subscriptions,
    test_clocks,
)
from models.queries import customer_credits as credits_of
from models.queries.invoices import NO_LINES, OPEN_STATUSES, LineScope
from models.subscriptions import Subscription

router = APIRouter(prefix="/v2/invoices/lineItems", tags=["Invoices V2"], route_class=KeptRoute)

OFFSET_MAX = 10_000

LinePaging = Annotated[
    Limits, Depends(paging(default=LIMIT_DEFAULT, maximum=LIMIT_MAX, offset_maximum=OFFSET_MAX))
]


class NewLineItem(Body):
    """A charge or, with a negative price, a credit that the catalogue does not hold."""

    display_name: Name
    currency: Currency
    quantity: Annotated[Rate, Field(gt=0)]
    unit_price: Rate
    subscription_id: SubscriptionId | None = None
    invoice_id: InvoiceId | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] | None = None
    invoice_at: Instant | None = None
    period_start: Instant | None = None
    period_end: Instant | None = None
    idempotency_key: Key | None = None
    item_id: ItemId | None = None


class LineItemsSummary(Wire):
    """What all matching lines come to, not only the page's."""

    fee_subtotal: str
    metered_estimated_subtotal: str
    currency: str


class LineItems(Wire):
    """A page of line items."""

    object: Literal["list"] = "list"
    data: list[LineItem]
    total_count: int
    summary: LineItemsSummary
    items: Absent[list[ResolvedItem]] = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose line items are listed, and which of them."""

    subscription_id: str | None
    invoice_id: str | None
    status: Status | None
    expand: frozenset[str]
    provider: str | None = None
    """Whose codes are shown of items; None: all."""


async def wanted_items(
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
    invoice_id: Annotated[InvoiceId | None, Query(alias="invoiceId")] = None,
    status: Status | None = None,
    expand: Label | None = None,
    provider: Annotated[
        str | None, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=64)
    ] = None,
) -> Wanted:
    """What the list is narrowed to, and what is asked for along."""
    if subscription_id is None and invoice_id is None:
        raise InvalidValue("Name a subscription or an invoice", field="subscriptionId")
    if invoice_id is not None and status is not None:
        raise InvalidValue("Not together with invoiceId", field="status")
    return Wanted(subscription_id, invoice_id, status, read_expand(expand), provider)


@router.get("", operation_id="listLineItems")
async def list_line_items(
    wanted: Annotated[Wanted, Depends(wanted_items)],
    caller: Caller,
    paging: LinePaging,
    session: Session,
) -> LineItems:
    """List the line items of a subscription or an invoice: pending ones first, then newest."""
    subscription = await _subscription(session, caller.merchant_id, wanted)
    scope = LineScope(caller.merchant_id, subscription.id, wanted.invoice_id)
    pending = [] if wanted.status == "invoiced" else await _pending(session, scope, subscription)
    stored = NO_LINES
    if wanted.status != "pending":
        behind = max(paging.offset - len(pending), 0)
        stored = await invoices.stored_lines(session, scope, limit=paging.limit, offset=behind)
    shown = [*pending[paging.offset :], *map(Billed._make, stored.page)][: paging.limit]
    items = None
    if "items" in wanted.expand:
        tags = [each.item_id for each in shown if each.item_id is not None]
        items = await resolved(session, caller.merchant_id, tags, wanted.provider)
    return LineItems(
        data=await _answers(session, shown, traced="lineProvenance" in wanted.expand),
        total_count=len(pending) + stored.count,
        summary=_summary(subscription.currency, pending, stored.fee_subtotal),
        items=items,
    )


@dataclass(frozen=True, slots=True)
class _Door:
    """Writes lines, and reads in transactions of its own."""

    transactions: Transactions
    commands: Commands
    header: Annotated[Key | None, Header(alias="Idempotency-Key")] = None

    async def write(self, merchant_id: str, body: NewLineItem) -> tuple[LineItem, bool]:
        """The line, and whether this call made it."""
        key = self.header or body.idempotency_key
        now = await self._checked(merchant_id, body, key)
        # Dumped, a rate is the number that the wire has; inside it stays exact.
        members = body.model_dump() | {
            "quantity": body.quantity,
            "unit_price": body.unit_price,
            "idempotency_key": key,
        }
        command = CreateManualLine(merchant_id=merchant_id, **members)
        created = await self.commands.create_manual_line(command, now)
        async with self.transactions.transaction() as session:
            row = found(await manual_lines.get(session, merchant_id, created.line_id), "line")
            owner = found(
                await subscriptions.get(session, merchant_id, row.subscription_id), "subscription"
            )
            terms = await drafts.terms_of(session, owner)
            return LineItem.written(row, manual_lines.rated(terms, row)), created.created

    async def _checked(self, merchant_id: str, body: NewLineItem, key: str | None) -> datetime:
        """Refuses an item of another product; returns the subscription's time.

        What is repeated was judged already: its item may be archived since.
        """
        wanted = Wanted(body.subscription_id, body.invoice_id, None, frozenset())
        async with self.transactions.transaction() as session:
            owner = await _subscription(session, merchant_id, wanted)
            terms = await drafts.terms_of(session, owner)
            if key is None or await manual_lines.by_key(session, merchant_id, key) is None:
                await anchor(session, merchant_id, body.item_id, terms.plan.product_id)
            return await test_clocks.now_of(session, merchant_id, owner.test_clock_id, wall_now())


@router.post(
    "",
    operation_id="createLineItem",
    status_code=201,
    responses={200: {"model": LineItem, "description": "The key's first line"}},
)
async def create_line_item(
    body: NewLineItem, caller: Caller, door: Annotated[_Door, Depends(_Door)], response: Response
) -> LineItem:
    """Write a charge or credit for the next invoice, or for one that is still open."""
    if (body.subscription_id is None) == (body.invoice_id is None):
        raise InvalidValue("Name a subscription or an invoice, not both", field="subscriptionId")
    line, created = await door.write(caller.merchant_id, body)
    if not created:
        response.status_code = 200
    return line


async def _subscription(session: Session, merchant_id: str, wanted: Wanted) -> Subscription:
    """The one whose lines are listed; an invoice of another subscription is not found."""
    owner_id = wanted.subscription_id
    if wanted.invoice_id is not None:
        invoice = found(await invoices.get(session, merchant_id, wanted.invoice_id), "invoice")
        if owner_id not in (None, invoice.subscription_id):
            found(None, "invoice")
        owner_id = invoice.subscription_id
    return found(await subscriptions.get(session, merchant_id, owner_id or ""), "subscription")


async def _pending(
    session: Session, scope: LineScope, subscription: Subscription
) -> Sequence[Billed | Waiting]:
    """The lines of open invoices as they would be stored now, the newest invoice's first.

    Before them what is written for later invoices, unless one invoice is asked for.
    """
    terms = await drafts.terms_of(session, subscription)
    opened = await invoices.of_subscription(
        session, scope.merchant_id, subscription.id, *OPEN_STATUSES
    )
    lines: list[Billed] = []
    for invoice in reversed(opened):
        if scope.invoice_id in (None, invoice.id):
            draft = await open_drafts.calculated(session, terms, invoice)
            rows = [] if draft is None else drafts.line_rows(invoice, draft)
            lines += [Billed(line, invoice) for line in rows]
    if scope.invoice_id is not None:
        return lines
    return [*await _waiting(session, terms, {each.line.id for each in lines}), *lines]


async def _waiting(session: Session, terms: drafts.Terms, taken: Collection[str]) -> list[Waiting]:
    """What no open invoice takes; what became a credit of the customer waits no more."""
    owner = terms.subscription
    rows = await manual_lines.unbilled(session, owner.merchant_id, owner.id)
    ids = [row.id for row in rows]
    owed = {each.line_id for each in await credits_of.of_lines(session, owner.merchant_id, ids)}
    return [
        Waiting(row, manual_lines.rated(terms, row))
        for row in reversed(rows)
        if row.id not in taken and row.id not in owed
    ]


async def _answers(
    session: Session, shown: Sequence[Billed | Waiting], *, traced: bool
) -> list[LineItem]:
    billed = [each for each in shown if isinstance(each, Billed)]
    merchant_id = billed[0].invoice.merchant_id if billed else ""
    waiving = await _waiving(session, merchant_id, [each.line for each in billed])
    return [
        LineItem.of(each.line, each.invoice, waiving, traced=traced)
        if isinstance(each, Billed)
        else LineItem.written(each.row, each.line, traced=traced)
        for each in shown
    ]


async def _waiving(session: Session, merchant_id: str, lines: Sequence[InvoiceLine]) -> set[str]:
    """Which of the adjustments that reached these lines took units off them."""
    reaching = {found for line in lines for found in line.adjustment_ids}
    deal = await adjustments.named(session, merchant_id, reaching)
    return {key for key, each in deal.items() if each.kind == "usageDiscount"}


def _summary(
    currency: str, pending: Sequence[Billed | Waiting], stored_fees: Decimal
) -> LineItemsSummary:
    metered: list[Decimal] = []
    fees: list[Decimal] = []
    for each in pending:
        is_metered = isinstance(each, Billed) and each.line.kind in ("metric", "grant")
        (metered if is_metered else fees).append(each.line.total_price)
    with exact():
        return LineItemsSummary(
            fee_subtotal=amount_text(sum(fees, stored_fees), currency),
            metered_estimated_subtotal=amount_text(sum(metered, Decimal(0)), currency),
            currency=currency,
        )
