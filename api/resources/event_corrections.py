"""Corrections of metered usage: events are voided; what closed periods owe for it is listed."""

from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import StringConstraints

from api.deps import Caller, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Pagination
from api.schema import Body, Instant, Reason, SubscriptionId, Wire, found
from billing.money import text
from billing.rating import RatedLine
from models import usage_voids as tables
from models.base import wall_now
from models.queries import invoices, subscriptions, usage_voids
from models.queries.late_usage import OPEN, late_usage
from models.queries.terms import terms_of

router = APIRouter(prefix="/v0", tags=["Events"], route_class=KeptRoute)

EventId = Annotated[str, StringConstraints(pattern="^evt_[a-f0-9]{32}$")]


class NewVoid(Body):
    """Why an event shall not count."""

    reason: Reason


class VoidedEvent(Wire):
    """An event that counts no more; it stays stored."""

    object: Literal["voidedEvent"] = "voidedEvent"
    event_id: str
    type: str
    timestamp: Instant
    reason: str
    voided_by: str
    voided_at: Instant

    @classmethod
    def of(cls, row: tables.UsageVoid) -> Self:
        """The answer for a row."""
        return cls.from_row(row, event_id=f"evt_{row.event_id.hex}", voided_at=row.created_at)


class LateUsageLine(Wire):
    """What a closed period owes beside what was billed for it; negative is given back."""

    price_id: str
    billable_metric_id: str
    period_start: Instant
    period_end: Instant
    quantity: str
    total_price: str
    total_tax: str
    total_amount: str
    invoice_id: str | None
    """The open invoice that will bill it; null: none follows, it is billed by nobody."""

    @classmethod
    def of(cls, line: RatedLine, invoice_id: str | None) -> Self:
        """The answer for a rated line."""
        return cls(
            price_id=line.price.price_id,
            billable_metric_id=line.price.source_id,
            period_start=line.window.start,
            period_end=line.window.end,
            quantity=text(line.quantity),
            total_price=text(line.total_price),
            total_tax=text(line.total_tax),
            total_amount=text(line.total_amount),
            invoice_id=invoice_id,
        )


@router.post("/events/{id}/void", operation_id="voidEvent")
async def void_event(id: EventId, body: NewVoid, caller: Caller, session: Session) -> VoidedEvent:
    """Void an event: no reading counts it from now on. Again, it is void as it was before."""
    key = UUID(id.removeprefix("evt_"))
    event = found(await usage_voids.event(session, caller.merchant_id, key), "event")
    row = tables.UsageVoid(
        event_id=key,
        merchant_id=caller.merchant_id,
        type=event.type,
        timestamp=event.timestamp,
        reason=body.reason,
        voided_by=caller.user_id,
        created_at=wall_now(),
    )
    if await usage_voids.add(session, row):
        return VoidedEvent.of(row)
    return VoidedEvent.of(found(await usage_voids.get(session, caller.merchant_id, key), "event"))


@router.get("/subscriptions/{id}/lateUsage", operation_id="listLateUsage")
async def list_late_usage(
    id: Annotated[SubscriptionId, Path()], caller: Caller, session: Session
) -> Listing[LateUsageLine]:
    """List what closed periods owe that no invoice has billed yet."""
    merchant_id = caller.merchant_id
    row = found(await subscriptions.get(session, merchant_id, id), "subscription")
    opened = await invoices.of_subscription(session, merchant_id, row.id, *OPEN)
    oldest = opened[0] if opened else None
    late = await late_usage(session, await terms_of(session, row), oldest)
    lines = [LateUsageLine.of(line, oldest.id if oldest else None) for line in late.lines]
    total = len(lines)
    return Listing(data=lines, pagination=Pagination(limit=total, offset=0, total=total))
