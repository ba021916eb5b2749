"""Usage events of version 0 on the wire: charged at once or accrued; amounts in nano-units."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field, StringConstraints, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.holds import ReservedItem
from activities.usage_charges import RecordUsage, RefundUsage
from api.deps import Caller, Commands, Session, Transactions
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Absent,
    BillableMetricId,
    Body,
    ConsumerId,
    CustomerId,
    Instant,
    MerchantId,
    Metadata,
    Reason,
    SubscriptionId,
    Wire,
    found,
)
from billing.errors import BillingError, InvalidValue
from billing.ids import derived_id
from billing.money import nano, text
from models import usage_charges as tables
from models.queries import usage_charges
from models.queries.usage_charges import UsageFilter

router = APIRouter(prefix="/v0/usage", tags=["Usage Events"], route_class=KeptRoute)

ITEMS_MAX = 100
BATCH_MAX = 1000
QUANTITY_MAX = 10**15
MESSAGE_LENGTH_MAX = 500

UsageEventId = Annotated[str, StringConstraints(pattern="^usg_[a-zA-Z0-9]{1,64}$")]
HoldId = Annotated[str, StringConstraints(pattern="^(ent|com)_[a-zA-Z0-9]{1,64}$")]
UnitPrice = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}(\.[0-9]{1,9})?$")]
Key = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,255}$")]


class NewUsageItem(Body):
    """A quantity of a metric; a dynamic price's use brings its own price."""

    billable_metric_id: BillableMetricId
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
    price: UnitPrice | None = None


class NewUsageEvent(Body):
    """A use to be charged; the same key again is the same event."""

    idempotency_key: Key
    customer_id: CustomerId
    merchant_id: MerchantId
    timestamp: Instant
    properties: Annotated[list[NewUsageItem], Field(min_length=1, max_length=ITEMS_MAX)]
    entitlement_id: HoldId | None = None
    metadata: Metadata | None = None


class UsageBatch(Body):
    """Events that are judged one by one: each is refused or charged alone."""

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=BATCH_MAX)]


class UsageRefund(Body):
    """Takes the event back, for good."""

    refunded: Literal[True]
    reason: Reason | None = None


class UsageItem(Wire):
    """A quantity of a metric."""

    billable_metric_id: str
    quantity: int
    price: Absent[str] = None


class UsageBilling(Wire):
    """What the event cost, in nano-units."""

    billing_event_id: str
    invoice_id: Absent[str] = None
    currency: str
    price: int
    total_tax: int
    total_amount: int


class UsageRefunded(Wire):
    """When and why it was taken back."""

    reason: Absent[str] = None
    refunded_at: Instant


class UsageEvent(Wire):
    """A charged use."""

    object: Literal["usageEvent"] = "usageEvent"
    id: str
    subscription_id: str
    customer_id: str
    consumer_id: str
    merchant_id: str
    entitlement_id: Absent[str] = None
    idempotency_key: str
    properties: list[UsageItem]
    metadata: dict[str, Any]
    billing: Absent[UsageBilling] = None
    refund: Absent[UsageRefunded] = None
    timestamp: Instant
    created_at: Instant

    @classmethod
    def of(cls, row: tables.UsageCharge, behind: "_Behind") -> Self:
        """The answer for a row and what it hangs on."""
        items = behind.items[row.id]
        refund = None
        if row.refunded_at is not None:
            refund = UsageRefunded(reason=row.refund_reason, refunded_at=row.refunded_at)
        return cls.from_row(
            row,
            consumer_id=behind.consumers[row.customer_id],
            entitlement_id=row.reservation_id,
            properties=[_item(item) for item in items],
            metadata=row.custom,
            billing=_billing(row, items, is_open=row.invoice_id in behind.open_invoices),
            refund=refund,
        )


@dataclass(frozen=True, slots=True)
class _Behind:
    """What a page of events hangs on."""

    items: Mapping[str, Sequence[tables.UsageChargeItem]]
    consumers: Mapping[str, str]
    open_invoices: Collection[str]


class FailedUsageEvent(Wire):
    """An event of a batch that was refused, and why."""

    index: int
    error: str
    idempotency_key: str


class BatchSummary(Wire):
    """How many of a batch were charged and refused."""

    total: int
    successful: int
    failed: int


class UsageBatchAnswer(Wire):
    """What became of a batch."""

    object: Literal["batchUsageEvents"] = "batchUsageEvents"
    successful: list[UsageEvent]
    failed: list[FailedUsageEvent]
    summary: BatchSummary


def _item(row: tables.UsageChargeItem) -> UsageItem:
    return UsageItem(
        billable_metric_id=row.billable_metric_id,
        quantity=int(row.quantity),
        price=None if row.unit_price is None else text(row.unit_price),
    )


def _billing(
    row: tables.UsageCharge, items: Sequence[tables.UsageChargeItem], *, is_open: bool
) -> UsageBilling | None:
    """What it cost; nothing yet while a part of it accrues on an open invoice."""
    if is_open:
        return None
    accrued = [item for item in items if item.is_accrued]
    price = row.paid_price + sum((item.price for item in accrued), Decimal(0))
    tax = row.paid_tax + sum((item.tax for item in accrued), Decimal(0))
    return UsageBilling(
        billing_event_id=derived_id("bev", row.id),
        invoice_id=row.invoice_id,
        currency=row.currency,
        price=nano(price),
        total_tax=nano(tax),
        total_amount=nano(price + tax),
    )


async def _answers(
    session: AsyncSession, merchant_id: str, rows: Sequence[tables.UsageCharge]
) -> list[UsageEvent]:
    """The answers for these rows, in three statements however many they are."""
    bound = {row.invoice_id for row in rows if row.invoice_id is not None}
    behind = _Behind(
        await usage_charges.items_of(session, merchant_id, [row.id for row in rows]),
        await usage_charges.consumers(session, merchant_id, {row.customer_id for row in rows}),
        await usage_charges.still_open(session, merchant_id, bound),
    )
    return [UsageEvent.of(row, behind) for row in rows]


def _command(body: NewUsageEvent, merchant_id: str) -> RecordUsage:
    hold = body.entitlement_id
    return RecordUsage(
        merchant_id=merchant_id,
        customer_id=body.customer_id,
        idempotency_key=body.idempotency_key,
        timestamp=body.timestamp,
        items=[
            ReservedItem(
                billable_metric_id=item.billable_metric_id,
                quantity=Decimal(item.quantity),
                price=None if item.price is None else Decimal(item.price),
            )
            for item in body.properties
        ],
        # Older texts call a hold com_…; it is the same one.
        reservation_id=None if hold is None else f"ent_{hold.partition('_')[2]}",
        custom=body.metadata or {},
    )


@router.post("", operation_id="createUsageEvent", status_code=201)
async def create_usage_event(
    body: NewUsageEvent, caller: Caller, commands: Commands, transactions: Transactions
) -> UsageEvent:
    """Charge a use: from a hold or the wallet at once, or on the open invoice."""
    merchant_id = caller.own(body.merchant_id)
    charge_id = await commands.record_usage(_command(body, merchant_id))
    async with transactions.transaction() as session:
        row = found(await usage_charges.get(session, merchant_id, charge_id), "usage event")
        return (await _answers(session, merchant_id, [row]))[0]


@router.post(
    "/batch",
    operation_id="batchCreateUsageEvents",
    status_code=201,
    responses={207: {"model": UsageBatchAnswer, "description": "Some were refused"}},
)
async def batch_create_usage_events(
    body: UsageBatch,
    response: Response,
    caller: Caller,
    commands: Commands,
    transactions: Transactions,
) -> UsageBatchAnswer:
    """Charge up to 1000 uses, each alone and in their order."""
    charged: list[str] = []
    failed: list[FailedUsageEvent] = []
    for index, member in enumerate(body.events):
        try:
            event = NewUsageEvent.model_validate(member)
            merchant_id = caller.own(event.merchant_id)
            charged.append(await commands.record_usage(_command(event, merchant_id)))
        except (BillingError, ValidationError) as error:
            failed.append(_failed(index, member, error))
    if failed:
        response.status_code = 207
    async with transactions.transaction() as session:
        rows = await usage_charges.among(session, caller.merchant_id, charged)
        answers = await _answers(session, caller.merchant_id, [rows[each] for each in charged])
    return UsageBatchAnswer(
        successful=answers,
        failed=failed,
        summary=BatchSummary(total=len(body.events), successful=len(answers), failed=len(failed)),
    )


def _failed(
    index: int, member: dict[str, Any], error: BillingError | ValidationError
) -> FailedUsageEvent:
    key = member.get("idempotencyKey")
    if isinstance(error, BillingError):
        message = error.message
    else:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        message = f"{path}: {first['msg']}"
    return FailedUsageEvent(
        index=index,
        error=message[:MESSAGE_LENGTH_MAX],
        idempotency_key=key[:255] if isinstance(key, str) else "",
    )


async def usage_filter(
    start_time: Annotated[Instant, Query(alias="startTime")],
    end_time: Annotated[Instant, Query(alias="endTime")],
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
    consumer_id: Annotated[ConsumerId | None, Query(alias="consumerId")] = None,
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
) -> UsageFilter:
    """The window of a list, and whose events it shows."""
    if end_time <= start_time:
        raise InvalidValue("Must lie after startTime", field="endTime")
    return UsageFilter(start_time, end_time, customer_id, consumer_id, subscription_id)


Narrowed = Annotated[UsageFilter, Depends(usage_filter)]


@router.get("", operation_id="listUsageEvents")
async def list_usage_events(
    caller: Caller,
    paging: Paging,
    session: Session,
    narrowed: Narrowed,
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
) -> Listing[UsageEvent]:
    """List a window's events, newest first: a merchant's, customer's or subscription's."""
    whose = (merchant_id, narrowed.subscription_id, narrowed.customer_id, narrowed.consumer_id)
    if not any(whose):
        message = "Name a merchant, customer, consumer or subscription"
        raise InvalidValue(message, field="merchantId")
    own = caller.own(merchant_id)
    page = await paginate(session, usage_charges.newest_first(own, narrowed), paging)
    return listing(await _answers(session, own, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getUsageEvent")
async def get_usage_event(id: UsageEventId, caller: Caller, session: Session) -> UsageEvent:
    """Get an event with what it cost."""
    row = found(await usage_charges.get(session, caller.merchant_id, id), "usage event")
    return (await _answers(session, caller.merchant_id, [row]))[0]


@router.patch("/{id}", operation_id="refundUsageEvent")
async def refund_usage_event(
    id: UsageEventId,
    body: UsageRefund,
    caller: Caller,
    commands: Commands,
    transactions: Transactions,
) -> UsageEvent:
    """Refund an event; a second time it is refused."""
    await commands.refund_usage(
        RefundUsage(merchant_id=caller.merchant_id, charge_id=id, reason=body.reason)
    )
    async with transactions.transaction() as session:
        row = found(await usage_charges.get(session, caller.merchant_id, id), "usage event")
        return (await _answers(session, caller.merchant_id, [row]))[0]
