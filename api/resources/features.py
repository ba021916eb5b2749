"""Features on the wire: what an entitlement gives access to; entitlements live elsewhere."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints

from api.deps import Caller, Now, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Body,
    FeatureId,
    Instant,
    MerchantId,
    Metadata,
    Name,
    Patch,
    ProductId,
    Wire,
    found,
    omitted,
)
from billing.errors import Conflict
from models import features as tables
from models.base import new_id
from models.queries import entitlements, features, prices, products

router = APIRouter(prefix="/v0/features", tags=["Features"], route_class=KeptRoute)

FeatureType = Literal["metered", "static", "boolean"]
FeatureKey = Annotated[str, StringConstraints(pattern="^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=255)]


class NewFeature(Body):
    """A feature to create."""

    merchant_id: MerchantId
    product_id: ProductId
    key: FeatureKey
    name: Name
    type: FeatureType = "boolean"
    metadata: Metadata = Field(default_factory=dict)


class FeaturePatch(Patch):
    """A change of a feature."""

    key: FeatureKey = omitted()
    name: Name = omitted()
    type: FeatureType = omitted()
    metadata: Metadata = omitted()


class Feature(Wire):
    """A feature of a product."""

    object: Literal["feature"] = "feature"
    id: str
    merchant_id: str
    product_id: str
    key: str
    name: str
    type: str
    metadata: dict[str, str]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Feature) -> Self:
        """The answer for a row."""
        return cls.from_row(row, metadata=row.custom)


class DuplicateKey(Conflict):
    """Another living feature of the product has this key."""

    code = "DUPLICATE_RESOURCE"


class FeatureInUse(Conflict):
    """A living price carries the feature, or somebody is entitled to it."""

    code = "FEATURE_IN_USE"


@router.post("", operation_id="createFeature", status_code=201)
async def create_feature(body: NewFeature, caller: Caller, session: Session) -> Feature:
    """Create a feature."""
    merchant_id = caller.own(body.merchant_id)
    product = found(await products.get(session, merchant_id, body.product_id), "product")
    await _refuse_taken(session, merchant_id, product.id, body.key)
    row = tables.Feature(
        id=new_id("feat"), custom=body.metadata, **body.model_dump(exclude={"metadata"})
    )
    session.add(row)
    return Feature.of(row)


@router.get("", operation_id="listFeatures")
async def list_features(
    product_id: Annotated[ProductId, Query(alias="productId")],
    caller: Caller,
    paging: Paging,
    session: Session,
    key: FeatureKey | None = None,
) -> Listing[Feature]:
    """List a product's features, newest first."""
    product = found(await products.get(session, caller.merchant_id, product_id), "product")
    statement = features.newest_first(caller.merchant_id, product.id, key)
    page = await paginate(session, statement, paging)
    return listing(map(Feature.of, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getFeature")
async def get_feature(id: FeatureId, caller: Caller, session: Session) -> Feature:
    """Get a feature."""
    return Feature.of(found(await features.get(session, caller.merchant_id, id), "feature"))


@router.patch("/{id}", operation_id="updateFeature")
async def update_feature(
    id: FeatureId, body: FeaturePatch, caller: Caller, now: Now, session: Session
) -> Feature:
    """Change a feature; its type only while no price carries it."""
    row = found(await features.get(session, caller.merchant_id, id, lock=True), "feature")
    changes = body.changes()
    if changes.get("key", row.key) != row.key:
        await _refuse_taken(session, caller.merchant_id, row.product_id, changes["key"])
    if changes.get("type", row.type) != row.type:
        await _refuse_used(session, row, "The type cannot change while prices carry the feature")
    if "metadata" in changes:
        changes["custom"] = changes.pop("metadata")
    row.sqlmodel_update(changes | {"updated_at": now})
    return Feature.of(row)


@router.delete("/{id}", operation_id="deleteFeature", status_code=204)
async def delete_feature(id: FeatureId, caller: Caller, now: Now, session: Session) -> None:
    """Delete a feature that no price carries and nobody is entitled to."""
    row = found(await features.get(session, caller.merchant_id, id, lock=True), "feature")
    await _refuse_used(session, row, "Prices carry the feature")
    if await entitlements.are_standing(session, row.merchant_id, row.id):
        raise FeatureInUse("Customers are entitled to the feature")
    row.deleted_at = now


async def _refuse_taken(session: Session, merchant_id: str, product_id: str, key: str) -> None:
    if await features.has_key(session, merchant_id, product_id, key):
        raise DuplicateKey(f"The product has a feature with the key {key}")


async def _refuse_used(session: Session, row: tables.Feature, message: str) -> None:
    blockers = await prices.of_feature(session, row.merchant_id, row.id)
    if blockers.count:
        items = [{"id": price, "invoiceDisplayName": name} for price, name, _ in blockers.shown]
        details = {"blockers": [{"type": "prices", "count": blockers.count, "items": items}]}
        raise FeatureInUse(message, details=details)
