"""Fees on the wire: fixed charges of a product; amounts and cadence live on their prices."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query

from api.deps import Caller, Now, OwnMerchant, Session, anchor, parent_product
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Body,
    Description,
    FeeId,
    Instant,
    ItemId,
    MerchantId,
    Name,
    Patch,
    ProductId,
    Wire,
    found,
    omitted,
)
from billing.errors import Conflict
from models import fees as tables
from models.base import new_id
from models.queries import fees, list_totals, prices

router = APIRouter(prefix="/v0/fees", tags=["Fees"], route_class=KeptRoute)


class NewFee(Body):
    """A fee to create."""

    merchant_id: MerchantId
    name: Name
    description: Description
    product_id: ProductId | None = None
    item_id: ItemId | None = None


class FeePatch(Patch):
    """A change of a fee."""

    name: Name = omitted()
    description: Description = omitted()
    item_id: ItemId | None = None


class Fee(Wire):
    """A fee of a product."""

    object: Literal["fee"] = "fee"
    id: str
    merchant_id: str
    product_id: str
    item_id: str | None
    name: str
    description: str
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Fee) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


class FeeInUse(Conflict):
    """Living prices charge the fee."""

    code = "FEE_IN_USE"


@router.post("", operation_id="createFee", status_code=201)
async def create_fee(body: NewFee, caller: Caller, session: Session) -> Fee:
    """Create a fee."""
    merchant_id = caller.own(body.merchant_id)
    product_id = await parent_product(session, merchant_id, body.product_id, body.item_id)
    row = tables.Fee(id=new_id("fee"), **(body.model_dump() | {"product_id": product_id}))
    session.add(row)
    return Fee.of(row)


@router.get("", operation_id="listFees")
async def list_fees(
    merchant_id: OwnMerchant,
    paging: Paging,
    session: Session,
    product_id: Annotated[ProductId | None, Query(alias="productId")] = None,
    item_id: Annotated[ItemId | None, Query(alias="itemId")] = None,
) -> Listing[Fee]:
    """List fees, newest first."""
    statement = fees.newest_first(merchant_id, product_id=product_id, item_id=item_id)
    narrowed = product_id is not None or item_id is not None
    total = None if narrowed else await list_totals.of(session, merchant_id, tables.Fee)
    page = await paginate(session, statement, paging, total)
    return listing(map(Fee.of, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getFee")
async def get_fee(id: FeeId, caller: Caller, session: Session) -> Fee:
    """Get a fee."""
    return Fee.of(found(await fees.get(session, caller.merchant_id, id), "fee"))


@router.patch("/{id}", operation_id="updateFee")
async def update_fee(id: FeeId, body: FeePatch, caller: Caller, now: Now, session: Session) -> Fee:
    """Change a fee."""
    row = found(await fees.get(session, caller.merchant_id, id), "fee")
    await anchor(session, caller.merchant_id, body.item_id, row.product_id)
    row.sqlmodel_update(body.changes() | {"updated_at": now})
    return Fee.of(row)


@router.delete("/{id}", operation_id="deleteFee", status_code=204)
async def delete_fee(id: FeeId, caller: Caller, now: Now, session: Session) -> None:
    """Delete a fee that no price charges any more."""
    row = found(await fees.get(session, caller.merchant_id, id, lock=True), "fee")
    blockers = await prices.of_fee(session, caller.merchant_id, row.id)
    if blockers.count:
        items = [{"id": price, "invoiceDisplayName": name} for price, name, _ in blockers.shown]
        details = {"blockers": [{"type": "prices", "count": blockers.count, "items": items}]}
        raise FeeInUse("Prices charge this fee; delete them first", details=details)
    row.deleted_at = now
