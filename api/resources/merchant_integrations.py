"""Merchant integrations on the wire: connections to other systems, kept and never called."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query

from api.deps import Caller, Now, OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, PagingOfFifty, listing, paginate
from api.schema import (
    Body,
    FreeForm,
    Instant,
    IntegrationId,
    Label,
    MerchantId,
    Wire,
    found,
)
from models import merchant_integrations as tables
from models.base import new_id
from models.queries import merchant_integrations

router = APIRouter(tags=["Merchant Integrations"], route_class=KeptRoute)

PATH = "/v0/merchantIntegrations"
IntegrationProvider = Literal["salesforce", "netsuite", "accountsiq"]
Status = Literal["active", "disconnected", "error"]
# What a provider does with an item's codes: whether it sends us any, whether we send it one.
CAPABILITIES = {
    "salesforce": {"resolvesItemCodes": True, "sendsItemCodes": False},
    "netsuite": {"resolvesItemCodes": False, "sendsItemCodes": True},
    "accountsiq": {"resolvesItemCodes": False, "sendsItemCodes": True},
}


class IntegrationInput(Body):
    """A connection to make or to take up again."""

    merchant_id: MerchantId
    provider: IntegrationProvider
    external_id: Label | None = None
    status: Status = "active"
    config: FreeForm | None = None
    metadata: FreeForm | None = None


class MappingCapabilities(Wire):
    """What the provider does with an item's codes."""

    resolves_item_codes: bool
    sends_item_codes: bool


class MerchantIntegration(Wire):
    """A merchant's connection to a provider."""

    object: Literal["merchantIntegration"] = "merchantIntegration"
    id: str
    merchant_id: str
    provider: str
    capabilities: MappingCapabilities
    external_id: str | None
    status: str
    config: dict[str, Any]
    metadata: dict[str, Any]
    connected_at: Instant
    disconnected_at: Instant | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.MerchantIntegration) -> Self:
        """The answer for a row."""
        capabilities = MappingCapabilities.model_validate(CAPABILITIES[row.provider])
        return cls.from_row(row, metadata=row.custom, capabilities=capabilities)


class SalesforceAccounts(Wire):
    """A page of accounts in a connected Salesforce organization."""

    data: list[dict[str, Any]]
    total_size: int
    done: bool


@router.put(PATH, operation_id="upsertMerchantIntegration")
async def upsert_merchant_integration(
    body: IntegrationInput, caller: Caller, now: Now, session: Session
) -> MerchantIntegration:
    """Connect a provider, or take its connection up again."""
    fresh = tables.MerchantIntegration(
        id=new_id("mint"),
        merchant_id=caller.own(body.merchant_id),
        provider=body.provider,
        connected_at=now,
    )
    row = await merchant_integrations.of_provider(session, fresh)
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    changes = {
        "external_id": sent.get("external_id", row.external_id),
        "config": sent.get("config") or row.config,
        "custom": sent.get("metadata") or row.custom,
        "disconnected_at": (row.disconnected_at or now) if body.status == "disconnected" else None,
    }
    if row.status == "disconnected" and body.status != "disconnected":
        changes["connected_at"] = now
    row.sqlmodel_update(changes | {"status": body.status, "updated_at": now})
    return MerchantIntegration.of(row)


@router.get(PATH, operation_id="listMerchantIntegrations")
async def list_merchant_integrations(
    merchant_id: OwnMerchant,
    paging: PagingOfFifty,
    session: Session,
    provider: IntegrationProvider | None = None,
) -> Listing[MerchantIntegration]:
    """List connections, newest first; disconnected ones stay listed."""
    statement = merchant_integrations.newest_first(merchant_id, provider)
    page = await paginate(session, statement, paging)
    return listing(map(MerchantIntegration.of, page.rows), page.total, paging)


@router.get(PATH + "/{id}", operation_id="getMerchantIntegration")
async def get_merchant_integration(
    id: IntegrationId, caller: Caller, session: Session
) -> MerchantIntegration:
    """Get a connection."""
    row = await merchant_integrations.get(session, caller.merchant_id, id)
    return MerchantIntegration.of(found(row, "merchant integration"))


@router.patch(PATH + "/{id}/disconnect", operation_id="disconnectMerchantIntegration")
async def disconnect_merchant_integration(
    id: IntegrationId, caller: Caller, now: Now, session: Session
) -> MerchantIntegration:
    """Disconnect softly: the connection stays readable and can be taken up again."""
    integration = await merchant_integrations.get(session, caller.merchant_id, id, lock=True)
    row = found(integration, "merchant integration")
    if row.status != "disconnected":
        row.sqlmodel_update({"status": "disconnected", "disconnected_at": now, "updated_at": now})
    return MerchantIntegration.of(row)


@router.get("/v0/integrations/salesforce/accounts", operation_id="listSalesforceAccounts")
async def list_salesforce_accounts(
    merchant_id: Annotated[MerchantId, Query(alias="merchantId")],
    caller: Caller,
    _paging: PagingOfFifty,
    _name_part: Annotated[str | None, Query(alias="q", max_length=255)] = None,
) -> SalesforceAccounts:
    """List Salesforce accounts: none, since no connection is ever called."""
    caller.own(merchant_id)
    return SalesforceAccounts(data=[], total_size=0, done=True)
