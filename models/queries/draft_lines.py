"""A draft's lines as rows of its invoice; it rates nothing and writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing.explanation import document_of
from billing.ids import derived_id
from billing.invoicing import Totals
from billing.periods import Period
from billing.rating import RatedLine
from models.base import wall_now
from models.invoices import Invoice, InvoiceLine
from models.queries.terms import SourceNames

NOTHING = Decimal(0)
ONCE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Draft:
    """Rated lines, not yet stored."""

    lines: Sequence[RatedLine]
    names: Mapping[str, SourceNames]
    totals: Totals
    period: Period
    wallet_charge: Decimal
    wallet_origin: Mapping[str, str]
    """The minimum and the balance that the wallet charge lies between."""
    watermark: str
    """The snapshot of the events that its lines count."""
    late_watermark: str | None
    """The same, where earlier periods were looked at too."""

    def names_of(self, line: RatedLine) -> SourceNames:
        """What a line names; one of late usage is found by its metric."""
        return self.names[line.price.source_id if line.is_late else line.price.price_id]

    @property
    def grand_total(self) -> Decimal:
        return self.totals.grand_total + self.wallet_charge


def line_rows(invoice: Invoice, draft: Draft) -> list[InvoiceLine]:
    """The draft's lines as rows; their ids are derived from the invoice, price and window."""
    return [InvoiceLine(**columns) for columns in line_columns(invoice, draft)]


def line_columns(invoice: Invoice, draft: Draft) -> list[dict[str, Any]]:
    """The same rows, as the columns that a statement writes."""
    calculated_at = wall_now().isoformat()
    rows = [
        _line(invoice, draft, line, position, calculated_at)
        for position, line in enumerate(draft.lines)
    ]
    if draft.wallet_charge:
        rows.append(_wallet_line(invoice, draft, len(rows), calculated_at))
    return rows


def _line(
    invoice: Invoice, draft: Draft, line: RatedLine, position: int, calculated_at: str
) -> dict[str, Any]:
    price, names = line.price, draft.names_of(line)
    origin = document_of(line)
    origin["calculated_at"] = calculated_at
    return {
        "id": _line_id(invoice, line),
        "merchant_id": invoice.merchant_id,
        "invoice_id": invoice.id,
        "position": position,
        "kind": price.kind,
        "price_id": None if price.kind == "manual" else price.price_id,
        "source_id": price.source_id,
        "display_name": price.display_name,
        "source_name": names.name,
        "source_description": names.description,
        "source_unit": names.unit,
        "item_id": names.item_id,
        "payment_term": price.payment_term,
        "period_start": line.window.start,
        "period_end": line.window.end,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "fraction": str(line.fraction),
        "total_price": line.total_price,
        "total_tax": line.total_tax,
        "total_amount": line.total_amount,
        "tax_rate": price.tax_rate if price.in_scope else NOTHING,
        "carried": line.carried,
        "origin": origin,
        "adjustment_ids": list(line.adjustment_ids),
    }


def _line_id(invoice: Invoice, line: RatedLine) -> str:
    """A manual line keeps the id that its merchant knows it by."""
    if line.price.kind == "manual":
        return line.price.price_id
    parts = [invoice.id, line.price.price_id, line.window.start.isoformat()]
    if line.price.interval_id:
        parts.append(line.price.interval_id)
    if line.price.kind == "adjustment":
        parts += line.adjustment_ids
    if line.price.kind == "grant":
        parts.append(line.price.kind)
    return derived_id("li", *parts)


def _wallet_line(
    invoice: Invoice, draft: Draft, position: int, calculated_at: str
) -> dict[str, Any]:
    return {
        "id": derived_id("li", invoice.id, "wallet"),
        "merchant_id": invoice.merchant_id,
        "invoice_id": invoice.id,
        "position": position,
        "kind": "wallet",
        "price_id": None,
        "source_id": invoice.customer_id,
        "display_name": "Wallet top-up",
        "source_name": "",
        "source_description": "",
        "source_unit": "",
        "item_id": None,
        "payment_term": "in_advance",
        "period_start": draft.period.start,
        "period_end": draft.period.end,
        "quantity": ONCE,
        "unit_price": draft.wallet_charge,
        "fraction": "1",
        "total_price": draft.wallet_charge,
        "total_tax": NOTHING,
        "total_amount": draft.wallet_charge,
        "tax_rate": NOTHING,
        "carried": NOTHING,
        "origin": {"wallet": dict(draft.wallet_origin), "calculated_at": calculated_at},
        "adjustment_ids": [],
    }
