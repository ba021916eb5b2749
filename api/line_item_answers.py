"""What a line item is answered as, billed or written for an invoice to come; it rates nothing."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple, Self

from api.provenance_answers import Provenance
from api.schema import Absent, Instant, Wire
from billing.money import amount_text, text
from billing.rating import RatedLine
from models.invoices import Invoice, InvoiceLine
from models.manual_lines import ManualLine
from models.queries.invoices import OPEN_STATUSES

Status = Literal["pending", "invoiced"]


class Billed(NamedTuple):
    """A line of an invoice, stored or as it would be."""

    line: InvoiceLine
    invoice: Invoice

    @property
    def item_id(self) -> str | None:
        """What it is tagged with."""
        return self.line.item_id


class Waiting(NamedTuple):
    """A manual line for an invoice to come."""

    row: ManualLine
    line: RatedLine

    @property
    def item_id(self) -> str | None:
        """What it is tagged with."""
        return self.row.item_id


LineType = Literal["fee", "metered", "manual", "discount", "adjustment"]
TYPES: Mapping[str, LineType] = {
    "metric": "metered",
    "manual": "manual",
    "adjustment": "adjustment",
    "grant": "discount",
}


class LineItem(Wire):
    """A charge, billed or pending; a pending metered one carries estimates."""

    id: str
    subscription_id: str
    customer_id: str
    invoice_id: str | None
    type: LineType
    status: Status
    display_name: str
    description: str | None
    currency: str
    period_start: Instant
    period_end: Instant
    invoice_at: Instant
    price_id: str | None
    item_id: str | None
    payment_term: str | None
    unit_price: str
    quantity: str | None
    metered_quantity: str | None
    subtotal: str
    taxes_total: str | None
    total: str
    estimated_metered_quantity: str | None
    estimated_subtotal: str | None
    calculated_at: Instant | None
    usage_discount_ids: list[str]
    created_at: Instant
    updated_at: Instant
    provenance: Absent[Provenance] = None

    @classmethod
    def of(
        cls, line: InvoiceLine, invoice: Invoice, waiving: Collection[str], *, traced: bool = False
    ) -> Self:
        """The answer for a line, stored or not; `waiving` are the usage discounts among deals."""
        is_metered = line.kind == "metric"
        is_pending = invoice.status in OPEN_STATUSES
        is_estimate = is_metered and is_pending
        nothing = amount_text(Decimal(0), invoice.currency)
        metered = _metered(line)
        return cls.from_row(
            line,
            subscription_id=invoice.subscription_id,
            customer_id=invoice.customer_id,
            invoice_id=None if is_pending else invoice.id,
            type=TYPES.get(line.kind, "fee"),
            status="pending" if is_pending else "invoiced",
            description=line.source_description or None,
            currency=invoice.currency,
            invoice_at=invoice.issued_at or invoice.ended_to or invoice.period_start,
            unit_price=text(line.unit_price),
            quantity=None if is_estimate else text(line.quantity),
            metered_quantity=None if is_estimate or not is_metered else text(metered),
            subtotal=nothing if is_estimate else text(line.total_price),
            taxes_total=None if is_estimate else text(line.total_tax),
            total=nothing if is_estimate else text(line.total_amount),
            estimated_metered_quantity=text(metered) if is_estimate else None,
            estimated_subtotal=text(line.total_price) if is_pending else None,
            calculated_at=None if is_pending else invoice.issued_at,
            payment_term=None if line.kind in ("adjustment", "grant") else line.payment_term,
            usage_discount_ids=[found for found in line.adjustment_ids if found in waiving],
            created_at=invoice.created_at,
            updated_at=invoice.updated_at,
            provenance=Provenance.of(invoice, line) if traced else None,
        )

    @classmethod
    def written(cls, row: ManualLine, line: RatedLine, *, traced: bool = False) -> Self:
        """The answer for a manual line as it was written; its invoice shows what became of it."""
        return cls.from_row(
            row,
            invoice_id=row.billed_on,
            type="manual",
            status="pending" if row.billed_on is None else "invoiced",
            price_id=None,
            payment_term="in_arrears",
            unit_price=text(row.unit_price),
            quantity=text(row.quantity),
            metered_quantity=None,
            subtotal=text(line.total_price),
            taxes_total=text(line.total_tax),
            total=text(line.total_amount),
            estimated_metered_quantity=None,
            estimated_subtotal=None,
            calculated_at=None,
            usage_discount_ids=[],
            provenance=Provenance(status="pending") if traced else None,
        )


def _metered(line: InvoiceLine) -> Decimal:
    """What was measured: before a deal, and before an allowance is taken off."""
    origin = line.origin or {}
    is_divided = "allowance" in origin and "billed" not in origin
    read = origin["usage"] if is_divided else origin.get("measured", line.quantity)
    return Decimal(read)
