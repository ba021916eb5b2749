"""One-off payments on the wire: a merchant asks for an amount, a hosted page takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field, StringConstraints

from activities.payment_pages import CreatePayment
from api.deps import Caller, Commands, Now, OwnMerchant, PublicUrl, Session, Transactions
from api.idempotency import KeptRoute
from api.links import checkout_url
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Absent,
    Body,
    CustomerId,
    Description,
    DurationText,
    Instant,
    Key,
    Label,
    MerchantId,
    Metadata,
    PaymentId,
    WebAddress,
    Wire,
    found,
)
from billing.durations import Duration, parse_duration
from billing.errors import InvalidValue, NotFound
from billing.money import amount_text, exact
from models import payments as tables
from models.queries import payment_standings, payments

router = APIRouter(prefix="/v0/payments", tags=["Payments"], route_class=KeptRoute)

AMOUNT_MIN = Decimal("1.00")
AMOUNT_MAX = Decimal("5000.00")
LIFE_DEFAULT = "P30D"
LIFE_MAX = timedelta(days=31)
LINES_MAX = 100

Currency = Literal["USD", "EUR", "GBP", "AUD"]
Status = Literal["pending", "processing", "completed", "expired", "cancelled"]
Cents = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}(\.[0-9]{1,2})?$")]


class LineInput(Body):
    """A part of what the customer is charged for."""

    description: Description
    amount: Cents
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class NewPayment(Body):
    """A payment to ask for."""

    amount: Cents
    currency: Currency
    merchant_id: MerchantId | None = None
    customer_id: CustomerId | None = None
    idempotency_key: Key | None = None
    reference: Label | None = None
    metadata: Metadata = Field(default_factory=dict)
    line_items: Annotated[list[LineInput], Field(max_length=LINES_MAX)] = Field(
        default_factory=list
    )
    success_redirect_url: WebAddress | None = None
    failure_redirect_url: WebAddress | None = None
    save_payment_method: bool = False
    expires_in: DurationText = LIFE_DEFAULT

    def command(self, merchant_id: str, now: datetime) -> CreatePayment:
        """The same for the transaction, once its amounts and its life hold."""
        amount = Decimal(self.amount)
        if not AMOUNT_MIN <= amount <= AMOUNT_MAX:
            raise InvalidValue("Must lie between 1.00 and 5000.00", field="amount")
        if self.line_items and _sum(self.line_items) != amount:
            raise InvalidValue("The lines do not add up to the amount", field="lineItems")
        return CreatePayment(
            merchant_id=merchant_id,
            amount=amount,
            currency=self.currency,
            expires_in=_life(self.expires_in, now),
            customer_id=self.customer_id,
            idempotency_key=self.idempotency_key,
            reference=self.reference,
            custom=self.metadata,
            line_items=[line.model_dump(by_alias=True) for line in self.line_items],
            save_payment_method=self.save_payment_method,
            success_url=self.success_redirect_url,
            failure_url=self.failure_redirect_url,
        )


class PaymentLine(Wire):
    """A part of what the customer is charged for."""

    description: str
    amount: str
    quantity: int


class Payment(Wire):
    """A payment that was asked for."""

    object: Literal["payment"] = "payment"
    id: str
    amount: str
    currency: str
    status: str
    payment_url: Absent[str] = None
    customer_id: Absent[str] = None
    idempotency_key: Absent[str] = None
    reference: Absent[str] = None
    metadata: dict[str, str] = Field(default_factory=dict)
    line_items: list[PaymentLine] = Field(default_factory=list)
    expires_at: Absent[Instant] = None
    created_at: Instant

    @classmethod
    def of(
        cls,
        row: tables.Payment,
        status: str,
        sessions: Mapping[str, tables.PaymentSession],
        public_url: str,
    ) -> Self:
        """The answer for a row, how it stands now and the sessions of its page."""
        session = sessions.get(row.id)
        return cls.from_row(
            row,
            status=status,
            amount=amount_text(row.amount, row.currency),
            payment_url=None if session is None else checkout_url(public_url, session.token),
            metadata=row.custom,
            line_items=[PaymentLine.model_validate(line) for line in row.line_items],
        )

    @classmethod
    def of_session(cls, row: tables.PaymentSession, status: str, public_url: str) -> Self:
        """The answer for a session that pays an invoice: it has no other payment behind it.

        Where the saved card's last retry has failed, the page still takes another one.
        """
        return cls.from_row(
            row,
            status="pending" if status == "failed" else status,
            amount=amount_text(row.amount, row.currency),
            payment_url=checkout_url(public_url, row.token),
            metadata=row.custom,
        )


@dataclass(frozen=True, slots=True)
class PaymentReader:
    """Makes answers: how each payment stands is read with it."""

    session: Session
    public_url: PublicUrl
    now: Now

    async def answers(self, merchant_id: str, rows: Sequence[tables.Payment]) -> list[Payment]:
        """The answers for a page."""
        ids = [row.id for row in rows]
        statuses = await payment_standings.of_payments(self.session, merchant_id, ids, self.now)
        sessions = await payments.sessions_of(self.session, merchant_id, ids)
        return [Payment.of(row, statuses[row.id], sessions, self.public_url) for row in rows]

    async def one(self, merchant_id: str, payment_id: str) -> Payment:
        """The answer for one payment."""
        row = found(await payments.get_payment(self.session, merchant_id, payment_id), "payment")
        return (await self.answers(merchant_id, [row]))[0]

    async def of_page(self, merchant_id: str, session_id: str) -> Payment:
        """The answer for what a page takes money for: a one-off payment, or an invoice."""
        row = found(await payments.get_session(self.session, merchant_id, session_id), "payment")
        if row.entity_type == "setup":
            raise NotFound("No such payment")
        if row.collection_id.startswith("pay_"):
            return await self.one(merchant_id, row.collection_id)
        statuses = await payment_standings.of_sessions(
            self.session, merchant_id, [row.id], self.now
        )
        return Payment.of_session(row, statuses[row.id], self.public_url)


Reader = Annotated[PaymentReader, Depends(PaymentReader)]


@dataclass(frozen=True, slots=True)
class _Reading:
    """When and through what a payment is read that was created in a transaction of its own."""

    transactions: Transactions
    public_url: PublicUrl
    now: Now


Reading = Annotated[_Reading, Depends(_Reading)]


async def payment_filter(
    status: Status | None = None,
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
) -> tuple[str | None, str | None]:
    """What a list of payments may be narrowed by: its status, its customer."""
    return status, customer_id


Filter = Annotated[tuple[str | None, str | None], Depends(payment_filter)]


@router.post(
    "",
    operation_id="createPayment",
    status_code=201,
    responses={200: {"model": Payment, "description": "Its key made it already"}},
)
async def create_payment(
    body: NewPayment,
    caller: Caller,
    commands: Commands,
    reading: Reading,
    response: Response,
) -> Payment:
    """Ask for a payment; the same idempotency key again answers the first one, with 200."""
    command = body.command(caller.own(body.merchant_id), reading.now)
    created = await commands.create_payment(command)
    if not created.created:
        response.status_code = 200
    async with reading.transactions.transaction() as session:
        reader = PaymentReader(session, reading.public_url, reading.now)
        return await reader.one(caller.merchant_id, created.payment_id)


@router.get("", operation_id="listPayments")
async def list_payments(
    merchant_id: OwnMerchant, paging: Paging, reader: Reader, narrowed: Filter
) -> Listing[Payment]:
    """List payments, newest first."""
    status, customer_id = narrowed
    statement = payments.newest_first(
        merchant_id, reader.now, status=status, customer_id=customer_id
    )
    page = await paginate(reader.session, statement, paging)
    return listing(await reader.answers(merchant_id, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getPayment")
async def get_payment(id: PaymentId, caller: Caller, reader: Reader) -> Payment:
    """Get a payment, by its own id or by its session's."""
    if id.startswith("pay_"):
        return await reader.one(caller.merchant_id, id)
    return await reader.of_page(caller.merchant_id, id)


def _sum(lines: list[LineInput]) -> Decimal:
    with exact():
        return sum((Decimal(line.amount) * line.quantity for line in lines), Decimal(0))


def _life(written: str, now: datetime) -> Duration:
    life = parse_duration(written)
    # Compared before it is added: what is too long may also lie beyond the calendar.
    is_short = life.mean_seconds <= 2 * LIFE_MAX.total_seconds()
    if not is_short or not now < life.after(now) <= now + LIFE_MAX:
        raise InvalidValue("Must be longer than nothing and at most P31D", field="expiresIn")
    return life
