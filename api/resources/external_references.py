"""External references on the wire: codes of other systems for items and customers."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints

from api.deps import Caller, Now, OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, PagingOfFifty, listing, paginate
from api.reference_answers import ExternalReference
from api.schema import (
    Body,
    ExternalId,
    FreeForm,
    Label,
    MerchantId,
    Patch,
    Provider,
    ReferenceId,
    found,
    omitted,
)
from billing.errors import Conflict, InvalidValue
from models import external_references as tables
from models.base import new_id
from models.queries import customers, external_references, items
from models.queries.external_references import ReferenceFilter

router = APIRouter(
    prefix="/v0/externalReferences", tags=["External References"], route_class=KeptRoute
)

EntityType = Literal["item", "customer"]
EntityId = Annotated[str, StringConstraints(pattern="^(itm|cus)_[a-zA-Z0-9]{1,64}$")]


class NewReference(Body):
    """A reference to create; it claims its code unless told otherwise."""

    merchant_id: MerchantId
    entity_type: EntityType
    entity_id: EntityId
    provider: Provider
    external_id: ExternalId
    external_label: Label | None = None
    metadata: FreeForm = Field(default_factory=dict)
    is_primary: bool = True
    is_default: bool | None = None
    move_claim: bool = False


class ReferencePatch(Patch):
    """A change of a reference; what it links stays."""

    external_label: Label | None = None
    metadata: FreeForm = omitted()
    is_primary: bool = omitted()
    is_default: bool = omitted()


class CodeClaimed(Conflict):
    """Another entity claims the code; `details` names it."""

    code = "DUPLICATE_RESOURCE"


async def reference_filter(
    entity_type: Annotated[EntityType | None, Query(alias="entityType")] = None,
    entity_id: Annotated[EntityId | None, Query(alias="entityId")] = None,
    provider: Provider | None = None,
    external_id: Annotated[ExternalId | None, Query(alias="externalId")] = None,
) -> ReferenceFilter:
    """What a list of references may be narrowed by."""
    return ReferenceFilter(entity_type, entity_id, provider, external_id)


Filter = Annotated[ReferenceFilter, Depends(reference_filter)]


@router.post("", operation_id="createExternalReference", status_code=201)
async def create_external_reference(
    body: NewReference, caller: Caller, now: Now, session: Session
) -> ExternalReference:
    """Link an item or a customer to a code of another system."""
    row = tables.ExternalReference(
        id=new_id("xrf"),
        merchant_id=caller.own(body.merchant_id),
        custom=body.metadata,
        is_default=False,
        **body.model_dump(exclude={"metadata", "is_default", "merchant_id", "move_claim"}),
    )
    await _check_entity(session, row)
    if row.is_primary:
        await _claim(session, row, now, move=body.move_claim)
    await _settle_default(session, row, wanted=body.is_default, now=now)
    session.add(row)
    return ExternalReference.of(row)


@router.get("", operation_id="listExternalReferences")
async def list_external_references(
    merchant_id: OwnMerchant, narrowed: Filter, paging: PagingOfFifty, session: Session
) -> Listing[ExternalReference]:
    """List references, newest first."""
    statement = external_references.newest_first(merchant_id, narrowed)
    page = await paginate(session, statement, paging)
    return listing(map(ExternalReference.of, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getExternalReference")
async def get_external_reference(
    id: ReferenceId, caller: Caller, session: Session
) -> ExternalReference:
    """Get a reference."""
    row = await external_references.get(session, caller.merchant_id, id)
    return ExternalReference.of(found(row, "external reference"))


@router.patch("/{id}", operation_id="updateExternalReference")
async def update_external_reference(
    id: ReferenceId, body: ReferencePatch, caller: Caller, now: Now, session: Session
) -> ExternalReference:
    """Change a reference; a code that another entity claims is refused."""
    reference = await external_references.get(session, caller.merchant_id, id, lock=True)
    row = found(reference, "external reference")
    changes = body.changes()
    if "metadata" in changes:
        changes["custom"] = changes.pop("metadata")
    if changes.get("is_primary", False) and not row.is_primary:
        await _claim(session, row, now, move=False)
    wanted: bool | None = changes.pop("is_default", None)
    if wanted is False:
        row.is_default = False
    elif wanted is True:
        await _settle_default(session, row, wanted=True, now=now)
    row.sqlmodel_update(changes | {"updated_at": now})
    return ExternalReference.of(row)


@router.delete("/{id}", operation_id="deleteExternalReference", status_code=204)
async def delete_external_reference(id: ReferenceId, caller: Caller, session: Session) -> None:
    """Delete a reference; the code that it claimed is free again."""
    row = await external_references.get(session, caller.merchant_id, id, lock=True)
    await session.delete(found(row, "external reference"))


async def _check_entity(session: Session, row: tables.ExternalReference) -> None:
    """The entity is of its type and the merchant's; an archived item claims nothing."""
    prefix = "itm_" if row.entity_type == "item" else "cus_"
    if not row.entity_id.startswith(prefix):
        raise InvalidValue(f"Must be the id of a {row.entity_type}", field="entityId")
    if row.entity_type == "customer":
        customer = await customers.get(session, row.merchant_id, row.entity_id, lock=True)
        found(customer, "customer")
        return
    # Locked like the customer: two first references of one entity take turns.
    item = found(await items.get(session, row.merchant_id, row.entity_id, lock=True), "item")
    if item.archived_at is not None and row.is_primary:
        raise InvalidValue("An archived item claims no code", field="isPrimary")


async def _claim(
    session: Session, row: tables.ExternalReference, now: datetime, *, move: bool
) -> None:
    """Makes the code resolve to the row's entity; who holds it gives it up only when asked to."""
    with session.no_autoflush:
        holder = await external_references.claimant(
            session, row.merchant_id, row.provider, row.external_id
        )
    if holder is None or holder.id == row.id:
        return
    if not move:
        details = {
            "externalReferenceId": holder.id,
            "entityType": holder.entity_type,
            "entityId": holder.entity_id,
        }
        raise CodeClaimed("Another entity claims this code", details=details)
    holder.sqlmodel_update({"is_primary": False, "updated_at": now})
    await session.flush()


async def _settle_default(
    session: Session, row: tables.ExternalReference, *, wanted: bool | None, now: datetime
) -> None:
    """One default per entity and provider: the one last asked for, else the first."""
    with session.no_autoflush:
        current = await external_references.default_of(session, row)
    if wanted is None:
        row.is_default = current is None
        return
    if wanted and current is not None and current.id != row.id:
        current.sqlmodel_update({"is_default": False, "updated_at": now})
        await session.flush()
    row.is_default = wanted
