"""What a route may ask for in its signature: a transaction, the caller, the time, its merchant."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api import auth
from api.schema import MerchantId
from models.base import wall_now


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction for the whole route; it takes a connection with its first statement."""
    async with request.app.state.database.transaction() as opened:
        yield opened


# scope="function": the transaction ends when the route returns, before the answer is sent. The
# default would commit after the client has read its 201; a failing commit would then be a lie.
Session = Annotated[AsyncSession, Depends(session, scope="function")]

Caller = Annotated[auth.Caller, Depends(auth.authenticate)]


async def now() -> datetime:
    """The wall clock; what hangs on a test clock asks that clock instead."""
    return wall_now()


Now = Annotated[datetime, Depends(now)]


# Not waiting for anything, still `async`: a plain function would run in a thread of its own.
async def own_merchant(
    caller: Caller,
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
) -> str:
    """The `merchantId` of a query: the caller's own, also when omitted; another one is refused."""
    return caller.own(merchant_id)


OwnMerchant = Annotated[str, Depends(own_merchant)]
