"""What a checkout page shows: read from the rows, decided here, rendered elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.money import amount_text, exact, text, to_minor_unit
from models.base import wall_now
from models.invoices import Invoice, InvoiceLine
from models.payments import Payment, PaymentSession
from models.queries import invoices, organizations, payments, subscriptions
from models.queries import test_clocks as clocks

State = Literal["open", "settled", "processing", "expired", "cancelled"]
PAYABLE_INVOICE = ("ISSUED", "PAYMENT_FAILED")
DOCUMENT_NAME = "invoice.pdf"
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line of what is to be paid."""

    name: str
    detail: str
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Subtotal and tax, where there is tax to show."""

    subtotal: str
    tax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A hosted session as its page shows it."""

    session: PaymentSession
    state: State
    merchant_name: str
    title: str
    amount: str
    """With its currency; empty where a card is only saved."""
    lines: Sequence[ShownLine] = ()
    sums: Sums | None = None
    clock_id: str | None = None
    clock_now: datetime | None = None

    @property
    def document_path(self) -> str | None:
        """Where a paid invoice is found as PDF, beside the page."""
        has_document = self.state == "settled" and self.session.collection_id.startswith("inv_")
        return f"{self.session.token}/{DOCUMENT_NAME}" if has_document else None

    @property
    def is_setup(self) -> bool:
        """Whether it saves a card and charges nothing."""
        return self.session.entity_type == "setup"


async def read_checkout(session: AsyncSession, token: str) -> Checkout | None:
    """The checkout with this token; the token stands for the merchant, who is not known before."""
    row = await payments.session_by_token(session, token)
    if row is None:
        return None
    merchant = await organizations.get(session, row.merchant_id)
    reading = _Reading(session, row, "" if merchant is None else merchant.name)
    if row.entity_type == "setup":
        return await reading.setup()
    if row.collection_id.startswith("inv_"):
        return await reading.invoice()
    return await reading.payment()


@dataclass(frozen=True, slots=True)
class _Reading:
    database: AsyncSession
    row: PaymentSession
    merchant_name: str

    async def setup(self) -> Checkout:
        is_saved = self.row.status == "completed"
        return Checkout(
            session=self.row,
            state="settled" if is_saved else self._lasting(wall_now()),
            merchant_name=self.merchant_name,
            title="Save a card",
            amount="",
        )

    async def payment(self) -> Checkout | None:
        payment = await payments.get_payment(
            self.database, self.row.merchant_id, self.row.collection_id
        )
        if payment is None:
            return None
        state: State = "settled" if payment.status == "completed" else "cancelled"
        if payment.status == "pending":
            state = await self._collectable(wall_now())
        elif payment.status == "expired":
            state = "expired"
        return Checkout(
            session=self.row,
            state=state,
            merchant_name=self.merchant_name,
            title=payment.reference or "Payment",
            amount=_with_currency(payment.amount, payment.currency),
            lines=_payment_lines(payment),
        )

    async def invoice(self) -> Checkout | None:
        row = self.row
        invoice = await invoices.get(self.database, row.merchant_id, row.collection_id)
        if invoice is None:
            return None
        clock_id = await self._clock_id(invoice)
        now = await clocks.now_of(self.database, row.merchant_id, clock_id, wall_now())
        state: State = "settled" if invoice.status == "PAID" else "cancelled"
        if invoice.status in PAYABLE_INVOICE:
            state = await self._collectable(now)
        elif row.status == "expired":
            state = "expired"
        lines = await invoices.lines_of(self.database, row.merchant_id, [invoice.id])
        return Checkout(
            session=row,
            state=state,
            merchant_name=self.merchant_name,
            title=f"Invoice {invoice.invoice_number}",
            amount=_with_currency(_owed(invoice), invoice.currency),
            lines=[_invoice_line(line, invoice.currency) for line in lines],
            sums=_sums(invoice),
            clock_id=clock_id,
            clock_now=None if clock_id is None else now,
        )

    async def _clock_id(self, invoice: Invoice) -> str | None:
        bound = await subscriptions.get(self.database, invoice.merchant_id, invoice.subscription_id)
        return None if bound is None else bound.test_clock_id

    async def _collectable(self, now: datetime) -> State:
        """A payment whose outcome is not known yet comes before everything else."""
        made = await payments.attempts_of(
            self.database, self.row.merchant_id, self.row.collection_id
        )
        if made and made[-1].status == "pending":
            return "processing"
        return self._lasting(now)

    def _lasting(self, now: datetime) -> State:
        """Open until the session ends, whoever has noticed that it has."""
        if self.row.status == "cancelled":
            return "cancelled"
        is_over = self.row.expires_at is not None and self.row.expires_at <= now
        return "expired" if is_over or self.row.status == "expired" else "open"


def _with_currency(amount: Decimal, currency: str) -> str:
    return f"{amount_text(amount, currency)} {currency}"


def _owed(invoice: Invoice) -> Decimal:
    """What the page asks for; once it is settled, what it asked for."""
    with exact():
        owed = invoice.grand_total - invoice.paid_amount
    return owed or invoice.grand_total


def _sums(invoice: Invoice) -> Sums | None:
    if not invoice.total_tax:
        return None
    return Sums(
        subtotal=amount_text(invoice.subtotal, invoice.currency),
        tax=amount_text(invoice.total_tax, invoice.currency),
    )


def _invoice_line(line: InvoiceLine, currency: str) -> ShownLine:
    window = f"{line.period_start:%d %b %Y} to {line.period_end:%d %b %Y}"
    return ShownLine(
        name=line.display_name or line.source_name,
        detail=f"{text(line.quantity)} {TIMES} {amount_text(line.unit_price, currency)}, {window}",
        amount=amount_text(to_minor_unit(line.total_price, currency), currency),
    )


def _payment_lines(payment: Payment) -> list[ShownLine]:
    shown = []
    for line in payment.line_items:
        amount, quantity = Decimal(line["amount"]), int(line["quantity"])
        each = amount_text(amount, payment.currency)
        shown.append(
            ShownLine(
                name=line["description"],
                detail=f"{quantity} {TIMES} {each}" if quantity > 1 else "",
                amount=amount_text(amount * quantity, payment.currency),
            )
        )
    return shown
