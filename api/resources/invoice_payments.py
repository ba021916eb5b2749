"""Collecting an invoice by hand: money that came past the provider, a new link, another try."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.exceptions import HTTPException
from pydantic import StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.payment_pages import CreateLink
from api.commands import PaymentResult
from api.deps import Caller, Commands, PublicUrl, Transactions
from api.errors import ErrorAnswer
from api.idempotency import KeptRoute
from api.invoice_answers import Invoice, InvoiceReader
from api.line_pages import LinesInput
from api.links import checkout_url
from api.schema import Absent, Body, InvoiceId, Wire, found
from api.workflow_calls import Unavailable
from api.workflow_starts import Collecting
from billing.errors import BillingError, Conflict
from models.base import wall_now
from models.payments import PaymentAttempt, PaymentSession
from models.queries import invoices, payments, subscriptions, test_clocks

router = APIRouter(prefix="/v2/invoices", tags=["Invoices V2"], route_class=KeptRoute)

UNPAID = ("ISSUED", "PAYMENT_FAILED")
RETRY_PAUSE_SECONDS = "60"
# The provider's refusal of the request itself, as opposed to a card that is declined.
PROVIDER_REFUSAL = "gateway_refusal"
NO_CARD = "no_payment_method"

Reason = Annotated[str, StringConstraints(max_length=1000)]


class AlreadyPaid(Conflict):
    """What is paid once is not paid again."""

    code = "PAYMENT_ALREADY_COMPLETED"


class PaymentProcessing(Conflict):
    """A charge is under way whose outcome is not known yet."""

    code = "PAYMENT_PROCESSING"


class NotRetryable(BillingError):
    """Only an unpaid invoice that is collected from a saved card is tried again."""

    code = "NOT_RETRYABLE"


class PaymentInput(Body):
    """How an invoice is to be paid."""

    method: Literal["out_of_band", "hosted_link"]
    reason: Reason | None = None


class RetryInput(Body):
    """Why it is tried again."""

    reason: Reason | None = None


class OutOfBandPayment(Wire):
    """The invoice, paid past the provider."""

    method: Literal["out_of_band"] = "out_of_band"
    invoice: Invoice


class HostedLinkPayment(Wire):
    """The invoice and the page at which it is paid from now on."""

    method: Literal["hosted_link"] = "hosted_link"
    provider: str = "simulated"
    payment_session_id: str
    payment_url: str
    invoice: Invoice


class RetryError(Wire):
    """Why a try did not bring the money."""

    message: str
    type: Absent[str] = None
    code: Absent[str] = None
    decline_code: Absent[str] = None


class RetryResult(Wire):
    """How a try ended."""

    object: Literal["retry_payment_result"] = "retry_payment_result"
    success: bool
    invoice_id: str
    payment_intent_id: Absent[str] = None
    error: Absent[RetryError] = None


@dataclass(frozen=True, slots=True)
class _Standing:
    """An invoice as far as its collection goes."""

    status: str
    auto_charge: bool
    has_card: bool
    session: PaymentSession | None
    last_attempt: PaymentAttempt | None
    now: datetime
    collecting: Collecting

    @property
    def is_processing(self) -> bool:
        return self.last_attempt is not None and self.last_attempt.status == "pending"

    @property
    def is_link_expired(self) -> bool:
        if self.session is None:
            return False
        ends = self.session.expires_at
        return self.session.status == "expired" or (ends is not None and ends <= self.now)


@dataclass(frozen=True, slots=True)
class _View:
    """Reads in transactions of its own: none is open while the collection works."""

    transactions: Transactions
    public_url: PublicUrl

    async def standing(self, merchant_id: str, invoice_id: str) -> _Standing:
        """How far the collection has come."""
        async with self.transactions.transaction() as session:
            row = found(await invoices.get(session, merchant_id, invoice_id), "invoice")
            owner = found(
                await subscriptions.get(session, merchant_id, row.subscription_id), "subscription"
            )
            made = await payments.attempts_of(session, merchant_id, row.id)
            sessions = await payments.sessions_of(session, merchant_id, [row.id])
            clock_id = owner.test_clock_id
            now = await test_clocks.now_of(session, merchant_id, clock_id, wall_now())
            return _Standing(
                status=row.status,
                auto_charge=owner.auto_charge,
                has_card=await _has_card(session, merchant_id, row.customer_id),
                session=sessions.get(row.id),
                last_attempt=made[-1] if made else None,
                now=now,
                collecting=Collecting(
                    merchant_id=merchant_id,
                    collection_id=row.id,
                    customer_id=row.customer_id,
                    subscription_id=owner.id,
                    clock_id=clock_id,
                    clock_now=None if clock_id is None else now,
                ),
            )

    async def invoice(self, merchant_id: str, invoice_id: str) -> Invoice:
        """The invoice as it now stands."""
        async with self.transactions.transaction() as session:
            row = found(await invoices.get(session, merchant_id, invoice_id), "invoice")
            return await InvoiceReader(session, self.public_url).one(row, LinesInput())

    async def link(self, merchant_id: str, session_id: str) -> HostedLinkPayment:
        """The invoice with its new page."""
        async with self.transactions.transaction() as session:
            opened = found(await payments.get_session(session, merchant_id, session_id), "session")
        return HostedLinkPayment(
            payment_session_id=opened.id,
            payment_url=checkout_url(self.public_url, opened.token),
            invoice=await self.invoice(merchant_id, opened.collection_id),
        )


async def _has_card(session: AsyncSession, merchant_id: str, customer_id: str) -> bool:
    return await payments.newest_method(session, merchant_id, customer_id) is not None


View = Annotated[_View, Depends(_View)]


@dataclass(frozen=True, slots=True)
class _Retries:
    """Has the saved card charged, once what stands against it is out of the way."""

    commands: Commands
    view: View

    async def retry(self, merchant_id: str, invoice_id: str) -> tuple[int, RetryResult]:
        """The status and the body of the answer."""
        standing = await self.view.standing(merchant_id, invoice_id)
        obstacle = _obstacle(standing)
        if obstacle is not None:
            return obstacle
        if not await self.commands.provider_answers():
            return 502, _failed(invoice_id, "provider_unavailable", "The provider does not answer")
        try:
            result = await self.commands.retry_payment(standing.collecting)
        except Unavailable:
            after = await self.view.standing(merchant_id, invoice_id)
            if not after.is_processing or after.last_attempt is None:
                raise
            return 202, RetryResult(
                success=False,
                invoice_id=invoice_id,
                payment_intent_id=after.last_attempt.id,
                error=RetryError(message="The charge is under way", code="processing"),
            )
        if result.status == "not_payable":
            after = await self.view.standing(merchant_id, invoice_id)
            if after.status == "PAID":
                # Collected in the meantime: what was wanted is so.
                return 200, RetryResult(success=True, invoice_id=invoice_id)
        return _answer(invoice_id, result)


Retries = Annotated[_Retries, Depends(_Retries)]


@router.post("/{id}/payment", operation_id="recordInvoicePayment")
async def record_invoice_payment(
    id: InvoiceId, body: PaymentInput, caller: Caller, commands: Commands, view: View
) -> OutOfBandPayment | HostedLinkPayment:
    """Record that an invoice was paid past the provider, or open a new page to pay it at."""
    standing = await view.standing(caller.merchant_id, id)
    if body.method == "hosted_link":
        command = CreateLink(merchant_id=caller.merchant_id, invoice_id=id, now=standing.now)
        return await view.link(caller.merchant_id, await commands.create_link(command))
    _check_payable(standing)
    result = await commands.mark_paid(standing.collecting, body.reason)
    if result.status != "succeeded":
        _check_payable(await view.standing(caller.merchant_id, id))
        raise Conflict("The invoice could not be settled; try again")
    return OutOfBandPayment(invoice=await view.invoice(caller.merchant_id, id))


@router.post(
    "/{id}/retryPayment",
    operation_id="retryInvoicePayment",
    responses={
        202: {"model": RetryResult, "description": "The charge is under way"},
        402: {"model": RetryResult, "description": "The card was declined"},
        409: {
            "model": RetryResult | ErrorAnswer,
            "description": "Another try, or the page, stands against it",
        },
        422: {"model": RetryResult | ErrorAnswer, "description": "No saved card"},
        429: {"description": "One try a minute"},
        502: {"model": RetryResult, "description": "The provider does not answer"},
    },
)
async def retry_invoice_payment(
    id: InvoiceId,
    caller: Caller,
    retries: Retries,
    response: Response,
    body: RetryInput | None = None,
) -> RetryResult:
    """Charge an unpaid invoice's saved card now; once a minute."""
    del body
    response.status_code, result = await retries.retry(caller.merchant_id, id)
    return result


def _check_payable(standing: _Standing) -> None:
    """Refuses money for what is paid, is not owed, or is being charged."""
    if standing.status == "PAID":
        raise AlreadyPaid("The invoice is paid already")
    if standing.status not in UNPAID:
        raise Conflict(f"An invoice that is {standing.status} cannot be paid")
    if standing.is_processing:
        raise PaymentProcessing("A charge of this invoice is under way")


def _obstacle(standing: _Standing) -> tuple[int, RetryResult] | None:
    """What stands against another try before anybody is asked."""
    invoice_id = standing.collecting.collection_id
    if standing.status not in UNPAID:
        raise NotRetryable(f"An invoice that is {standing.status} is not collected")
    if not standing.auto_charge:
        raise NotRetryable("The subscription is not collected from a saved card")
    if standing.session is None:
        raise NotRetryable("The invoice has no payment session")
    if standing.is_link_expired and not standing.has_card:
        return 422, _failed(invoice_id, NO_CARD, "The customer has no saved card")
    if standing.is_link_expired:
        return 409, _failed(invoice_id, "PAYMENT_SESSION_EXPIRED", "The session has expired")
    if standing.is_processing:
        return 409, _failed(invoice_id, "concurrent_attempt", "A charge is under way already")
    return None


def _answer(invoice_id: str, result: PaymentResult) -> tuple[int, RetryResult]:
    """What the collection answered, as the contract words it."""
    if result.status == "succeeded":
        return 200, RetryResult(
            success=True, invoice_id=invoice_id, payment_intent_id=result.attempt_id
        )
    if result.status == "too_soon":
        raise HTTPException(
            429, "One try a minute for an invoice", {"Retry-After": RETRY_PAUSE_SECONDS}
        )
    if result.status == NO_CARD:
        return 422, _failed(invoice_id, result.status, "The customer has no saved card")
    if result.status == "not_payable":
        return 409, _failed(invoice_id, "session_unusable", "There is nothing to pay any more")
    if result.decline_code == PROVIDER_REFUSAL:
        return 502, _failed(invoice_id, "provider_refused", "The provider refused the request")
    return 402, RetryResult(
        success=False,
        invoice_id=invoice_id,
        payment_intent_id=result.attempt_id,
        error=RetryError(
            message=result.message or "The card was declined",
            type="card_error",
            code=result.decline_code or "card_declined",
            decline_code=result.decline_code,
        ),
    )


def _failed(invoice_id: str, code: str, message: str) -> RetryResult:
    return RetryResult(
        success=False, invoice_id=invoice_id, error=RetryError(message=message, code=code)
    )
