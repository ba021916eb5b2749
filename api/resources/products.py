"""Products on the wire; a product is never deleted."""

from typing import Literal, Self

from fastapi import APIRouter
from pydantic import Field

from api.deps import Caller, Now, OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Body,
    Description,
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
from models import products as tables
from models.base import new_id
from models.queries import list_totals, products

router = APIRouter(prefix="/v0/products", tags=["Products"], route_class=KeptRoute)


class NewProduct(Body):
    """A product to create."""

    merchant_id: MerchantId
    name: Name
    description: Description
    metadata: Metadata = Field(default_factory=dict)


class ProductPatch(Patch):
    """A change of a product."""

    name: Name = omitted()
    description: Description = omitted()


class Product(Wire):
    """A product."""

    object: Literal["product"] = "product"
    id: ProductId
    merchant_id: MerchantId
    name: str
    description: str
    metadata: Metadata
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Product) -> Self:
        """The answer for a row."""
        return cls.from_row(row, metadata=row.custom)


@router.post("", operation_id="createProduct", status_code=201)
async def create_product(body: NewProduct, caller: Caller, session: Session) -> Product:
    """Create a product."""
    row = tables.Product(
        id=new_id("prod"),
        merchant_id=caller.own(body.merchant_id),
        name=body.name,
        description=body.description,
        custom=body.metadata,
    )
    session.add(row)
    return Product.of(row)


@router.get("", operation_id="listProducts")
async def list_products(
    merchant_id: OwnMerchant, paging: Paging, session: Session
) -> Listing[Product]:
    """List products, newest first."""
    total = await list_totals.of(session, merchant_id, tables.Product)
    page = await paginate(session, products.newest_first(merchant_id), paging, total)
    return listing(map(Product.of, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getProduct")
async def get_product(id: ProductId, caller: Caller, session: Session) -> Product:
    """Get a product."""
    return Product.of(found(await products.get(session, caller.merchant_id, id), "product"))


@router.patch("/{id}", operation_id="updateProduct")
async def update_product(
    id: ProductId, body: ProductPatch, caller: Caller, now: Now, session: Session
) -> Product:
    """Change a product's name or description."""
    row = found(await products.get(session, caller.merchant_id, id), "product")
    row.sqlmodel_update(body.changes() | {"updated_at": now})
    return Product.of(row)
