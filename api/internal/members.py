"""Members of a merchant on the internal wire: who may act for it, and what each may do."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path
from pydantic import Field

from activities.organizations import AddMember
from api.internal.admin import Administrator
from api.internal.permissions import Permissions
from api.schema import Body, Email, Instant, Label, MerchantId, UserId, Wire
from models import organizations as tables

router = APIRouter(prefix="/merchants/{merchantId}/members")

OfMerchant = Annotated[MerchantId, Path(alias="merchantId")]


class NewMember(Body):
    """A person who shall act for the merchant."""

    email: Email
    first_name: Label = ""
    last_name: Label = ""
    permissions: Permissions


class MemberPatch(Body):
    """What the member may do from now on."""

    permissions: Permissions


class Member(Wire):
    """A person who acts for the merchant."""

    object: Literal["member"] = "member"
    id: str
    merchant_id: str
    email: str
    first_name: str
    last_name: str
    permissions: list[str]
    created_at: Instant

    @classmethod
    def of(cls, row: tables.User) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


class Members(Wire):
    """All members of a merchant."""

    object: Literal["list"] = "list"
    data: list[Member] = Field(default_factory=list)


@router.post("", operation_id="internalAddMember", status_code=201)
async def add_member(
    merchant_id: OfMerchant, body: NewMember, administrator: Administrator
) -> Member:
    """Add a member."""
    command = AddMember(
        merchant_id=merchant_id,
        email=body.email,
        first_name=body.first_name,
        last_name=body.last_name,
        permissions=body.permissions,
    )
    return Member.of(await administrator.add_member(command))


@router.get("", operation_id="internalListMembers")
async def list_members(merchant_id: OfMerchant, administrator: Administrator) -> Members:
    """List members, newest first; always all of them."""
    return Members(data=[Member.of(row) for row in await administrator.list_members(merchant_id)])


@router.patch("/{userId}", operation_id="internalUpdateMember")
async def update_member(
    merchant_id: OfMerchant,
    user_id: Annotated[UserId, Path(alias="userId")],
    body: MemberPatch,
    administrator: Administrator,
) -> Member:
    """Replace what a member may do."""
    return Member.of(await administrator.permit(merchant_id, user_id, body.permissions))


@router.delete("/{userId}", operation_id="internalRemoveMember", status_code=204)
async def remove_member(
    merchant_id: OfMerchant,
    user_id: Annotated[UserId, Path(alias="userId")],
    administrator: Administrator,
) -> None:
    """Remove a member and revoke the keys."""
    await administrator.remove_member(merchant_id, user_id)
