"""Invoices on the wire (version 2): stored ones as stored, open ones as they stand at each read."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints

from api.deps import Caller, OwnMerchant
from api.idempotency import KeptRoute
from api.invoice_answers import Invoice, InvoiceLines, Reader
from api.line_pages import LIMIT_DEFAULT, LIMIT_MAX, LinesInput, read_expand, read_token
from api.pagination import Limits, Listing, listing, paginate, paging
from api.schema import (
    CustomerId,
    InvoiceId,
    Label,
    SubscriptionId,
    found,
)
from billing.errors import NotAllowed
from models.queries import invoices
from models.queries.invoices import InvoiceFilter

router = APIRouter(prefix="/v2/invoices", tags=["Invoices V2"], route_class=KeptRoute)

OFFSET_MAX = 10_000

Status = Literal[
    "ACTIVE",
    "CLOSING",
    "CLOSED",
    "CALCULATING",
    "DRAFT",
    "ISSUED",
    "PAYMENT_FAILED",
    "PAID",
    "CANCELLED",
    "WRITTEN_OFF",
    "FAILED",
]
InvoicePaging = Annotated[Limits, Depends(paging(offset_maximum=OFFSET_MAX))]


class PlatformOnly(NotAllowed):
    """What only the platform's own role may ask for."""

    reason = "no_permission"


Provider = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
Expand = Annotated[Label | None, Query()]
Token = Annotated[str, StringConstraints(max_length=64)]


async def expanded_lines(
    expand: Expand = None,
    limit: Annotated[int, Query(alias="lineItemsLimit", ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    token: Annotated[Token | None, Query(alias="lineItemsPageToken")] = None,
    provider: Provider | None = None,
) -> LinesInput:
    """Which lines an invoice brings along, and whose codes of their items."""
    return LinesInput(limit, read_token(token, "lineItemsPageToken"), read_expand(expand), provider)


async def wanted_lines(
    expand: Expand = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    token: Annotated[Token | None, Query(alias="pageToken")] = None,
    provider: Provider | None = None,
) -> LinesInput:
    """Which of an invoice's lines are listed, and whose codes of their items."""
    return LinesInput(limit, read_token(token, "pageToken"), read_expand(expand), provider)


Expanded = Annotated[LinesInput, Depends(expanded_lines)]
Wanted = Annotated[LinesInput, Depends(wanted_lines)]


async def invoice_filter(
    status: Status | None = None,
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
    next_action_at: Annotated[Literal["ready"] | None, Query(alias="nextActionAt")] = None,
) -> InvoiceFilter:
    """What a list of invoices may be narrowed by."""
    if next_action_at is not None:
        raise PlatformOnly("Only the platform may list what is ready to be worked on")
    return InvoiceFilter(status=status, subscription_id=subscription_id, customer_id=customer_id)


@router.get("", operation_id="listInvoices")
async def list_invoices(
    merchant_id: OwnMerchant,
    paging: InvoicePaging,
    narrowed: Annotated[InvoiceFilter, Depends(invoice_filter)],
    reader: Reader,
) -> Listing[Invoice]:
    """List invoices, newest first; open ones with what they amount to now."""
    statement = invoices.newest_first(merchant_id, narrowed)
    page = await paginate(reader.session, statement, paging)
    return listing(await reader.answers(merchant_id, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getInvoice")
async def get_invoice(
    id: InvoiceId,
    caller: Caller,
    reader: Reader,
    expanded: Expanded,
) -> Invoice:
    """Get an invoice; `expand=lineItems` brings its lines along."""
    row = found(await invoices.get(reader.session, caller.merchant_id, id), "invoice")
    return await reader.one(row, expanded)


@router.get("/{id}/lineItems", operation_id="getInvoiceLineItems")
async def get_invoice_line_items(
    id: InvoiceId, caller: Caller, reader: Reader, wanted: Wanted
) -> InvoiceLines:
    """List an invoice's lines, in the invoice's order."""
    row = found(await invoices.get(reader.session, caller.merchant_id, id), "invoice")
    return await reader.shown(row, await reader.lines(row), wanted)
