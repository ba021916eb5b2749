"""What one line comes to, in fractions: readings, price models, deals; it knows no invoices."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from tests.scenario.lives import Band, Deal, Event, Price, Span, share

MINOR = {"USD": 2, "JPY": 0, "KWD": 3}


def half_up(value: Fraction) -> Fraction:
    """To a whole number, halves away from zero."""
    whole = floor(abs(value) + Fraction(1, 2))
    return Fraction(whole if value >= 0 else -whole)


def reading(price: Price, events: list[Event]) -> Fraction:
    """What the metric reads of these events."""
    values = [each.value for each in sorted(events, key=lambda each: each.when)]
    readings = {
        "SUM": sum(values, Fraction(0)),
        "COUNT": Fraction(len(values)),
        "UNIQUE_COUNT": Fraction(len(set(values))),
        "AVG": sum(values, Fraction(0)) / (len(values) or 1),
        "MIN": min(values, default=Fraction(0)),
        "MAX": max(values, default=Fraction(0)),
        "LATEST": values[-1] if values else Fraction(0),
    }
    return readings[str(price.reads)]


def amount(price: Price, quantity: Fraction) -> Fraction:
    """What the model asks for so many units."""
    match price.model:
        case "package":
            return ceil(quantity / price.size) * price.unit
        case "percentage":
            charge = max(quantity * price.unit, price.least)
            return charge if price.most is None else min(charge, price.most)
        case "volume":
            return _volume(price.bands, quantity)
        case "graduated":
            return _graduated(price.bands, quantity)
    return quantity * price.unit


def _volume(bands: tuple[Band, ...], quantity: Fraction) -> Fraction:
    _, unit, flat = next(each for each in bands if each[0] is None or quantity <= each[0])
    return quantity * unit + flat


def _graduated(bands: tuple[Band, ...], quantity: Fraction) -> Fraction:
    total, bottom = Fraction(0), Fraction(0)
    for index, (top, unit, flat) in enumerate(bands):
        if index == 0 or quantity > bottom:
            upper = quantity if top is None else min(quantity, top)
            total += (upper - bottom) * unit + flat
        bottom = bottom if top is None else top
    return total


def left(deals: list[Deal], span: Span) -> Fraction:
    """The part of an amount for this time that discounts leave."""
    discounts = [each for each in deals if each.kind == "percentageDiscount"]
    edges = {each.since for each in discounts} | {each.until for each in discounts if each.until}
    inside = sorted({*span, *(each for each in edges if span[0] < each < span[1])})
    total = Fraction(0)
    for piece in pairwise(inside):
        part = share(piece, span)
        for each in discounts:
            if each.since <= piece[0] and (each.until is None or piece[1] <= each.until):
                part *= 1 - each.value
        total += part
    return total


def bounded(deals: list[Deal], quantity: Fraction) -> Fraction:
    """A quantity within the greatest minimum and the least maximum."""
    least = [each.value for each in deals if each.kind == "minimumQuantity"]
    most = [each.value for each in deals if each.kind == "maximumQuantity"]
    return min([max([quantity, *least]), *most])


def waived(deals: list[Deal], quantity: Fraction) -> Fraction:
    """What is left of a reading when units are waived."""
    units = [each.value for each in deals if each.kind == "usageDiscount"]
    return max(quantity - sum(units, Fraction(0)), Fraction(0))
