"""An invoice's amounts by hand, in fractions, from nothing but its explanation's JSON.

It shares no arithmetic with the product: what it finds out, a person with a calculator would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Properties = dict[str, Any]


@dataclass(frozen=True)
class Amounts:
    """What a line comes to."""

    price: Fraction
    tax: Fraction
    total: Fraction


def recompute(told: Any) -> dict[str, Amounts]:
    """Each line's amounts, by its id."""
    behavior = told["taxBehavior"]
    full = {line["id"]: _full(line, behavior) for line in told["lines"]}
    given = [line for line in told["lines"] if _is_credit(line, full)]
    names = {line["id"] for line in given}
    charged = (amounts.total for name, amounts in full.items() if name not in names)
    left = sum(charged, Fraction(0))
    for line in given:
        whole = full[line["id"]]
        used = min(-whole.total, left)
        left -= used
        if used != -whole.total:
            tax = significant(whole.tax * used / -whole.total, 40)
            full[line["id"]] = Amounts(-used - tax, tax, -used)
    return full


def due(told: Any, lines: dict[str, Amounts]) -> tuple[Fraction, Fraction]:
    """Subtotal and tax, each rounded once, half away from zero."""
    price = sum((each.price for each in lines.values()), Fraction(0))
    tax = sum((each.tax for each in lines.values()), Fraction(0))
    decimals = int(told["subtotal"]["decimals"])
    return half_up(half_up(price, 24), decimals), half_up(half_up(tax, 24), decimals)


def significant(value: Fraction, digits: int) -> Fraction:
    """To so many significant digits, half away from zero."""
    if not value:
        return value
    exponent = 0
    while abs(value) >= Fraction(10) ** (exponent + 1):
        exponent += 1
    while abs(value) < Fraction(10) ** exponent:
        exponent -= 1
    return half_up(value, digits - 1 - exponent)


def half_up(value: Fraction, decimals: int) -> Fraction:
    """To so many decimals, half away from zero."""
    scaled = abs(value) * Fraction(10) ** decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return (1 if value >= 0 else -1) * Fraction(whole) / Fraction(10) ** decimals


def quantity_of(line: Any) -> Fraction:
    """How much was used, or sold."""
    steps = line["steps"]
    usage = steps.get("usage")
    if usage is None:
        return Fraction(steps.get("measuredQuantity", line["quantity"]))
    return max(Fraction(usage["reading"]), Fraction(0)) + Fraction(usage["uses"]["quantity"])


def adjusted(quantity: Fraction, deal: Any) -> Fraction:
    """What is billed of it under a deal: units are waived first, then the bounds hold."""
    values: dict[str, list[Fraction]] = {}
    for term in deal:
        values.setdefault(term["kind"], []).append(Fraction(term["value"]))
    quantity -= sum(values.get("usageDiscount", []), Fraction(0))
    quantity = max([quantity, Fraction(0), *values.get("minimumQuantity", [])])
    return min([quantity, *values.get("maximumQuantity", [])])


def _full(line: Any, behavior: str) -> Amounts:
    """What it would come to on an invoice that can bear it."""
    steps = line["steps"]
    price = steps["price"]
    if line["kind"] == "manual":
        amount = Fraction(line["quantity"]) * Fraction(line["unitPrice"])
    elif line["kind"] == "adjustment":
        amount = -_share(
            Fraction(steps["discount"]["discountedAmount"]), steps["discount"]["share"]
        )
    else:
        quantity = adjusted(quantity_of(line), steps["deal"])
        assert quantity == Fraction(steps["pricedQuantity"]), line
        amount = MODELS[price["model"]](price["properties"], quantity)
    correction = steps.get("correction")
    if correction is not None:
        before = Fraction(correction["billedQuantity"])
        amount -= MODELS[price["model"]](price["properties"], before)
        if "kept" in correction:
            amount = _share(amount, correction["kept"])
        amount += Fraction(correction["carried"])
    window, cycle = line["window"], steps["proration"]["cycle"]
    if window != cycle:
        part = Fraction(window["seconds"]) / Fraction(cycle["seconds"])
        amount = significant(amount * part, steps["proration"]["significantDigits"])
    rate = Fraction(steps["tax"]["rate"])
    if behavior == "exclusive":
        return Amounts(amount, amount * rate, amount * (1 + rate))
    net = significant(amount / (1 + rate), steps["tax"]["significantDigits"]) if rate else amount
    return Amounts(net, amount - net, amount)


def _share(amount: Fraction, share: Any) -> Fraction:
    part = Fraction(int(share["numerator"]), int(share["denominator"]))
    return significant(amount * part, share["significantDigits"])


def _is_credit(line: Any, full: dict[str, Amounts]) -> bool:
    return line["kind"] == "manual" and full[line["id"]].total < 0


def _standard(properties: Properties, quantity: Fraction) -> Fraction:
    return quantity * Fraction(properties["unitPrice"])


def _volume(properties: Properties, quantity: Fraction) -> Fraction:
    for tier in properties["tiers"]:
        if tier["upTo"] is None or quantity <= Fraction(tier["upTo"]):
            return quantity * Fraction(tier["unitPrice"])
    raise AssertionError("no last tier")


def _graduated(properties: Properties, quantity: Fraction) -> Fraction:
    owed, below = Fraction(0), Fraction(0)
    for number, tier in enumerate(properties["tiers"]):
        if quantity > below or number == 0:
            owed += Fraction(tier.get("flatAmount", "0"))
        top = quantity if tier["upTo"] is None else min(quantity, Fraction(tier["upTo"]))
        if top > below:
            owed += (top - below) * Fraction(tier["unitPrice"])
            below = top
    return owed


def _package(properties: Properties, quantity: Fraction) -> Fraction:
    packages = -(-quantity // Fraction(properties["packageSize"]))
    return packages * Fraction(properties["unitPrice"])


def _percentage(properties: Properties, quantity: Fraction) -> Fraction:
    share = quantity * Fraction(properties["percentage"])
    return min(max(share, Fraction(properties["minCharge"])), Fraction(properties["maxCharge"]))


MODELS: dict[str, Callable[[Properties, Fraction], Fraction]] = {
    "standard": _standard,
    "volume": _volume,
    "graduated": _graduated,
    "package": _package,
    "percentage": _percentage,
}
