"""A document's texts in the places where they stand; every text is final, none is markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from activities.documents.facts import DocumentFacts, DocumentLine, Party
from activities.documents.tax_numbers import is_reverse_charge
from activities.documents.wording import Wording
from billing.documents import TaxGroup
from billing.money import context_of

Tone = Literal["open", "good", "quiet"]
_TONES: Final[dict[str, Tone]] = {"due": "open", "paid": "good"}
_LETTER_COUNTRIES: Final = frozenset({"US", "CA"})
NOTHING: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Row:
    """A label and what it labels."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """One line of the table."""

    name: str
    detail: str
    quantity: str
    unit_price: str
    tax: str
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What the template places."""

    language: str
    paper: Literal["a4", "us-letter"]
    title: str
    number: str
    standing: str
    tone: Tone
    seller_label: str
    seller: Sequence[str]
    buyer_label: str
    buyer: Sequence[str]
    facts: Sequence[Row]
    columns: Sequence[str]
    charges: Sequence[ChargeRow]
    sums: Sequence[Row]
    total: Row
    after: Sequence[Row]
    owed: Row | None
    notes: Sequence[str]
    link_label: str
    link: str | None
    page_label: str
    author: str


def lay_out(facts: DocumentFacts, wording: Wording, payment_url: str | None = None) -> Sheet:
    """The sheet of a document; the link is where it can be paid."""
    label = wording.label
    is_inclusive = facts.tax_behavior == "inclusive"
    return Sheet(
        language=wording.language,
        paper="us-letter" if facts.seller.country in _LETTER_COUNTRIES else "a4",
        title=label("credit_note" if facts.is_credit_note else "invoice"),
        number=facts.number,
        standing=label(f"standing_{facts.standing}"),
        tone=_TONES.get(facts.standing, "quiet"),
        seller_label=label("from"),
        seller=_party(facts.seller, wording),
        buyer_label=label("billed_to"),
        buyer=_party(facts.buyer, wording),
        facts=_dates(facts, wording),
        columns=[
            label("description"),
            label("quantity"),
            label("unit_price"),
            label("tax"),
            label("amount_with_tax" if is_inclusive else "amount"),
        ],
        charges=[_charge(line, facts, wording) for line in facts.lines],
        sums=_sums(facts, wording),
        total=Row(label("total"), wording.amount(facts.total, facts.currency)),
        after=_after(facts, wording),
        owed=_owed(facts, wording),
        notes=[label("reverse_charge")] if is_reverse_charge(facts) else [],
        link_label=label("pay_online"),
        link=payment_url if facts.owed > 0 else None,
        page_label=label("page", page="{page}", pages="{pages}"),
        author=facts.seller.name,
    )


def _party(party: Party, wording: Wording) -> list[str]:
    """Name and address, as letters carry them; the country by its name."""
    address = party.address
    town = " ".join(
        part for part in (address.get("zipCode"), address.get("city"), address.get("state")) if part
    )
    country = wording.territory(party.country)
    parts = [party.name, address.get("line1"), address.get("line2"), town, country, party.email]
    if party.tax_id:
        parts.append(f"{wording.label('tax_id')}: {party.tax_id}")
    return [part for part in parts if part]


def _dates(facts: DocumentFacts, wording: Wording) -> list[Row]:
    label = wording.label
    rows = [Row(label("number"), facts.number), Row(label("date"), wording.date(facts.issued_at))]
    if facts.is_credit_note:
        rows.append(Row(label("of_invoice"), facts.invoice_number))
    elif facts.due_at is not None:
        rows.append(Row(label("due_date"), wording.date(facts.due_at)))
    rows.append(Row(label("period"), wording.period(facts.period)))
    return rows


def _charge(line: DocumentLine, facts: DocumentFacts, wording: Wording) -> ChargeRow:
    parts = [wording.period(line.window)]
    if line.fraction not in ("1", "0"):
        share = Fraction(line.fraction)
        part = context_of(34).divide(Decimal(share.numerator), Decimal(share.denominator))
        parts.append(wording.label("prorated", share=wording.share(part)))
    quantity = wording.quantity(line.quantity)
    return ChargeRow(
        name=line.name,
        detail=" · ".join(parts),
        quantity=f"{quantity} {line.unit}".rstrip() if line.kind == "metric" else quantity,
        unit_price=wording.price(line.unit_price, facts.currency),
        tax=wording.percent(line.tax_rate) if line.tax_rate else NOTHING,
        amount=wording.amount(line.amount, facts.currency),
    )


def _sums(facts: DocumentFacts, wording: Wording) -> list[Row]:
    """What the total is made of: without tax, and the tax by rate."""
    is_inclusive = facts.tax_behavior == "inclusive"
    taxed = [group for group in facts.taxes if group.rate]
    first = wording.label("net" if is_inclusive else "subtotal")
    rows = [Row(first, wording.amount(facts.subtotal, facts.currency))]
    return rows + [_tax(group, facts, wording) for group in taxed]


def _tax(group: TaxGroup, facts: DocumentFacts, wording: Wording) -> Row:
    base = wording.amount(group.base, facts.currency)
    rate = wording.percent(group.rate)
    return Row(f"{wording.label('tax')} {rate} ({base})", wording.amount(group.tax, facts.currency))


def _after(facts: DocumentFacts, wording: Wording) -> list[Row]:
    if not facts.paid or facts.is_credit_note:
        return []
    paid = wording.amount(-facts.paid, facts.currency)
    if facts.paid_at is None:
        return [Row(wording.label("paid"), paid)]
    return [Row(f"{wording.label('paid_on')} {wording.date(facts.paid_at)}", paid)]


def _owed(facts: DocumentFacts, wording: Wording) -> Row | None:
    if facts.is_credit_note or facts.standing in ("cancelled", "written_off"):
        return None
    label = f"{wording.label('amount_due')} ({facts.currency})"
    return Row(label, wording.amount(facts.owed, facts.currency))
