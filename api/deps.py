"""What a route may ask for in its signature: a transaction, the caller, the time, its merchant."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api import auth, commands
from api.schema import MerchantId, found
from api.workflow_calls import Unavailable
from billing.errors import BillingError, InvalidValue
from models.base import wall_now
from models.database import Database
from models.queries import items, products

READING = ("GET", "HEAD")


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction for the whole route; it takes a connection with its first statement.

    What only reads is answered from one instant: an invoice that closes between two statements is
    shown as it was, or as it is, and never with the lines of the one and the state of the other.
    """
    database: Database = request.app.state.database
    async with database.transaction(reads_only=request.method in READING) as opened:
        # Where a route's answer is kept together with its effect (api.idempotency).
        request.state.session = opened
        yield opened


# scope="function": the transaction ends when the route returns, before the answer is sent. The
# default would commit after the client has read its 201; a failing commit would then be a lie.
Session = Annotated[AsyncSession, Depends(session, scope="function")]

Caller = Annotated[auth.Caller, Depends(auth.authenticate)]


async def now() -> datetime:
    """The wall clock; what hangs on a test clock asks that clock instead."""
    return wall_now()


Now = Annotated[datetime, Depends(now)]


async def life_cycles(request: Request) -> commands.Commands:
    """The door to the life cycles; a server that was started without one has it closed."""
    opened: commands.Commands | None = request.app.state.commands
    if opened is None:
        raise Unavailable("Temporal is away")
    return opened


Commands = Annotated[commands.Commands, Depends(life_cycles)]


async def opened_database(request: Request) -> Database:
    """For a route that waits between two transactions: none may be open while it waits."""
    opened: Database = request.app.state.database
    return opened


Transactions = Annotated[Database, Depends(opened_database)]


async def public_url(request: Request) -> str:
    """Where customers reach the hosted pages; unless it is set, where this request came to."""
    address: str = request.app.state.settings.public_url or str(request.base_url)
    return address.rstrip("/")


PublicUrl = Annotated[str, Depends(public_url)]


# Not waiting for anything, still `async`: a plain function would run in a thread of its own.
async def own_merchant(
    caller: Caller,
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
) -> str:
    """The `merchantId` of a query: the caller's own, also when omitted; another one is refused."""
    return caller.own(merchant_id)


OwnMerchant = Annotated[str, Depends(own_merchant)]


class ItemProductMismatch(BillingError):
    """A tag groups charges of one product; it does not move a charge between products."""

    code = "ITEM_PRODUCT_MISMATCH"


class ItemArchived(BillingError):
    """A retired item takes no new charges."""

    code = "ITEM_ARCHIVED"


async def parent_product(
    session: AsyncSession, merchant_id: str, product_id: str | None, item_id: str | None
) -> str:
    """The product that a new metric or fee belongs to: the one named, else its item's."""
    filed_under = await anchor(session, merchant_id, item_id, product_id)
    if filed_under is None:
        raise InvalidValue("Name the product, or an item of one", field="productId")
    return found(await products.get(session, merchant_id, filed_under), "product").id


async def anchor(
    session: AsyncSession, merchant_id: str, item_id: str | None, product_id: str | None
) -> str | None:
    """Refuses an item that a charge of this product cannot carry; the product, else the item's."""
    if item_id is None:
        return product_id
    item = found(await items.get(session, merchant_id, item_id, lock=True), "item")
    if item.archived_at is not None:
        raise ItemArchived("The item is archived")
    if product_id is not None and product_id != item.catalog_id:
        raise ItemProductMismatch("The item is filed under another product")
    return item.catalog_id
