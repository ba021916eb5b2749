"""Merchants on the wire: the reset of a sandbox; merchants are made and changed elsewhere."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from activities.resets import Reset
from api.deps import Caller, Commands, Now
from api.idempotency import KeptRoute
from api.schema import Body, CustomerId, MerchantId

router = APIRouter(prefix="/v0/merchants", tags=["Merchants"], route_class=KeptRoute)


class MerchantScope(Body):
    """All customers and what hangs on them, and the catalogue unless it is kept."""

    scope: Literal["merchant"]
    keep_catalog: bool


class CustomerScope(Body):
    """One customer and what hangs on him; test clocks stay."""

    scope: Literal["customer"]
    customer_id: CustomerId


ResetBody = Annotated[MerchantScope | CustomerScope, Field(discriminator="scope")]


@router.post("/{merchantId}/reset", operation_id="resetMerchant", status_code=204)
async def reset_merchant(
    merchantId: MerchantId,  # noqa: N803 - the wire's spelling
    body: ResetBody,
    caller: Caller,
    now: Now,
    commands: Commands,
) -> None:
    """Delete a sandbox's customers, or one, with all that hangs on them; repeating is safe."""
    merchant_id = caller.own(merchantId)
    if isinstance(body, CustomerScope):
        reset = Reset(merchant_id=merchant_id, now=now, customer_id=body.customer_id)
    else:
        reset = Reset(merchant_id=merchant_id, now=now, keep_catalogue=body.keep_catalog)
    await commands.reset_merchant(reset)
