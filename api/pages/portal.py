"""The customer's portal: a page to read, without a login or a script; it changes nothing."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.deps import Transactions
from api.links import PORTAL_PATH
from api.pages.portals import Expired, read_portal
from api.pages.rendering import page

router = APIRouter(prefix=PORTAL_PATH, include_in_schema=False)


@router.get("/{secret}")
async def show_portal(secret: str, transactions: Transactions) -> HTMLResponse:
    """The subscription, its invoices and its use; 410 once the link has expired."""
    try:
        async with transactions.transaction() as session:
            portal = await read_portal(session, secret)
    except Expired:
        return page("portal_expired.html", status=410)
    if portal is None:
        return page("unknown.html", status=404)
    return page("portal.html", portal=portal)
