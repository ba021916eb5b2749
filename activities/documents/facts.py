"""What a document tells, read from the rows as they stand; it words and formats nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.currencies import minor_unit
from billing.documents import TaxGroup, fitted, tax_groups
from billing.money import exact
from billing.periods import Period
from billing.taxes import TaxBehavior
from models.invoices import Invoice, InvoiceLine
from models.queries import invoices, parties, payments, refunds
from models.refunds import Refund

Standing = Literal["due", "paid", "cancelled", "written_off", "refunded", "voided"]
_STANDINGS: Mapping[str, Standing] = {
    "ISSUED": "due",
    "PAYMENT_FAILED": "due",
    "PAID": "paid",
    "CANCELLED": "cancelled",
    "WRITTEN_OFF": "written_off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A seller or a buyer, as they were named at the issue."""

    name: str
    email: str
    address: Mapping[str, str]
    tax_id: str | None
    locale: str | None = None

    @property
    def country(self) -> str:
        """Two letters, upper case; empty where the address has none."""
        return str(self.address.get("country") or "").upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLine:
    """A charge; `amount` is rounded so that the lines sum to what the document says they do."""

    kind: str
    name: str
    description: str
    unit: str
    window: Period
    quantity: Decimal
    unit_price: Decimal
    fraction: str
    tax_rate: Decimal
    total_price: Decimal
    total_tax: Decimal
    amount: Decimal
    is_out_of_scope: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """An issued invoice, or a credit note for one."""

    number: str
    invoice_number: str
    """The same, unless it is a credit note."""
    is_credit_note: bool
    standing: Standing
    currency: str
    tax_behavior: TaxBehavior
    issued_at: datetime
    due_at: datetime | None
    paid_at: datetime | None
    period: Period
    seller: Party
    buyer: Party
    lines: Sequence[DocumentLine]
    subtotal: Decimal
    tax: Decimal
    total: Decimal
    paid: Decimal
    taxes: Sequence[TaxGroup]
    payment_token: str | None = None
    """The hosted page on which it can be paid, while it can."""

    @property
    def digits(self) -> int:
        """The decimals of its currency."""
        return minor_unit(self.currency)

    @property
    def owed(self) -> Decimal:
        """What is still to be paid."""
        with exact():
            return self.total - self.paid if self.standing == "due" else Decimal(0)


async def of_invoice(
    session: AsyncSession, merchant_id: str, invoice_id: str
) -> DocumentFacts | None:
    """The invoice's document; None while it has no number, or where there is no such invoice."""
    row = await invoices.get(session, merchant_id, invoice_id)
    if row is None or row.invoice_number is None:
        return None
    token = None
    if row.status == "ISSUED":
        sessions = await payments.sessions_of(session, merchant_id, [row.id])
        token = sessions[row.id].token if row.id in sessions else None
    return await _facts(session, row, None, token)


async def of_refund(
    session: AsyncSession, merchant_id: str, invoice_id: str, refund_id: str
) -> DocumentFacts | None:
    """The credit note of a refund of this invoice; None where there is none."""
    refund = await refunds.get(session, merchant_id, refund_id)
    row = await invoices.get(session, merchant_id, invoice_id)
    if refund is None or row is None or refund.invoice_id != row.id:
        return None
    return await _facts(session, row, refund, None)


async def _facts(
    session: AsyncSession, row: Invoice, refund: Refund | None, token: str | None
) -> DocumentFacts:
    named = row.parties
    if named is None:
        # Issued before invoices kept their own copy.
        named = await parties.of_customer(session, row.merchant_id, row.customer_id)
    lines = await invoices.lines_of(session, row.merchant_id, [row.id])
    digits = minor_unit(row.currency)
    assert row.invoice_number is not None
    assert row.issued_at is not None
    return DocumentFacts(
        number=row.invoice_number if refund is None else refund.id,
        invoice_number=row.invoice_number,
        is_credit_note=refund is not None,
        standing=_standing(row, refund),
        currency=row.currency,
        tax_behavior=_behavior(row),
        issued_at=row.issued_at if refund is None else refund.issued_at,
        due_at=row.due_at if refund is None else None,
        paid_at=row.paid_at if refund is None else refund.settled_at,
        period=Period(row.period_start, row.period_end),
        seller=_party(named["seller"]),
        buyer=_party(named["buyer"]),
        lines=_lines(row, lines),
        subtotal=row.subtotal,
        tax=row.total_tax,
        total=row.grand_total,
        paid=row.paid_amount if refund is None else row.grand_total,
        taxes=tax_groups(lines, subtotal=row.subtotal, tax=row.total_tax, digits=digits),
        payment_token=token,
    )


def _standing(row: Invoice, refund: Refund | None) -> Standing:
    if refund is not None:
        return "voided" if refund.status == "VOIDED" else "refunded"
    return _STANDINGS[row.status]


def _behavior(row: Invoice) -> TaxBehavior:
    return "inclusive" if row.tax_behavior == "inclusive" else "exclusive"


def _party(named: Mapping[str, Any]) -> Party:
    return Party(
        name=named["name"],
        email=named["email"],
        address={key: str(value) for key, value in named["address"].items() if value},
        tax_id=named["tax_id"],
        locale=named.get("locale"),
    )


def _lines(row: Invoice, lines: Sequence[InvoiceLine]) -> list[DocumentLine]:
    """The lines, with amounts that sum to the subtotal, or to the total where tax is inside."""
    if _behavior(row) == "inclusive":
        amounts, total = [line.total_amount for line in lines], row.grand_total
    else:
        amounts, total = [line.total_price for line in lines], row.subtotal
    shown = fitted(amounts, total, minor_unit(row.currency))
    return [
        DocumentLine(
            kind=line.kind,
            name=line.display_name or line.source_name,
            description=line.source_description,
            unit=line.source_unit,
            window=Period(line.period_start, line.period_end),
            quantity=line.quantity,
            unit_price=line.unit_price,
            fraction=line.fraction,
            tax_rate=line.tax_rate,
            total_price=line.total_price,
            total_tax=line.total_tax,
            amount=amount,
            is_out_of_scope=bool((line.origin or {}).get("is_out_of_scope")),
        )
        for line, amount in zip(lines, shown, strict=True)
    ]
