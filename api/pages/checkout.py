"""The hosted checkout: a customer pays an invoice or a payment, or saves a card. No script.

Declined is an ordinary outcome of the form and has status 200. An answer is never a redirect: a
browser that obeys `form-action 'self'` follows none to another site, so the way back is a link.
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from activities.documents import facts
from activities.gateways.port import CardDeclined, CardDetails
from api.deps import Commands, Transactions
from api.links import CHECKOUT_PATH
from api.pages.cards import Unreadable, read_card
from api.pages.checkouts import DOCUMENT_NAME, Checkout, State, read_checkout
from api.pages.rendering import PRIVATE_HEADERS, page
from api.press import Press
from api.workflow_calls import Unavailable
from billing.errors import BillingError

router = APIRouter(prefix=CHECKOUT_PATH, include_in_schema=False)

_STATUSES: Final[dict[State, int]] = {"expired": 410, "cancelled": 410}
_DECLINED: Final = "The card was refused."
# How long an outcome is waited for that another request will bring; an attempt takes a second.
OUTCOME_LIMIT_SECONDS = 20.0
LOOK_EVERY_SECONDS: Final = 0.2


@router.get("/{token}")
async def show_checkout(token: str, transactions: Transactions) -> HTMLResponse:
    """The form, or how the session has ended."""
    checkout = await _read(transactions, token)
    return _unknown() if checkout is None else _shown(checkout)


@router.get("/{token}/" + DOCUMENT_NAME)
async def show_document(token: str, transactions: Transactions, press: Press) -> Response:
    """A paid invoice as PDF, for whoever has the page that it was paid on."""
    async with transactions.transaction() as session:
        checkout = await read_checkout(session, token)
        if checkout is None or checkout.document_path is None:
            return _unknown()
        row = checkout.session
        document = await facts.of_invoice(session, row.merchant_id, row.collection_id)
    if document is None:
        return _unknown()
    answer = await press.pdf(document)
    answer.headers.update(PRIVATE_HEADERS)
    return answer


@router.post("/{token}")
async def submit_checkout(
    token: str, request: Request, transactions: Transactions, commands: Commands
) -> HTMLResponse:
    """Charges or saves the card; no transaction is open meanwhile. Twice, it charges once.

    Who sends the form again while it is being charged is told how that ended.
    """
    checkout = await _with_outcome(transactions, token)
    if checkout is None:
        return _unknown()
    if checkout.state != "open":
        return _shown(checkout)
    async with request.form(max_files=0, max_fields=20) as form:
        card = read_card(form)
    if isinstance(card, Unreadable):
        return _form(checkout, status=400, problems=card.problems)
    try:
        declined = await _settle(commands, checkout, card)
    except CardDeclined as refusal:
        declined = refusal.message
    except Unavailable:
        # Nobody answered, but another request may have paid in the meantime.
        found = await _read(transactions, token) or checkout
        return _shown(found) if found.state == "settled" else _unsure(checkout)
    except BillingError:
        # The provider's or the workflow's refusal, whose words are not for customers.
        declined = _DECLINED
    settled = await _read(transactions, token) or checkout
    if settled.state == "open" and declined is not None:
        return _form(settled, declined=declined)
    return _shown(settled)


async def _settle(commands: Commands, checkout: Checkout, details: CardDetails) -> str | None:
    """Pays or saves; the reason where the card was declined."""
    card = await commands.create_card(details)
    if checkout.is_setup:
        await commands.save_card(checkout.session, card)
        return None
    result = await commands.pay(
        checkout.session,
        card,
        clock_now=checkout.clock_now,
        clock_id=checkout.clock_id,
        save=checkout.session.save_payment_method,
    )
    return (result.message or _DECLINED) if result.status == "failed" else None


async def _with_outcome(transactions: Transactions, token: str) -> Checkout | None:
    """The checkout, once no attempt is under way; after the limit, that one is."""
    deadline = asyncio.get_running_loop().time() + OUTCOME_LIMIT_SECONDS
    while True:
        checkout = await _read(transactions, token)
        is_known = checkout is None or checkout.state != "processing"
        if is_known or asyncio.get_running_loop().time() > deadline:
            return checkout
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _read(transactions: Transactions, token: str) -> Checkout | None:
    async with transactions.transaction() as session:
        return await read_checkout(session, token)


def _shown(checkout: Checkout) -> HTMLResponse:
    if checkout.state == "open":
        return _form(checkout)
    return page("ended.html", status=_STATUSES.get(checkout.state, 200), checkout=checkout)


def _form(checkout: Checkout, *, status: int = 200, **context: Any) -> HTMLResponse:
    shown = {"problems": {}, "declined": None} | context
    return page("checkout.html", status=status, checkout=checkout, **shown)


def _unsure(checkout: Checkout) -> HTMLResponse:
    """Nobody answered in time: it may have worked, so the customer looks before paying again."""
    return page("unsure.html", status=503, headers={"Retry-After": "1"}, checkout=checkout)


def _unknown() -> HTMLResponse:
    return page("unknown.html", status=404)
