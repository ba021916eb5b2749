"""Manual line transactions; billing one is its invoice's business."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.errors import BillingError, Conflict, CurrencyMismatch, InvalidValue, NotFound
from billing.ids import request_digest
from billing.manual_lines import check_amount
from models.base import new_id
from models.database import Database
from models.manual_lines import ManualLine
from models.queries import invoices, manual_lines, subscriptions
from models.queries.terms import terms_of
from models.subscriptions import Subscription

OPEN = ("ACTIVE", "CLOSING")


class StandardBillingOnly(BillingError):
    """A subscription of the legacy generation takes no manual lines."""

    code = "STANDARD_BILLING_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateManualLine:
    """A charge or credit for a subscription's next invoice, or for one that is still open."""

    merchant_id: str
    subscription_id: str | None
    invoice_id: str | None
    display_name: str
    description: str | None
    currency: str
    quantity: Decimal
    unit_price: Decimal
    item_id: str | None
    invoice_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class CreatedManualLine:
    """The line, and whether this call made it."""

    line_id: str
    created: bool


class ManualLineActivities:
    """The only writer of manual lines until an invoice takes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_manual_line(
        self, command: CreateManualLine, now: datetime
    ) -> CreatedManualLine:
        """Writes it; not an activity: the API calls it. The same key again is the first line."""
        async with self._database.transaction() as session:
            first = await _first(session, command)
            if first is not None:
                return CreatedManualLine(first.id, created=False)
            subscription = await _subscription(session, command)
            await _check(session, command, subscription)
            row = _row(command, subscription, now)
            if await manual_lines.add(session, row):
                return CreatedManualLine(row.id, created=True)
            first = await _first(session, command)
            if first is None:
                raise Conflict("The idempotency key is being used by another request")
            return CreatedManualLine(first.id, created=False)


async def _first(session: AsyncSession, command: CreateManualLine) -> ManualLine | None:
    if command.idempotency_key is None:
        return None
    first = await manual_lines.by_key(session, command.merchant_id, command.idempotency_key)
    if first is not None and first.request_digest != request_digest(command):
        raise Conflict("The idempotency key was used for another line")
    return first


async def _subscription(session: AsyncSession, command: CreateManualLine) -> Subscription:
    """Whose line it is, locked: it does not end before the line stands."""
    owner_id = command.subscription_id or ""
    if command.invoice_id is not None:
        invoice = await invoices.get(session, command.merchant_id, command.invoice_id)
        if invoice is None:
            raise NotFound(f"No invoice {command.invoice_id}")
        owner_id = invoice.subscription_id
    found = await subscriptions.get(session, command.merchant_id, owner_id, lock=True)
    if found is None:
        raise NotFound(f"No subscription {owner_id}")
    return found


async def _check(
    session: AsyncSession, command: CreateManualLine, subscription: Subscription
) -> None:
    terms = await terms_of(session, subscription)
    if terms.plan.billing_version == 0:
        raise StandardBillingOnly("Manual lines are for standard billing")
    if command.currency != subscription.currency:
        raise CurrencyMismatch(f"The subscription is billed in {subscription.currency}")
    check_amount(command.quantity, command.unit_price)
    if command.invoice_id is None:
        if subscription.status == "terminated":
            raise Conflict("The subscription has ended: no invoice will come")
        return
    invoice = await invoices.get(session, command.merchant_id, command.invoice_id, lock=True)
    if invoice is None or invoice.status not in OPEN:
        raise Conflict("The invoice takes no more lines")


def _row(command: CreateManualLine, subscription: Subscription, now: datetime) -> ManualLine:
    invoice_at = command.invoice_at or now
    start = command.period_start or command.period_end or invoice_at
    end = command.period_end or start
    if end < start:
        raise InvalidValue("Must not lie before periodStart", field="periodEnd")
    return ManualLine(
        id=new_id("li"),
        merchant_id=command.merchant_id,
        customer_id=subscription.customer_id,
        subscription_id=subscription.id,
        invoice_id=command.invoice_id,
        display_name=command.display_name,
        description=command.description,
        currency=command.currency,
        quantity=command.quantity,
        unit_price=command.unit_price,
        item_id=command.item_id,
        invoice_at=invoice_at,
        period_start=start,
        period_end=end,
        idempotency_key=command.idempotency_key,
        request_digest=request_digest(command),
    )
