"""A merchant's API keys on the internal wire; a key itself is in the answer that makes it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import StringConstraints

from activities.organizations import CreatedKey, CreateKey
from api.internal.admin import Administrator
from api.internal.permissions import Permissions
from api.schema import Body, Instant, MerchantId, UserId, Wire

router = APIRouter(prefix="/merchants/{merchantId}/apiKeys")

OfMerchant = Annotated[MerchantId, Path(alias="merchantId")]
KeyId = Annotated[str, StringConstraints(pattern="^key_[a-zA-Z0-9]{1,64}$")]


class NewApiKey(Body):
    """A key for a member, the first unless named; permissions narrow what the member may."""

    user_id: UserId | None = None
    permissions: Permissions | None = None


class NewApiKeyAnswer(Wire):
    """The key, shown once."""

    object: Literal["apiKey"] = "apiKey"
    id: str
    api_key: str


class ApiKey(Wire):
    """A key as far as it may be shown."""

    object: Literal["apiKey"] = "apiKey"
    id: str
    user_id: str
    prefix: str
    permissions: list[str] | None
    created_at: Instant
    last_used_at: Instant | None
    revoked_at: Instant | None


class ApiKeys(Wire):
    """All keys of a merchant."""

    object: Literal["list"] = "list"
    data: list[ApiKey]


@router.post("", operation_id="internalCreateApiKey", status_code=201)
async def create_api_key(
    merchant_id: OfMerchant, body: NewApiKey, administrator: Administrator
) -> NewApiKeyAnswer:
    """Create an API key."""
    command = CreateKey(merchant_id, body.user_id, body.permissions)
    return _shown_once(await administrator.create_key(command))


@router.get("", operation_id="internalListApiKeys")
async def list_api_keys(merchant_id: OfMerchant, administrator: Administrator) -> ApiKeys:
    """List API keys, newest first, revoked ones too; always all of them."""
    await administrator.get_merchant(merchant_id)
    rows = await administrator.list_keys(merchant_id)
    return ApiKeys(data=[ApiKey.from_row(row, id=row.key_id) for row in rows])


@router.post("/{keyId}/rotation", operation_id="internalRotateApiKey", status_code=201)
async def rotate_api_key(
    merchant_id: OfMerchant,
    key_id: Annotated[KeyId, Path(alias="keyId")],
    administrator: Administrator,
) -> NewApiKeyAnswer:
    """Make a key like this one and revoke this one."""
    return _shown_once(await administrator.rotate_key(merchant_id, key_id))


@router.delete("/{keyId}", operation_id="internalRevokeApiKey", status_code=204)
async def revoke_api_key(
    merchant_id: OfMerchant,
    key_id: Annotated[KeyId, Path(alias="keyId")],
    administrator: Administrator,
) -> None:
    """Revoke an API key; it is refused within seconds."""
    await administrator.revoke_key_of(merchant_id, key_id)


def _shown_once(created: CreatedKey) -> NewApiKeyAnswer:
    return NewApiKeyAnswer(id=created.key_id, api_key=created.api_key)
