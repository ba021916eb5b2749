"""An invoice's amounts by hand, in fractions, from nothing but its explanation's JSON.

It shares no arithmetic with the product: what it finds out, a person with a calculator would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
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
    billed = _billed_quantities(told["lines"])
    full = {line["id"]: _full(line, behavior, billed) for line in told["lines"]}
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
        sold = Fraction(steps.get("measuredQuantity", line["quantity"]))
        interval = steps["price"].get("interval")
        assert interval is None or sold == _agreed(interval, line["window"]["start"]), line
        return sold
    read = max(Fraction(usage["reading"]), Fraction(0))
    if (allowance := usage.get("allowance")) is not None:
        read -= _left_out(allowance, read)
    return read + Fraction(usage["uses"]["quantity"])


def _left_out(allowance: Any, read: Fraction) -> Fraction:
    """What of a reading is not in a line's quantity: what grants cover, and what is forgone.

    Of usage without corrections below zero; each stretch is covered as far as the grants reach.
    """
    stretches = allowance["stretches"]
    covered = Fraction(0)
    for each in stretches:
        reached = min(Fraction(each["used"]), Fraction(each["available"]))
        assert reached == Fraction(each["covered"]), each
        covered += Fraction(each["covered"])
    assert covered == Fraction(allowance["covered"]), allowance
    forgone = Fraction(allowance["forgone"])
    assert covered + Fraction(allowance["billed"]) + forgone == read, allowance
    return forgone if allowance["isShownAsDiscount"] else covered + forgone


def _agreed(interval: Any, start: str) -> Fraction:
    """How many of a fee the subscription's own terms ask for at an instant."""
    steps = [
        step["quantity"] for step in interval["quantityTransitions"]
        if datetime.fromisoformat(step["effectiveDate"]) <= datetime.fromisoformat(start)
    ]  # fmt: skip
    return Fraction([interval["baseQuantity"], *steps][-1])


def _values(deal: Any, kind: str) -> list[Fraction]:
    return [Fraction(term["value"]) for term in deal if term["kind"] == kind]


def adjusted(quantity: Fraction, deal: Any) -> Fraction:
    """What is billed of it under a deal: units are waived first, then the bounds hold."""
    quantity -= sum(_values(deal, "usageDiscount"), Fraction(0))
    quantity = max([quantity, Fraction(0), *_values(deal, "minimumQuantity")])
    return min([quantity, *_values(deal, "maximumQuantity")])


def _billed_quantities(lines: Any) -> dict[str, Fraction]:
    """What is billed of each line's quantity; bounds hold for all lines of a price and period.

    Usage is added up; a fee's quantities are weighed by their time.
    """
    together: dict[tuple[str, str, bool], list[Any]] = {}
    for line in lines:
        if line["kind"] in ("fee", "metric"):
            steps = line["steps"]
            period = steps.get("countedFor", steps["proration"]["cycle"])
            name = steps["price"].get("priceKey") or steps["price"]["priceId"]
            key = (name, str(period), "correction" in steps)
            together.setdefault(key, []).append(line)
    return {name: found for each in together.values() for name, found in _bounded(each).items()}


def _bounded(lines: list[Any]) -> dict[str, Fraction]:
    deal = lines[0]["steps"]["deal"]
    waived = sum(_values(deal, "usageDiscount"), Fraction(0))
    quantities = [max(quantity_of(line) - waived, Fraction(0)) for line in lines]
    seconds = [Fraction(line["window"]["seconds"]) for line in lines]
    whole_time = sum(seconds, Fraction(0))
    weights = [
        each / whole_time if lines[0]["kind"] == "fee" and whole_time else Fraction(1)
        for each in seconds
    ]
    whole = sum((a * b for a, b in zip(quantities, weights, strict=True)), Fraction(0))
    if lines[0]["kind"] == "fee":
        count = sum(weights, Fraction(0))
        return _scaled(lines, quantities, (whole, _within(whole, deal), count))
    if "correction" in lines[0]["steps"]:
        return {
            line["id"]: _scaled([line], [quantity], _side_of(line, quantity, deal))[line["id"]]
            for line, quantity in zip(lines, quantities, strict=True)
        }
    told = _side_of(lines[0], whole, deal)
    assert told[0] == whole, lines
    return _scaled(lines, quantities, told)


def _side_of(line: Any, quantity: Fraction, deal: Any) -> tuple[Fraction, Fraction, Fraction]:
    """What a line's side came to, what it owes, and how many lines it has."""
    beside = line["steps"].get("boundedWith")
    if beside is None:
        return quantity, _within(quantity, deal), Fraction(1)
    side, other = Fraction(beside["quantity"]), Fraction(beside["otherSidesQuantity"])
    owed = _within(side + other, deal) - Fraction(beside["otherSidesBilled"])
    return side, max(owed, Fraction(0)), Fraction(beside["lines"])


def _within(quantity: Fraction, deal: Any) -> Fraction:
    """The nearest quantity within the bounds."""
    least = max([quantity, *_values(deal, "minimumQuantity")])
    return min([least, *_values(deal, "maximumQuantity")])


def _scaled(
    lines: list[Any], quantities: list[Fraction], side: tuple[Fraction, Fraction, Fraction]
) -> dict[str, Fraction]:
    """The lines' parts of what their side owes; where nothing was measured, they share evenly."""
    whole, owed, count = side
    if owed != whole and whole:
        quantities = [significant(each * owed / whole, 40) for each in quantities]
    elif owed != whole:
        quantities = [significant(owed / count, 40)] * len(lines)
    return {line["id"]: found for line, found in zip(lines, quantities, strict=True)}


def _full(line: Any, behavior: str, billed: dict[str, Fraction]) -> Amounts:
    """What it would come to on an invoice that can bear it."""
    steps = line["steps"]
    price = steps["price"]
    if (change := steps.get("planChange")) is not None:
        amount = _of_change(change, price, Fraction(steps["pricedQuantity"]))
    elif line["kind"] in ("manual", "grant"):
        amount = Fraction(line["quantity"]) * Fraction(line["unitPrice"])
    elif line["kind"] == "adjustment":
        amount = -_share(
            Fraction(steps["discount"]["discountedAmount"]), steps["discount"]["share"]
        )
    else:
        _check_rate(price)
        quantity = billed[line["id"]]
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
    whole = amount
    for taken in steps.get("discountsTaken", []):
        amount -= _share(whole, taken["share"])
    rate = Fraction(steps["tax"]["rate"])
    if behavior == "exclusive":
        return Amounts(amount, amount * rate, amount * (1 + rate))
    net = significant(amount / (1 + rate), steps["tax"]["significantDigits"]) if rate else amount
    return Amounts(net, amount - net, amount)


def _of_change(change: Any, price: Any, quantity: Fraction) -> Fraction:
    """What a plan change gives back is what was billed; what it asks for is a price."""
    if change["kind"] == "given_back":
        return -Fraction(change["billedAmount"])
    return MODELS[price["model"]](price["properties"], quantity)


def _check_rate(price: Any) -> None:
    """A rate of the subscription's own is the price that the line was rated by."""
    interval = price.get("interval")
    if interval is not None and interval["unitPrice"] is not None:
        assert price["model"] == "standard"
        assert Fraction(price["properties"]["unitPrice"]) == Fraction(interval["unitPrice"])


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
            flat = Fraction(tier.get("flatAmount", "0"))
            return quantity * Fraction(tier["unitPrice"]) + flat
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


def instant(text: str) -> datetime:
    """An instant as the wire writes it."""
    return datetime.fromisoformat(text)
