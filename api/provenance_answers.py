"""How a line's amount before tax was calculated, as the contract traces it; it rates nothing."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field

from api.schema import Absent, Instant, Wire
from billing.explanation import Explanation
from billing.money import MONEY_CONTEXT, exact, text
from billing.pricing.breakdown import Part
from billing.proration import SHARE_DIGITS
from billing.taxes import INCLUSIVE_DIGITS
from models.invoices import Invoice, InvoiceLine
from models.queries.explanations import WALLET, told
from models.queries.invoices import OPEN_STATUSES

VERSION = 1
PRICE, METER, MERCHANT, BILLED, TAX = "price", "meter", "merchant", "billed", "tax"
LINE, DEAL, ALLOWANCE = "line", "adjustment", "entitlement"


class Precision(Wire):
    """The arithmetic of every step that does not say otherwise."""

    significant_digits: int = MONEY_CONTEXT.prec
    rounding: str = "half_up"


class Window(Wire):
    """Start included, end excluded."""

    start: Instant
    end: Instant


class Given(Wire):
    """A value that the calculation started from, and the key of its source."""

    value: str
    source: str


class InputPrice(Wire):
    """The price as a function, and the key of its source."""

    fn: dict[str, Any]
    source: str


class Inputs(Wire):
    """What the calculation started from."""

    kind: Literal["priced", "given", "fromLine"]
    quantity: Absent[Given] = None
    selector: Absent[Given] = None
    price: Absent[InputPrice] = None
    amount: Absent[Given] = None


class Source(Wire):
    """Where a value came from: links, and the values as they were read."""

    type: str
    ref: Absent[dict[str, Any]] = None
    as_used: Absent[dict[str, Any]] = None
    reason: Absent[str] = None


class Step(Wire):
    """One step on the amount."""

    op: str
    on: str = "amount"
    was: str | None = Field(alias="in")
    out: str
    params: dict[str, Any]
    source: str


class Result(Wire):
    """What is stored of the line."""

    amount: str
    quantity: str | None
    unit_price: str | None


class Provenance(Wire):
    """The trace; every member is there where it is `recorded`."""

    status: Literal["recorded", "notRecorded", "pending"]
    version: Absent[int] = None
    currency: Absent[str] = None
    precision: Absent[Precision] = None
    period: Absent[Window] = None
    calculated_at: Absent[Instant] = None
    subscription_id: Absent[str] = None
    inputs: Absent[Inputs] = None
    sources: Absent[dict[str, Source]] = None
    steps: Absent[list[Step]] = None
    not_applied: Absent[list[Any]] = None
    result: Absent[Result] = None

    @classmethod
    def of(cls, invoice: Invoice, row: InvoiceLine) -> Self:
        """The trace of an invoice's line."""
        if invoice.status in OPEN_STATUSES:
            return cls(status="pending")
        origin = row.origin or {}
        if "calculated_at" not in origin:
            return cls(status="notRecorded")
        steps = told(row, "inclusive" if invoice.tax_behavior == "inclusive" else "exclusive")
        return cls(
            status="recorded",
            version=VERSION,
            currency=invoice.currency,
            precision=Precision(),
            period=Window(start=row.period_start, end=row.period_end),
            calculated_at=datetime.fromisoformat(origin["calculated_at"]),
            subscription_id=invoice.subscription_id,
            inputs=_inputs(row, steps),
            sources=_sources(row, steps),
            steps=[] if steps is None else _steps(row, steps),
            not_applied=[],
            result=Result(
                amount=text(row.total_price),
                quantity=text(row.quantity),
                unit_price=text(row.unit_price),
            ),
        )


def _inputs(row: InvoiceLine, steps: Explanation | None) -> Inputs:
    if steps is None or row.kind == "manual":
        with exact():
            amount = row.quantity * row.unit_price
        return Inputs(kind="given", amount=Given(value=text(amount), source=MERCHANT))
    if steps.origin.discounted is not None:
        amount = steps.origin.discounted
        return Inputs(kind="fromLine", amount=Given(value=text(amount), source=LINE))
    return _priced(steps)


def _priced(steps: Explanation) -> Inputs:
    is_metered = steps.origin.usage is not None
    quantity = Given(value=text(_measured(steps)), source=METER if is_metered else PRICE)
    function = price_function(steps.price.model, steps.price.properties)
    price = InputPrice(fn=function, source=PRICE)
    return Inputs(kind="priced", quantity=quantity, selector=quantity, price=price)


def _measured(steps: Explanation) -> Decimal:
    """The quantity before an allowance and before adjustments."""
    burned = steps.origin.burned
    return _allowed(steps) if burned is None else burned.usage


def _allowed(steps: Explanation) -> Decimal:
    """The quantity before adjustments."""
    measured = steps.origin.measured
    return steps.quantity if measured is None else measured


def price_function(model: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A price as the contract writes it; models that it does not know go by our names."""
    match model:
        case "standard":
            return {"model": "unit", "rate": properties["unitPrice"]}
        case "volume":
            bands = [
                {"upTo": tier.get("upTo"), "rate": tier["unitPrice"]}
                | ({"flatAmount": tier["flatAmount"]} if "flatAmount" in tier else {})
                for tier in properties["tiers"]
            ]
            return {"model": "volume", "bands": bands}
        case "graduated":
            bands = [
                {
                    "upTo": tier.get("upTo"),
                    "rate": tier["unitPrice"],
                    "flatAmount": tier.get("flatAmount", "0"),
                }
                for tier in properties["tiers"]
            ]
            return {"model": "graduated", "bands": bands}
        case "package":
            size = {"packageSize": properties["packageSize"]}
            return {"model": "package", "rate": properties["unitPrice"]} | size
        case "percentage":
            return {
                "model": "percentage",
                "rate": properties["percentage"],
                "min": properties["minCharge"],
                "max": properties["maxCharge"],
            }
        case _:
            return {"model": model, **properties}


def _sources(row: InvoiceLine, steps: Explanation | None) -> dict[str, Source]:
    if steps is None or row.kind == "manual":
        values = {"quantity": text(row.quantity), "unitPrice": text(row.unit_price)}
        if row.kind == WALLET:
            values |= (row.origin or {}).get(WALLET, {})
        found = {MERCHANT: Source(type="merchant", as_used=values)}
    elif steps.origin.discounted is not None:
        used = {"amount": text(steps.origin.discounted)}
        found = {LINE: Source(type="line", ref={"priceId": row.price_id}, as_used=used)}
    else:
        found = _catalogue_sources(row, steps)
    if row.adjustment_ids:
        found[DEAL] = Source(type="adjustment", ref={"adjustmentIds": list(row.adjustment_ids)})
    if steps is not None and steps.behavior == "inclusive":
        source = steps.price.tax_source or "outside_scope"
        found[TAX] = Source(type="tax", as_used={"rate": text(row.tax_rate), "from": source})
    return found


def _catalogue_sources(row: InvoiceLine, steps: Explanation) -> dict[str, Source]:
    price, origin = steps.price, steps.origin
    sold = {"quantity": text(row.quantity)} if origin.usage is None else {}
    version = {} if price.plan_version_id is None else {"planVersionId": price.plan_version_id}
    found = {
        PRICE: Source(
            type="price",
            ref={"priceId": row.price_id, **version},
            as_used={"model": price.model, "properties": dict(price.properties), **sold},
        )
    }
    if origin.usage is None:
        return found
    read = {"reading": text(origin.usage), "eventCount": origin.event_count}
    if origin.uses.quantity:
        read["uses"] = text(origin.uses.quantity)
    found[METER] = Source(type="meter", ref={"billableMetricId": row.source_id}, as_used=read)
    if origin.burned is not None:
        found[ALLOWANCE] = Source(
            type="entitlement",
            ref={"featureId": price.feature_id},
            as_used={
                "covered": text(origin.burned.covered),
                "billed": text(origin.burned.billed),
                "forgone": text(origin.burned.forgone),
            },
        )
    if origin.billed is not None:
        found[BILLED] = Source(
            type="storedRow",
            ref={"invoiceId": origin.billed.invoice_id},
            as_used={
                "quantity": text(origin.billed.quantity),
                "amount": text(origin.billed.amount),
            },
            reason="billed_before",
        )
    return found


def _steps(row: InvoiceLine, steps: Explanation) -> list[Step]:
    """Each starts where the last one ended, and the last one ends at the stored amount."""
    origin = MERCHANT if row.kind == "manual" else PRICE
    made = [_discount(steps)] if steps.origin.discounted is not None else _evaluated(row, steps)
    amount = steps.rated
    if steps.correction is not None:
        billed = steps.correction
        params = {"amount": text(billed.amount), "carried": text(billed.billed.carried)}
        if steps.origin.part is not None:
            params |= {"kept": str(steps.origin.part), "significantDigits": str(SHARE_DIGITS)}
        made.append(_step("subtractBilled", amount, steps.owed, params, BILLED))
        amount = steps.owed
    if steps.fraction != 1:
        made.append(_step("prorate", amount, steps.prorated, _proration(row, steps), PRICE))
        amount = steps.prorated
    if steps.taxed.price != amount:
        params = {"rate": text(row.tax_rate), "significantDigits": str(INCLUSIVE_DIGITS)}
        made.append(_step("extractTax", amount, steps.taxed.price, params, TAX))
        amount = steps.taxed.price
    if steps.origin.uncut is not None:
        params = {"max": text(abs(row.total_amount)), "scope": "invoice"}
        params |= {"total": text(abs(steps.origin.uncut)), "significantDigits": str(SHARE_DIGITS)}
        made.append(_step("cap", amount, steps.outcome.price, params, origin))
    return made


def _discount(steps: Explanation) -> Step:
    part = str(-(steps.origin.part or 0))
    terms = [{"by": "share", "value": part, "label": "discount"}]
    params = {"terms": terms, "significantDigits": str(SHARE_DIGITS)}
    return _step("scale", steps.origin.discounted, steps.rated, params, DEAL)


def _evaluated(row: InvoiceLine, steps: Explanation) -> list[Step]:
    """The quantity where a deal changed it, and what it costs."""
    quantity, measured = text(steps.quantity), steps.origin.measured
    made = []
    if _measured(steps) != _allowed(steps):
        params: dict[str, Any] = {"reason": "allowance"}
        allowed = _step("replace", _measured(steps), _allowed(steps), params, ALLOWANCE)
        made.append(allowed.model_copy(update={"on": "quantity"}))
    if measured is not None:
        params = {"reason": "adjusted"}
        adjusted = _step("replace", measured, steps.quantity, params, DEAL)
        made.append(adjusted.model_copy(update={"on": "quantity"}))
    params = {"quantity": quantity, "selector": quantity}
    if row.kind != "manual":
        params["fn"] = price_function(steps.price.model, steps.price.properties)
    params["applied"] = [_applied(part) for part in steps.parts]
    source = MERCHANT if row.kind == "manual" else PRICE
    return [*made, _step("evaluate", None, steps.rated, params, source)]


def _applied(part: Part) -> dict[str, str]:
    named = {
        "units": part.units,
        "rate": part.unit_price,
        "above": part.above,
        "upTo": part.up_to,
        "amount": part.amount,
    }
    return {"kind": part.kind} | {
        name: text(value) for name, value in named.items() if value is not None
    }


def _proration(row: InvoiceLine, steps: Explanation) -> dict[str, Any]:
    cycle = steps.origin.cycle
    return {
        "fraction": str(steps.fraction),
        "billed": Window(start=row.period_start, end=row.period_end),
        "of": Window(start=cycle.start, end=cycle.end),
        "basis": "seconds",
        "significantDigits": str(SHARE_DIGITS),
    }


def _step(op: str, was: Decimal | None, out: Decimal, params: dict[str, Any], source: str) -> Step:
    return Step(
        op=op,
        was=None if was is None else text(was),
        out=text(out),
        params=params,
        source=source,
    )
