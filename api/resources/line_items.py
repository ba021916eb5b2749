"""Line items across a subscription: stored ones as billed, pending ones as they stand now."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import Field, StringConstraints

from activities.manual_lines import CreateManualLine
from api.deps import Caller, Commands, Session, Transactions, anchor
from api.idempotency import KeptRoute
from api.line_pages import LIMIT_DEFAULT, LIMIT_MAX, read_expand
from api.pagination import Limits, paging
from api.schema import (
    Absent,
    Body,
    Currency,
    Instant,
    InvoiceId,
    ItemId,
    Label,
    Name,
    Rate,
    SubscriptionId,
    Wire,
    found,
)
from billing.errors import InvalidValue
from billing.money import amount_text, exact, text
from billing.rating import RatedLine
from models.base import wall_now
from models.invoices import Invoice, InvoiceLine
from models.manual_lines import ManualLine
from models.queries import (
    adjustments,
    drafts,
    invoices,
    manual_lines,
    subscriptions,
    test_clocks,
)
from models.queries.invoices import NO_LINES, OPEN_STATUSES, LineScope
from models.subscriptions import Subscription

router = APIRouter(prefix="/v2/invoices/lineItems", tags=["Invoices V2"], route_class=KeptRoute)

OFFSET_MAX = 10_000

Status = Literal["pending", "invoiced"]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255)]
LinePaging = Annotated[
    Limits, Depends(paging(default=LIMIT_DEFAULT, maximum=LIMIT_MAX, offset_maximum=OFFSET_MAX))
]


class LineItem(Wire):
    """A charge, billed or pending; a pending metered one carries estimates."""

    id: str
    subscription_id: str
    customer_id: str
    invoice_id: str | None
    type: Literal["fee", "metered", "manual", "adjustment"]
    status: Status
    display_name: str
    description: str | None
    currency: str
    period_start: Instant
    period_end: Instant
    invoice_at: Instant
    price_id: str | None
    item_id: str | None
    payment_term: str | None
    unit_price: str
    quantity: str | None
    metered_quantity: str | None
    subtotal: str
    taxes_total: str | None
    total: str
    estimated_metered_quantity: str | None
    estimated_subtotal: str | None
    calculated_at: Instant | None
    usage_discount_ids: list[str]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, line: InvoiceLine, invoice: Invoice, waiving: Collection[str]) -> Self:
        """The answer for a line, stored or not; `waiving` are the usage discounts among deals."""
        is_metered = line.kind == "metric"
        is_pending = invoice.status in OPEN_STATUSES
        is_estimate = is_metered and is_pending
        nothing = amount_text(Decimal(0), invoice.currency)
        metered = Decimal((line.origin or {}).get("measured", line.quantity))
        return cls.from_row(
            line,
            subscription_id=invoice.subscription_id,
            customer_id=invoice.customer_id,
            invoice_id=None if is_pending else invoice.id,
            type=_type(line.kind),
            status="pending" if is_pending else "invoiced",
            description=line.source_description or None,
            currency=invoice.currency,
            invoice_at=invoice.issued_at or invoice.ended_to or invoice.period_start,
            unit_price=text(line.unit_price),
            quantity=None if is_estimate else text(line.quantity),
            metered_quantity=None if is_estimate or not is_metered else text(metered),
            subtotal=nothing if is_estimate else text(line.total_price),
            taxes_total=None if is_estimate else text(line.total_tax),
            total=nothing if is_estimate else text(line.total_amount),
            estimated_metered_quantity=text(metered) if is_estimate else None,
            estimated_subtotal=text(line.total_price) if is_pending else None,
            calculated_at=None if is_pending else invoice.issued_at,
            payment_term=None if line.kind == "adjustment" else line.payment_term,
            usage_discount_ids=[found for found in line.adjustment_ids if found in waiving],
            created_at=invoice.created_at,
            updated_at=invoice.updated_at,
        )


def _type(kind: str) -> Literal["fee", "metered", "manual", "adjustment"]:
    if kind == "metric":
        return "metered"
    if kind == "manual":
        return "manual"
    return "adjustment" if kind == "adjustment" else "fee"


def _written(row: ManualLine, line: RatedLine) -> LineItem:
    """A manual line as it was written; its invoice shows what became of it."""
    return LineItem.from_row(
        row,
        invoice_id=row.billed_on,
        type="manual",
        status="pending" if row.billed_on is None else "invoiced",
        price_id=None,
        payment_term="in_arrears",
        unit_price=text(row.unit_price),
        quantity=text(row.quantity),
        metered_quantity=None,
        subtotal=text(line.total_price),
        taxes_total=text(line.total_tax),
        total=text(line.total_amount),
        estimated_metered_quantity=None,
        estimated_subtotal=None,
        calculated_at=None,
        usage_discount_ids=[],
    )


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
    items: Absent[list[Any]] = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose line items are listed, and which of them."""

    subscription_id: str | None
    invoice_id: str | None
    status: Status | None
    expand: frozenset[str]


async def wanted_items(
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
    invoice_id: Annotated[InvoiceId | None, Query(alias="invoiceId")] = None,
    status: Status | None = None,
    expand: Label | None = None,
    provider: Annotated[
        str | None, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=64)
    ] = None,
) -> Wanted:
    """What the list is narrowed to; no provider has references yet that it could narrow."""
    del provider
    if subscription_id is None and invoice_id is None:
        raise InvalidValue("Name a subscription or an invoice", field="subscriptionId")
    if invoice_id is not None and status is not None:
        raise InvalidValue("Not together with invoiceId", field="status")
    return Wanted(subscription_id, invoice_id, status, read_expand(expand))


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
    shown = [*pending[paging.offset :], *stored.page][: paging.limit]
    waiving = await _waiving(session, caller.merchant_id, [line for line, _ in shown])
    return LineItems(
        data=[LineItem.of(line, invoice, waiving) for line, invoice in shown],
        total_count=len(pending) + stored.count,
        summary=_summary(subscription.currency, pending, stored.fee_subtotal),
        items=[] if "items" in wanted.expand else None,
    )


@dataclass(frozen=True, slots=True)
class _Door:
    """Writes lines, and reads in transactions of its own."""

    transactions: Transactions
    commands: Commands
    header: Annotated[Key | None, Header(alias="Idempotency-Key")] = None

    async def write(self, merchant_id: str, body: NewLineItem) -> tuple[LineItem, bool]:
        """The line, and whether this call made it."""
        now = await self._checked(merchant_id, body)
        members = body.model_dump() | {"idempotency_key": self.header or body.idempotency_key}
        command = CreateManualLine(merchant_id=merchant_id, **members)
        created = await self.commands.create_manual_line(command, now)
        async with self.transactions.transaction() as session:
            row = found(await manual_lines.get(session, merchant_id, created.line_id), "line")
            owner = found(
                await subscriptions.get(session, merchant_id, row.subscription_id), "subscription"
            )
            terms = await drafts.terms_of(session, owner)
            return _written(row, manual_lines.rated(terms, row)), created.created

    async def _checked(self, merchant_id: str, body: NewLineItem) -> datetime:
        """Refuses an item of another product; returns the subscription's time."""
        wanted = Wanted(body.subscription_id, body.invoice_id, None, frozenset())
        async with self.transactions.transaction() as session:
            owner = await _subscription(session, merchant_id, wanted)
            terms = await drafts.terms_of(session, owner)
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
) -> list[tuple[InvoiceLine, Invoice]]:
    """The lines of open invoices as they would be stored now, the newest invoice's first."""
    terms = await drafts.terms_of(session, subscription)
    rows = await invoices.of_subscription(
        session, scope.merchant_id, subscription.id, *OPEN_STATUSES
    )
    lines: list[tuple[InvoiceLine, Invoice]] = []
    for invoice in reversed(rows):
        if scope.invoice_id in (None, invoice.id):
            draft = await drafts.of_invoice(session, terms, invoice)
            lines.extend((line, invoice) for line in drafts.line_rows(invoice, draft))
    return lines


async def _waiving(session: Session, merchant_id: str, lines: Sequence[InvoiceLine]) -> set[str]:
    """Which of the adjustments that reached these lines took units off them."""
    reaching = {found for line in lines for found in line.adjustment_ids}
    deal = await adjustments.named(session, merchant_id, reaching)
    return {key for key, each in deal.items() if each.kind == "usageDiscount"}


def _summary(
    currency: str, pending: Sequence[tuple[InvoiceLine, Invoice]], stored_fees: Decimal
) -> LineItemsSummary:
    metered = [line.total_price for line, _ in pending if line.kind == "metric"]
    fees = [line.total_price for line, _ in pending if line.kind != "metric"]
    with exact():
        return LineItemsSummary(
            fee_subtotal=amount_text(sum(fees, stored_fees), currency),
            metered_estimated_subtotal=amount_text(sum(metered, Decimal(0)), currency),
            currency=currency,
        )
