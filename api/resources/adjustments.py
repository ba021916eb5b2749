"""Adjustments on the wire: a deal's terms are written, listed and taken back, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field, WithJsonSchema
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.adjustments import CreateAdjustment, DeleteAdjustment
from api.deps import Caller, Commands, Session, Transactions
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    AdjustmentId,
    Body,
    Description,
    Instant,
    Key,
    Plain,
    PriceId,
    SubscriptionId,
    Wire,
    found,
)
from billing.adjustments import Kind
from billing.money import text
from models import adjustments as tables
from models.queries import adjustments, plans, subscriptions

router = APIRouter(
    prefix="/v0/subscriptions/{id}/adjustments", tags=["Subscriptions"], route_class=KeptRoute
)

Share = Annotated[
    Plain,
    Field(gt=0, le=1),
    WithJsonSchema({"type": "string", "pattern": r"^(0\.[0-9]{1,6}|1(\.0{1,6})?)$"}),
]
OneTarget = Annotated[list[PriceId], Field(min_length=1, max_length=1)]


class _NewAdjustment(Body):
    """What every adjustment says."""

    effective_from: Instant
    effective_to: Instant | None = None
    description: Description | None = None
    idempotency_key: Key | None = None

    def command(self, merchant_id: str, subscription_id: str) -> CreateAdjustment:
        """The same for the transaction."""
        members = dict(self)
        kind: Kind = members["type"]
        return CreateAdjustment(
            merchant_id=merchant_id,
            subscription_id=subscription_id,
            kind=kind,
            value=members[_VALUES[kind]],
            target_price_ids=tuple(members.get("target_price_ids", ())),
            effective_from=self.effective_from,
            effective_to=self.effective_to,
            description=self.description,
            idempotency_key=self.idempotency_key,
        )


class NewPercentageDiscount(_NewAdjustment):
    """A rate off every charge, as a fraction: "0.35" is 35 percent."""

    type: Literal["percentageDiscount"]
    percentage_discount: Share


class NewUsageDiscount(_NewAdjustment):
    """Units off a metered price's quantity, before it is priced."""

    type: Literal["usageDiscount"]
    usage_discount: Annotated[Plain, Field(gt=0)]
    target_price_ids: OneTarget


class NewMinimumQuantity(_NewAdjustment):
    """At least this quantity is billed for a period."""

    type: Literal["minimumQuantity"]
    minimum_quantity: Plain
    target_price_ids: OneTarget


class NewMaximumQuantity(_NewAdjustment):
    """At most this quantity is billed for a period."""

    type: Literal["maximumQuantity"]
    maximum_quantity: Plain
    target_price_ids: OneTarget


NewAdjustment = Annotated[
    NewPercentageDiscount | NewUsageDiscount | NewMinimumQuantity | NewMaximumQuantity,
    Field(discriminator="type"),
]
_VALUES: Mapping[Kind, str] = {
    "percentageDiscount": "percentage_discount",
    "usageDiscount": "usage_discount",
    "minimumQuantity": "minimum_quantity",
    "maximumQuantity": "maximum_quantity",
}


class SubscriptionAdjustment(Wire):
    """A term of the deal."""

    object: Literal["subscriptionAdjustment"] = "subscriptionAdjustment"
    id: str
    subscription_id: str
    type: str
    percentage_discount: str | None = None
    usage_discount: str | None = None
    minimum_quantity: str | None = None
    maximum_quantity: str | None = None
    target_price_ids: list[str]
    effective_from: Instant
    effective_to: Instant | None
    description: str | None
    created_at: Instant

    @classmethod
    def of(cls, row: tables.Adjustment, prices_by_key: Mapping[str, str]) -> Self:
        """The answer for a row; its target may be billed under another price by now."""
        now = prices_by_key.get(row.target_key or "")
        moved = [now] if now is not None and now not in row.target_price_ids else []
        member = {str(kind): name for kind, name in _VALUES.items()}
        return cls.from_row(
            row,
            type=row.kind,
            target_price_ids=[*row.target_price_ids, *moved],
            **{member[row.kind]: text(row.value)},
        )


async def _answers(
    session: AsyncSession, merchant_id: str, subscription_id: str, rows: Sequence[tables.Adjustment]
) -> list[SubscriptionAdjustment]:
    owner = found(await subscriptions.get(session, merchant_id, subscription_id), "subscription")
    lines = await plans.lines(session, merchant_id, [owner.plan_version_id])
    prices_by_key = {line.key: price.id for line, price in lines[owner.plan_version_id]}
    return [SubscriptionAdjustment.of(row, prices_by_key) for row in rows]


@dataclass(frozen=True, slots=True)
class _Door:
    """Writes adjustments, and reads them in transactions of its own."""

    transactions: Transactions
    commands: Commands

    async def create(
        self, merchant_id: str, subscription_id: str, body: NewAdjustment
    ) -> tuple[SubscriptionAdjustment, bool]:
        """The adjustment, and whether this call made it."""
        command = body.command(merchant_id, subscription_id)
        created = await self.commands.create_adjustment(command)
        return await self.one(merchant_id, subscription_id, created.adjustment_id), created.created

    async def one(
        self, merchant_id: str, subscription_id: str, adjustment_id: str
    ) -> SubscriptionAdjustment:
        """The adjustment as it stands, deleted or not."""
        async with self.transactions.transaction() as session:
            row = await adjustments.any_state(session, merchant_id, adjustment_id)
            shown = [found(row, "adjustment")]
            return (await _answers(session, merchant_id, subscription_id, shown))[0]


Door = Annotated[_Door, Depends(_Door)]


@router.post(
    "",
    operation_id="createSubscriptionAdjustment",
    status_code=201,
    responses={200: {"model": SubscriptionAdjustment, "description": "The key's first one"}},
)
async def create_subscription_adjustment(
    id: SubscriptionId, body: NewAdjustment, caller: Caller, door: Door, response: Response
) -> SubscriptionAdjustment:
    """Write a term of a deal; it reaches the invoices that are drafted after it."""
    adjustment, created = await door.create(caller.merchant_id, id, body)
    if not created:
        response.status_code = 200
    return adjustment


@router.get("", operation_id="listSubscriptionAdjustments")
async def list_subscription_adjustments(
    id: SubscriptionId, caller: Caller, paging: Paging, session: Session
) -> Listing[SubscriptionAdjustment]:
    """List a subscription's adjustments, the oldest window first."""
    statement = adjustments.oldest_window_first(caller.merchant_id, id)
    page = await paginate(session, statement, paging)
    return listing(await _answers(session, caller.merchant_id, id, page.rows), page.total, paging)


@router.delete(
    "/{adjustmentId}",
    operation_id="deleteSubscriptionAdjustment",
    response_model=SubscriptionAdjustment,
    responses={204: {"description": "It was never billed, and is gone"}},
)
async def delete_subscription_adjustment(
    id: SubscriptionId,
    adjustment_id: Annotated[AdjustmentId, Path(alias="adjustmentId")],
    caller: Caller,
    door: Door,
) -> SubscriptionAdjustment | Response:
    """Take an adjustment back: gone if never billed, else ended with the last billed period."""
    command = DeleteAdjustment(caller.merchant_id, id, adjustment_id)
    if await door.commands.delete_adjustment(command):
        return Response(status_code=204)
    return await door.one(caller.merchant_id, id, adjustment_id)
