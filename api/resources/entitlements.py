"""Reservations of funds on the wire (entitlements of version 0); amounts are in nano-units."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.holds import ReservedItem
from activities.reservations import Reserve
from api.deps import Caller, Commands, Now, Session, Transactions
from api.idempotency import KeptRoute
from api.pagination import Listing, Pagination
from api.schema import (
    BillableMetricId,
    Body,
    CustomerId,
    Instant,
    MerchantId,
    ProductId,
    Rate,
    SubscriptionId,
    Wire,
    found,
)
from billing.money import nano
from models import reservations as tables
from models.queries import ledger, reservations
from models.queries.reservations import Usable

router = APIRouter(prefix="/v0/entitlements", tags=["Entitlements"], route_class=KeptRoute)

ITEMS_MAX = 100


class EntitlementItem(Body):
    """A quantity of a metric to hold funds for; a dynamic price brings its own."""

    billable_metric_id: BillableMetricId
    quantity: Annotated[Rate, Field(ge=0)]
    price: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}(\.[0-9]{1,9})?$")] | None = None


class NewEntitlement(Body):
    """Funds to hold on a customer's wallet."""

    merchant_id: MerchantId
    customer_id: CustomerId
    entitlement_data: Annotated[list[EntitlementItem], Field(min_length=1, max_length=ITEMS_MAX)]
    max_uses: Annotated[int, Field(ge=1, le=1000)] = 1


class EntitledMetric(Wire):
    """What funds are held for."""

    billable_metric_id: str
    quantity: Rate
    price: str | None = None


class Entitlement(Wire):
    """A hold."""

    object: Literal["entitlement"] = "entitlement"
    id: str
    merchant_id: str
    customer_id: str
    billable_metrics: list[EntitledMetric]
    max_uses: int
    used_count: int
    remaining_balance: str
    """What the wallet has left beside the hold."""
    region: Literal["global"] = "global"
    expires_at: Instant
    created_at: Instant

    @classmethod
    def of(cls, row: tables.Reservation, available: Decimal) -> Self:
        """The answer for a row and what the wallet has left."""
        return cls.from_row(
            row,
            billable_metrics=[_metric(item) for item in row.items],
            remaining_balance=str(nano(available)),
        )


class ActiveEntitlement(Wire):
    """A hold that can be used now."""

    object: Literal["entitlement"] = "entitlement"
    id: str
    customer_id: str
    subscription_id: str
    plan_id: str
    product_id: str
    billable_metrics: list[str]
    verified_at: Instant

    @classmethod
    def of(cls, usable: Usable) -> Self:
        """The answer for a hold and what it belongs to."""
        return cls.from_row(
            usable.reservation,
            plan_id=usable.plan.id,
            product_id=usable.plan.product_id,
            billable_metrics=[item["billableMetricId"] for item in usable.reservation.items],
            verified_at=usable.now,
        )


async def entitlement_filter(
    product_id: Annotated[ProductId | None, Query(alias="productId")] = None,
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
) -> tuple[str | None, str | None]:
    """What a list of holds may be narrowed by: its product, its subscription."""
    return product_id, subscription_id


Narrowed = Annotated[tuple[str | None, str | None], Depends(entitlement_filter)]


@router.post("", operation_id="createEntitlement", status_code=201)
async def create_entitlement(
    body: NewEntitlement, caller: Caller, commands: Commands, transactions: Transactions
) -> Entitlement:
    """Hold what the quantities cost on the customer's wallet."""
    merchant_id = caller.own(body.merchant_id)
    reservation_id = await commands.reserve(
        Reserve(
            merchant_id=merchant_id,
            customer_id=body.customer_id,
            items=[_item(item) for item in body.entitlement_data],
            max_uses=body.max_uses,
        )
    )
    async with transactions.transaction() as session:
        return await _one(session, merchant_id, reservation_id)


@router.get("/activeEntitlements", operation_id="getActiveEntitlements")
async def get_active_entitlements(
    customer_id: Annotated[CustomerId, Query(alias="customerId")],
    caller: Caller,
    now: Now,
    session: Session,
    narrowed: Narrowed,
) -> Listing[ActiveEntitlement]:
    """List a customer's holds that can be used now, newest first; always all of them."""
    product_id, subscription_id = narrowed
    usable = await reservations.usable(session, caller.merchant_id, customer_id, now)
    answers = [
        ActiveEntitlement.of(each)
        for each in usable
        if product_id in (None, each.plan.product_id)
        and subscription_id in (None, each.reservation.subscription_id)
    ]
    total = len(answers)
    return Listing(data=answers, pagination=Pagination(limit=total, offset=0, total=total))


async def _one(session: AsyncSession, merchant_id: str, reservation_id: str) -> Entitlement:
    row = found(await reservations.get(session, merchant_id, reservation_id), "entitlement")
    available = await ledger.wallet_balance(session, merchant_id, row.customer_id, row.currency)
    return Entitlement.of(row, available)


def _item(item: EntitlementItem) -> ReservedItem:
    return ReservedItem(
        billable_metric_id=item.billable_metric_id,
        quantity=item.quantity,
        price=None if item.price is None else Decimal(item.price),
    )


def _metric(item: dict[str, Any]) -> EntitledMetric:
    return EntitledMetric(
        billable_metric_id=item["billableMetricId"],
        quantity=Decimal(item["quantity"]),
        price=item["price"],
    )
