"""Merchants on the internal wire: made, read and set up by an operator."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path
from pydantic import Field

from activities.organizations import CreateMerchant
from api.address_input import AddressInput
from api.internal.admin import Administrator
from api.schema import (
    Body,
    DurationText,
    Email,
    Instant,
    Label,
    MerchantId,
    Name,
    Patch,
    Wire,
    omitted,
)
from models import organizations as tables

router = APIRouter(prefix="/merchants")

# Late usage is looked for over 92 days and three periods: less could never be kept to.
MONTHS_MIN = 4
MONTHS_MAX = 1200


class NewMerchant(Body):
    """A merchant to create, in the sandbox unless it is live."""

    name: Name
    live: bool = False


class MerchantPatch(Patch):
    """A change of a merchant's settings; the environment is for good."""

    name: Name = omitted()
    legacy_billing: bool = omitted()
    auto_approve: bool = omitted()
    grace_period: DurationText = omitted()
    usage_retention_months: Annotated[int, Field(ge=MONTHS_MIN, le=MONTHS_MAX)] | None = None
    """How long usage events are kept; null: for ever."""
    email: Email = omitted()
    address: AddressInput = omitted()
    tax_id: Label | None = None


class Merchant(Wire):
    """An organization that sells, in one environment."""

    object: Literal["merchant"] = "merchant"
    id: str
    name: str
    live: bool
    legacy_billing: bool
    auto_approve: bool
    grace_period: str
    usage_retention_months: int | None
    usage_deleted_before: Instant | None
    email: str
    address: dict[str, str]
    tax_id: str | None
    created_at: Instant

    @classmethod
    def of(cls, row: tables.Merchant) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


class CreatedMerchant(Merchant):
    """A new merchant with its first member and key; the key is shown here and never again."""

    merchant_id: str
    user_id: str
    api_key: str


@router.post("", operation_id="internalCreateMerchant", status_code=201)
async def create_merchant(body: NewMerchant, administrator: Administrator) -> CreatedMerchant:
    """Create a merchant, its first member and an API key that may everything."""
    created = await administrator.create_merchant(CreateMerchant(body.name, live=body.live))
    return CreatedMerchant.from_row(
        await administrator.get_merchant(created.merchant_id),
        merchant_id=created.merchant_id,
        user_id=created.user_id,
        api_key=created.api_key,
    )


@router.get("/{merchantId}", operation_id="internalGetMerchant")
async def get_merchant(
    merchant_id: Annotated[MerchantId, Path(alias="merchantId")], administrator: Administrator
) -> Merchant:
    """Get a merchant."""
    return Merchant.of(await administrator.get_merchant(merchant_id))


@router.patch("/{merchantId}", operation_id="internalUpdateMerchant")
async def update_merchant(
    merchant_id: Annotated[MerchantId, Path(alias="merchantId")],
    body: MerchantPatch,
    administrator: Administrator,
) -> Merchant:
    """Change a merchant's settings."""
    return Merchant.of(await administrator.change_merchant(merchant_id, _stored(body)))


def _stored(body: MerchantPatch) -> dict[str, Any]:
    changes = body.changes()
    if "address" in changes:
        changes["address"] = body.address.model_dump(by_alias=True, exclude_none=True)
    return changes
