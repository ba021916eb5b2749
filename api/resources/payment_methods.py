"""Saved cards on the wire: what may be shown of them, and the page that saves another."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import Field

from activities.payment_pages import CreateSetup
from api.deps import Caller, Commands, Now, PublicUrl, Session, Transactions
from api.idempotency import KeptRoute
from api.links import checkout_url
from api.schema import Absent, Body, CustomerId, Instant, MetadataKey, WebAddress, Wire, found
from billing.errors import InvalidValue
from models import customers as tables
from models.payments import PaymentSession as SessionRow
from models.queries import customers, payments

router = APIRouter(
    prefix="/v0/customers/{id}/paymentMethods", tags=["Customers"], route_class=KeptRoute
)

LIFE_MAX = timedelta(days=30)


class NewPaymentMethod(Body):
    """How the page that saves a card behaves."""

    success_redirect_url: WebAddress | None = None
    failure_redirect_url: WebAddress | None = None
    metadata: dict[MetadataKey, Any] = Field(default_factory=dict, max_length=100)
    expires_at: Instant | None = None


class PaymentMethod(Wire):
    """A saved card."""

    object: Literal["paymentMethod"] = "paymentMethod"
    id: str
    type: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    created_at: Instant

    @classmethod
    def of(cls, row: tables.PaymentMethod) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


class PaymentMethods(Wire):
    """All saved cards of a customer."""

    object: Literal["list"] = "list"
    data: list[PaymentMethod]


class SetupSession(Wire):
    """A page that saves a card without a charge."""

    object: Literal["paymentSession"] = "paymentSession"
    id: str
    mode: Literal["setup"] = "setup"
    status: str
    url: str
    expires_at: Instant
    success_redirect_url: str | None
    failure_redirect_url: str | None
    metadata: dict[str, Any]
    completed_at: Absent[Instant] = None
    created_at: Instant

    @classmethod
    def of(cls, row: SessionRow, public_url: str) -> Self:
        """The answer for a row."""
        return cls.from_row(
            row,
            url=checkout_url(public_url, row.token),
            success_redirect_url=row.success_url,
            failure_redirect_url=row.failure_url,
            metadata=row.custom,
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """When and through what a session is read that was created in a transaction of its own."""

    transactions: Transactions
    public_url: PublicUrl
    now: Now


Reading = Annotated[_Reading, Depends(_Reading)]


@router.get("", operation_id="listCustomerPaymentMethods")
async def list_customer_payment_methods(
    id: CustomerId, caller: Caller, session: Session
) -> PaymentMethods:
    """List a customer's saved cards, newest first: the first is the one that is charged."""
    found(await customers.get(session, caller.merchant_id, id), "customer")
    rows = await payments.methods_of(session, caller.merchant_id, id)
    return PaymentMethods(data=[PaymentMethod.of(row) for row in rows])


@router.post("", operation_id="createCustomerPaymentMethod", status_code=201)
async def create_customer_payment_method(
    id: CustomerId,
    caller: Caller,
    commands: Commands,
    reading: Reading,
    body: NewPaymentMethod | None = None,
) -> SetupSession:
    """Open a page on which the customer saves a card; nothing is charged."""
    wanted = body or NewPaymentMethod()
    latest = reading.now + LIFE_MAX
    if wanted.expires_at is not None and not reading.now < wanted.expires_at <= latest:
        raise InvalidValue("Must lie within the next 30 days", field="expiresAt")
    session_id = await commands.create_setup(
        CreateSetup(
            merchant_id=caller.merchant_id,
            customer_id=id,
            expires_at=wanted.expires_at,
            success_url=wanted.success_redirect_url,
            failure_url=wanted.failure_redirect_url,
            custom=wanted.metadata,
        )
    )
    async with reading.transactions.transaction() as session:
        row = await payments.get_session(session, caller.merchant_id, session_id)
        return SetupSession.of(found(row, "payment session"), reading.public_url)
