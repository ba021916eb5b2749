"""How a line came to its amounts: what is kept of its origin, and its steps told again from that.

What is kept is a small document of texts, stored with the line, so that the steps stay what they
were after the price, the plan or the tax has changed. It decides no amount: rating has done that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from billing.allowance_documents import burned_document, kept_burned
from billing.bounds import OtherSides, Together
from billing.interval_terms import interval_document, kept_interval
from billing.late_usage import amount_before, owed_difference
from billing.money import exact, text
from billing.periods import Period
from billing.plan_change import ChangedFee, change_document, kept_change
from billing.pricing.breakdown import Part, breakdown, breakdown_of_uses
from billing.proration import fraction, share
from billing.rating import Billed, Origin, PriceTerms, RatedLine, Uses
from billing.taxes import TaxBehavior, TaxedAmount, apply_tax


def document_of(line: RatedLine) -> dict[str, Any]:
    """What is stored of a line's price and origin, beside the line's own columns."""
    price, origin = line.price, line.origin or Origin(line.window)
    found: dict[str, Any] = {
        "model": price.model,
        "properties": dict(price.properties),
        "cycle": _window_document(origin.cycle),
        "period": None if origin.period is None else _window_document(origin.period),
        "plan_version_id": price.plan_version_id,
        "cadence": price.cadence.text() if price.cadence and price.kind == "metric" else None,
        "key": price.key or None,
        "interval_id": price.interval_id or None,
        "interval": price.interval and interval_document(price.interval),
        "tax_source": price.tax_source,
        "is_obligation": price.is_obligation or None,
        "is_once": price.is_once or None,
        "is_instant": price.is_instant or None,
        "is_out_of_scope": not price.in_scope or None,
        "feature_id": price.feature_id or None,
        "discounts_by_grants": price.discounts_by_grants or None,
        "allowance": origin.burned and burned_document(origin.burned),
        "shows_covered": origin.shows_covered or None,
        "usage": _text(origin.usage),
        "event_count": origin.event_count,
        "uncut": _text(origin.uncut),
        "measured": _text(origin.measured),
        "discounted": _text(origin.discounted),
        "part": None if origin.part is None else str(origin.part),
        "change": origin.change and change_document(origin.change),
        "carried_from": origin.carried_from,
        "behavior": origin.behavior,
    }
    if origin.uses.quantity or origin.uses.amount:
        found["uses"] = [text(origin.uses.quantity), text(origin.uses.amount)]
    if origin.billed is not None:
        found["billed"] = _billed_document(origin.billed)
    if origin.together is not None:
        found["together"] = _together_document(origin.together)
    return {name: value for name, value in found.items() if value is not None}


@lru_cache(maxsize=1_024)
def _window_document(window: Period) -> tuple[str, str]:
    return window.start.isoformat(), window.end.isoformat()


def _billed_document(billed: Billed) -> dict[str, str | None]:
    return {
        "quantity": text(billed.quantity),
        "amount": text(billed.amount),
        "carried": text(billed.carried),
        "invoice_id": billed.invoice_id,
    }


def _together_document(together: Together) -> list[str]:
    others = together.others
    return [
        text(together.quantity), str(together.lines), text(others.quantity), text(others.billed)
    ]  # fmt: skip


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else text(amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLine:
    """A line as it is stored: the document, and the columns that stand beside it."""

    kind: str
    price_id: str
    window: Period
    quantity: Decimal
    unit_price: Decimal
    tax_rate: Decimal
    """As it was applied: zero outside the scope of tax."""
    total: TaxedAmount
    behavior: TaxBehavior
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Correction:
    """What an earlier invoice billed for the same window, priced again at the price of today."""

    billed: Billed
    parts: Sequence[Part]
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Taken:
    """What a discount takes off a fee that a plan change asks for."""

    adjustment_id: str
    part: Fraction
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The steps from a reading to a line's amounts, each with its outcome."""

    price: PriceTerms
    origin: Origin
    behavior: TaxBehavior
    quantity: Decimal
    """What was priced: of a correction all that the window comes to now."""
    parts: Sequence[Part]
    rated: Decimal
    """What the parts sum to."""
    correction: Correction | None
    owed: Decimal
    """What is prorated: the rated amount, of a correction only what it differs."""
    fraction: Fraction
    prorated: Decimal
    taken: Sequence[Taken]
    """What is taxed is what these leave; elsewhere a discount is a line of its own."""
    taxed: TaxedAmount
    outcome: TaxedAmount
    """After a cut to what the invoice can bear."""
    agrees: bool
    """Whether the outcome is what is stored, to the last digit."""


def explain(line: KeptLine) -> Explanation:
    """The line's steps, told from what was kept."""
    price, origin = _price(line), _origin(line)
    quantity = _quantity(line, origin)
    parts = _parts(line, price, origin, quantity)
    correction = None if origin.billed is None else _correction(price, origin.billed)
    part = fraction(line.window, origin.cycle)
    with exact():
        rated = sum((each.amount for each in parts), Decimal(0))
    owed = rated
    if correction is not None:
        owed = owed_difference(price, correction.billed, rated, origin.part or Fraction(1))
    prorated = share(owed, part)
    taken = _taken(prorated, origin.change)
    with exact():
        left = prorated - sum((each.amount for each in taken), Decimal(0))
    taxed = apply_tax(left, line.tax_rate, line.behavior, in_scope=price.in_scope)
    outcome = taxed if origin.uncut is None else _cut(taxed, line.total.total)
    return Explanation(
        price=price,
        origin=origin,
        behavior=line.behavior,
        quantity=quantity,
        parts=parts,
        rated=rated,
        correction=correction,
        owed=owed,
        fraction=part,
        prorated=prorated,
        taken=taken,
        taxed=taxed,
        outcome=outcome,
        agrees=outcome == line.total and origin.uncut in (None, taxed.total),
    )


def _taken(prorated: Decimal, change: ChangedFee | None) -> list[Taken]:
    discounts = () if change is None else change.discounts
    return [Taken(name, part, share(prorated, part)) for name, part in discounts]


def _parts(line: KeptLine, price: PriceTerms, origin: Origin, quantity: Decimal) -> list[Part]:
    if origin.change is not None and origin.change.billed is not None:
        return [Part("given_back", origin.change.billed.copy_negate())]
    if line.kind in ("manual", "grant") and origin.change is None:
        with exact():
            amount = line.quantity * line.unit_price
        return [Part("units", amount, units=line.quantity, unit_price=line.unit_price)]
    if origin.discounted is not None and origin.part is not None:
        taken = share(origin.discounted, origin.part).copy_negate()
        return [Part("discount", taken)]
    is_read = origin.usage is not None and origin.measured is None
    if is_read and price.model == "dynamic":
        used = origin.uses
        metered = max(_read(origin), Decimal(0))
        return breakdown_of_uses(price.properties, metered, used.quantity, used.amount)
    if is_read and price.is_instant and not quantity:
        return []
    return breakdown(price.model, price.properties, quantity)


def _quantity(line: KeptLine, origin: Origin) -> Decimal:
    """What the reading and single uses come to; where there is none or it was adjusted, the line's.

    A correction's own quantity is only what is more than was billed before.
    """
    if origin.change is not None:
        return origin.change.quantity
    with exact():
        if origin.usage is not None and origin.measured is None:
            return max(_read(origin), Decimal(0)) + origin.uses.quantity
        return line.quantity + (Decimal(0) if origin.billed is None else origin.billed.quantity)


def _read(origin: Origin) -> Decimal:
    """What is billed of a reading: less what an allowance covers, where no other line shows it."""
    burned = origin.burned
    if burned is None:
        return origin.usage or Decimal(0)
    with exact():
        return burned.billed + burned.covered if origin.shows_covered else burned.billed


def _correction(price: PriceTerms, billed: Billed) -> Correction:
    """Uses that brought their own prices have no parts: they cost what they were billed for."""
    amount = amount_before(price, billed)
    is_told = price.model != "dynamic" and (bool(billed.quantity) or not price.is_instant)
    parts = breakdown(price.model, price.properties, billed.quantity) if is_told else []
    return Correction(billed, parts, amount)


def _cut(taxed: TaxedAmount, total: Decimal) -> TaxedAmount:
    """The tax is cut in the same proportion as the total."""
    with exact():
        tax = share(taxed.tax, Fraction(total) / Fraction(taxed.total))
        return TaxedAmount(total - tax, tax, total)


def _price(line: KeptLine) -> PriceTerms:
    document = line.document
    is_fee, is_manual = line.kind == "fee", line.kind == "manual"
    change = document.get("change", {})
    return PriceTerms(
        price_id=change.get("price_id", line.price_id),
        kind="fee" if is_fee else "manual" if is_manual else "metric",
        source_id="",
        display_name="",
        model=change.get("model", document["model"]),
        properties=change.get("properties", document["properties"]),
        payment_term="in_arrears",
        cadence=None,
        quantity=line.quantity,
        is_obligation=document.get("is_obligation", False),
        in_scope=not document.get("is_out_of_scope", False),
        tax_rate=line.tax_rate,
        is_instant=document.get("is_instant", False),
        tax_source=document.get("tax_source"),
        plan_version_id=document.get("plan_version_id"),
        key=document.get("key", ""),
        interval_id=document.get("interval_id", ""),
        interval=kept_interval(document["interval"]) if "interval" in document else None,
        feature_id=document.get("feature_id", ""),
    )


def _origin(line: KeptLine) -> Origin:
    document = line.document
    quantity, amount = document.get("uses", ("0", "0"))
    billed = document.get("billed")
    return Origin(
        cycle=_kept_window(document["cycle"]),
        period=_kept_window(document["period"]) if "period" in document else None,
        usage=_decimal(document.get("usage")),
        event_count=document.get("event_count"),
        uses=Uses(Decimal(quantity), Decimal(amount)),
        billed=None if billed is None else _billed(billed),
        uncut=_decimal(document.get("uncut")),
        measured=_decimal(document.get("measured")),
        discounted=_decimal(document.get("discounted")),
        part=Fraction(document["part"]) if "part" in document else None,
        change=kept_change(document["change"]) if "change" in document else None,
        carried_from=document.get("carried_from"),
        together=_together(document["together"]) if "together" in document else None,
        behavior=document.get("behavior"),
        burned=kept_burned(document["allowance"]) if "allowance" in document else None,
        shows_covered=document.get("shows_covered", False),
    )


def _kept_window(written: Sequence[str]) -> Period:
    start, end = (datetime.fromisoformat(each) for each in written)
    return Period(start, end)


def _billed(document: Mapping[str, str]) -> Billed:
    return Billed(
        Decimal(document["quantity"]),
        Decimal(document["amount"]),
        Decimal(document["carried"]),
        document["invoice_id"],
    )


def _together(written: Sequence[str]) -> Together:
    quantity, lines, other_quantity, other_billed = written
    others = OtherSides(Decimal(other_quantity), Decimal(other_billed))
    return Together(Decimal(quantity), int(lines), others)


def _decimal(written: str | None) -> Decimal | None:
    return None if written is None else Decimal(written)
