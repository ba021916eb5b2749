"""Disputes on the wire: a customer's objection to a usage event, and the merchant's answer."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.disputes import AnswerDispute, OpenDispute
from api.deps import Caller, Commands, Session, Transactions
from api.idempotency import KeptRoute
from api.pagination import Limits, Paging, paginate
from api.schema import Body, ConsumerId, Instant, MerchantId, Wire, found
from billing.errors import InvalidValue
from billing.money import amount_text
from models import disputes as tables
from models.customers import Consumer
from models.queries import disputes
from models.queries.disputes import DisputeFilter

router = APIRouter(prefix="/v0/disputes", tags=["Disputes"], route_class=KeptRoute)

DisputeId = Annotated[str, StringConstraints(pattern="^disp_[a-zA-Z0-9]{1,64}$")]
UsageEventId = Annotated[str, StringConstraints(pattern="^usg_[a-zA-Z0-9]{1,64}$")]
AnyCustomerId = Annotated[str, StringConstraints(pattern="^cust?_[a-zA-Z0-9]{1,64}$")]
"""Older texts call a customer cust_…; it is the same one."""
Message = Annotated[str, StringConstraints(min_length=10, max_length=1000)]
Answer = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class NewDispute(Body):
    """An objection to a usage event."""

    usage_event_id: UsageEventId
    message: Message


class DisputeAnswer(Body):
    """What the merchant has to say."""

    message: Answer | None = None


class DisputeCustomer(Wire):
    """Who objects."""

    id: str
    name: str
    email: str


class Dispute(Wire):
    """An objection and how it stands."""

    object: Literal["dispute"] = "dispute"
    id: str
    usage_event_id: str
    customer_id: str
    merchant_id: str
    customer_message: str
    merchant_message: str | None
    status: str
    disputed_amount: str
    resolved_at: Instant | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Dispute) -> Self:
        """The answer for a row."""
        return cls.from_row(
            row,
            usage_event_id=row.usage_charge_id,
            disputed_amount=amount_text(row.disputed_amount, row.currency),
        )


class ListedDispute(Dispute):
    """An objection in a list, with the customer."""

    customer: DisputeCustomer

    @classmethod
    def among(cls, row: tables.Dispute, consumer: Consumer) -> Self:
        """The answer for a row and the consumer behind its customer."""
        customer = DisputeCustomer(id=row.customer_id, name=consumer.name, email=consumer.email)
        return cls(**Dispute.of(row).model_dump(), customer=customer)


class DisputePagination(Wire):
    """What was asked for, how many there are, and whether more follow."""

    limit: int
    offset: int
    total: int
    has_more: bool


class DisputeList(Wire):
    """A page of disputes."""

    object: Literal["list"] = "list"
    data: list[ListedDispute]
    pagination: DisputePagination


async def dispute_filter(
    customer_id: Annotated[AnyCustomerId | None, Query(alias="customerId")] = None,
    consumer_id: Annotated[ConsumerId | None, Query(alias="consumerId")] = None,
    status: Literal["pending", "accepted", "declined"] | None = None,
) -> DisputeFilter:
    """What a list of disputes may be narrowed by."""
    own = None if customer_id is None else f"cus_{customer_id.partition('_')[2]}"
    return DisputeFilter(own, consumer_id, status)


Narrowed = Annotated[DisputeFilter, Depends(dispute_filter)]


@router.post("", operation_id="createDispute", status_code=201)
async def create_dispute(
    body: NewDispute, caller: Caller, commands: Commands, transactions: Transactions
) -> Dispute:
    """Dispute a usage event; an event is disputed once."""
    dispute_id = await commands.open_dispute(
        OpenDispute(
            merchant_id=caller.merchant_id,
            usage_charge_id=body.usage_event_id,
            message=body.message,
        )
    )
    async with transactions.transaction() as session:
        return await _one(session, caller.merchant_id, dispute_id)


@router.get("", operation_id="listDisputes")
async def list_disputes(
    caller: Caller,
    paging: Paging,
    session: Session,
    narrowed: Narrowed,
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
) -> DisputeList:
    """List the disputes of a merchant, customer or consumer, newest first."""
    if not any((merchant_id, narrowed.customer_id, narrowed.consumer_id)):
        raise InvalidValue("Name a merchant, customer or consumer", field="merchantId")
    own = caller.own(merchant_id)
    page = await paginate(session, disputes.newest_first(own, narrowed), paging)
    consumers = await disputes.consumers_of(session, own, [row.customer_id for row in page.rows])
    return DisputeList(
        data=[ListedDispute.among(row, consumers[row.customer_id]) for row in page.rows],
        pagination=_pagination(page.total, len(page.rows), paging),
    )


@router.post("/{id}/accept", operation_id="acceptDispute")
async def accept_dispute(
    id: DisputeId,
    body: DisputeAnswer,
    caller: Caller,
    commands: Commands,
    transactions: Transactions,
) -> Dispute:
    """Accept a dispute: its usage event is refunded."""
    command = AnswerDispute(
        merchant_id=caller.merchant_id, dispute_id=id, answer="accepted", message=body.message
    )
    await commands.answer_dispute(command)
    async with transactions.transaction() as session:
        return await _one(session, caller.merchant_id, id)


@router.post("/{id}/decline", operation_id="declineDispute")
async def decline_dispute(
    id: DisputeId,
    body: DisputeAnswer,
    caller: Caller,
    commands: Commands,
    transactions: Transactions,
) -> Dispute:
    """Decline a dispute: its usage event stays charged."""
    command = AnswerDispute(
        merchant_id=caller.merchant_id, dispute_id=id, answer="declined", message=body.message
    )
    await commands.answer_dispute(command)
    async with transactions.transaction() as session:
        return await _one(session, caller.merchant_id, id)


async def _one(session: AsyncSession, merchant_id: str, dispute_id: str) -> Dispute:
    return Dispute.of(found(await disputes.get(session, merchant_id, dispute_id), "dispute"))


def _pagination(total: int, shown: int, paging: Limits) -> DisputePagination:
    return DisputePagination(
        limit=paging.limit,
        offset=paging.offset,
        total=total,
        has_more=paging.offset + shown < total,
    )
