"""Items on the wire: what accounting calls the thing that is sold; its codes live elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlmodel.sql.expression import SelectOfScalar

from api.deps import Caller, Now, OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, PagingOfFifty, listing, paginate
from api.reference_answers import ExternalReference
from api.schema import (
    Body,
    ExternalId,
    FreeForm,
    Instant,
    ItemId,
    MerchantId,
    Name,
    Patch,
    ProductId,
    Provider,
    Wire,
    found,
    omitted,
)
from billing.errors import BillingError, InvalidValue
from models import items as tables
from models.base import new_id
from models.queries import external_references, items, products

router = APIRouter(prefix="/v0/items", tags=["Items"], route_class=KeptRoute)

SHOWN_MAX = 10


class NewItem(Body):
    """An item to create."""

    merchant_id: MerchantId
    name: Name
    catalog_id: ProductId | None = None
    metadata: FreeForm = Field(default_factory=dict)


class ItemPatch(Patch):
    """A change of an item; filed under another product, its charges go with it."""

    name: Name = omitted()
    catalog_id: ProductId | None = None
    archived: bool = omitted()
    metadata: FreeForm = omitted()


class Item(Wire):
    """An item and the codes by which other systems know it."""

    object: Literal["item"] = "item"
    id: str
    merchant_id: str
    name: str
    metadata: dict[str, Any]
    external_references: list[ExternalReference]
    catalog_id: str | None
    archived_at: Instant | None
    created_at: Instant
    updated_at: Instant


class ItemInUse(BillingError):
    """Metrics or fees are anchored to the item; the contract declares 400, not 409."""

    code = "ITEM_IN_USE"


@router.post("", operation_id="createItem", status_code=201)
async def create_item(body: NewItem, caller: Caller, session: Session) -> Item:
    """Create an item."""
    row = tables.Item(
        id=new_id("itm"),
        merchant_id=caller.own(body.merchant_id),
        name=body.name,
        catalog_id=body.catalog_id,
        custom=body.metadata,
    )
    await _check_product(session, row.merchant_id, body.catalog_id)
    session.add(row)
    return Item.from_row(row, metadata=row.custom, external_references=[])


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """What a list of items may be narrowed by; a code needs its provider."""

    catalog_id: str | None
    archived: bool
    code: tuple[str, str] | None


async def item_filter(
    catalog_id: Annotated[ProductId | None, Query(alias="catalogId")] = None,
    provider: Provider | None = None,
    external_id: Annotated[ExternalId | None, Query(alias="externalId")] = None,
    include_archived: Annotated[bool | None, Query(alias="includeArchived")] = None,
) -> ItemFilter:
    """Reads the filter; a provider or a code alone is refused."""
    if (provider is None) != (external_id is None):
        missing = "provider" if provider is None else "externalId"
        raise InvalidValue("provider and externalId go together", field=missing)
    code = (provider, external_id) if provider is not None and external_id is not None else None
    return ItemFilter(catalog_id, include_archived is True, code)


Filter = Annotated[ItemFilter, Depends(item_filter)]


@router.get("", operation_id="listItems")
async def list_items(
    merchant_id: OwnMerchant,
    paging: PagingOfFifty,
    session: Session,
    narrowed: Filter,
) -> Listing[Item]:
    """List items, newest first; or those that a provider's code stands for, claimant first."""
    page = await paginate(session, _selected(merchant_id, narrowed), paging)
    answers = await _answers(session, merchant_id, page.rows)
    return listing(answers, page.total, paging)


@router.get("/{id}", operation_id="getItem")
async def get_item(id: ItemId, caller: Caller, session: Session) -> Item:
    """Get an item, archived or not."""
    row = found(await items.get(session, caller.merchant_id, id), "item")
    return (await _answers(session, caller.merchant_id, [row]))[0]


@router.patch("/{id}", operation_id="updateItem")
async def update_item(
    id: ItemId, body: ItemPatch, caller: Caller, now: Now, session: Session
) -> Item:
    """Change, re-file, archive or restore an item."""
    row = found(await items.get(session, caller.merchant_id, id, lock=True), "item")
    changes = body.changes()
    if "metadata" in changes:
        changes["custom"] = changes.pop("metadata")
    archived: bool | None = changes.pop("archived", None)
    if changes.get("catalog_id", row.catalog_id) != row.catalog_id:
        await _refile(session, row, changes["catalog_id"], now)
    if archived is True and row.archived_at is None:
        await _archive(session, row, now)
    elif archived is False:
        row.archived_at = None
    row.sqlmodel_update(changes | {"updated_at": now})
    return (await _answers(session, row.merchant_id, [row]))[0]


def _selected(merchant_id: str, narrowed: ItemFilter) -> SelectOfScalar[tables.Item]:
    if narrowed.code is None:
        return items.newest_first(
            merchant_id, catalog_id=narrowed.catalog_id, archived=narrowed.archived
        )
    provider, external_id = narrowed.code
    return items.mapped_to(merchant_id, provider, external_id, catalog_id=narrowed.catalog_id)


async def _check_product(session: Session, merchant_id: str, product_id: str | None) -> None:
    if product_id is not None:
        found(await products.get(session, merchant_id, product_id), "product")


async def _refile(
    session: Session, row: tables.Item, product_id: str | None, now: datetime
) -> None:
    """Another product: what is anchored to the item moves with it, and cannot be left without."""
    await _check_product(session, row.merchant_id, product_id)
    if product_id is None:
        await _refuse_anchored(session, row, "Metrics or fees need the item's product")
        return
    await items.move_anchored(session, row.merchant_id, row.id, product_id, now)


async def _archive(session: Session, row: tables.Item, now: datetime) -> None:
    """Retires the item: it gives up the codes that it claims and keeps its references."""
    await _refuse_anchored(session, row, "Metrics or fees are anchored to the item")
    await external_references.release_claims(session, row.merchant_id, "item", row.id, now)
    row.archived_at = now


async def _refuse_anchored(session: Session, row: tables.Item, message: str) -> None:
    anchored = await items.anchored(session, row.merchant_id, row.id)
    if anchored:
        blockers = [
            {"type": kind, "count": len(ids), "items": [{"id": id_} for id_ in ids[:SHOWN_MAX]]}
            for kind, ids in anchored.items()
        ]
        raise ItemInUse(message, details={"blockers": blockers})


async def _answers(session: Session, merchant_id: str, rows: Sequence[tables.Item]) -> list[Item]:
    references = await external_references.of_entities(
        session, merchant_id, "item", [row.id for row in rows]
    )
    return [
        Item.from_row(
            row,
            metadata=row.custom,
            external_references=map(ExternalReference.of, references[row.id]),
        )
        for row in rows
    ]
