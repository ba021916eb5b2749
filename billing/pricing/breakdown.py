"""An amount taken apart, as a person would write it down; what is owed is `pricing.rate`'s to say.

The parts of a quantity sum to its rated amount, which a property test holds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from billing.errors import InvalidValue
from billing.money import exact
from billing.pricing.dynamic import countable
from billing.pricing.percentage import read_bounds
from billing.pricing.properties import number
from billing.pricing.tiers import Tier, read_tiers

PartKind = Literal[
    "units",
    "band",
    "flat",
    "packages",
    "share",
    "least_charge",
    "greatest_charge",
    "uses",
    "discount",
    "given_back",
]


@dataclass(frozen=True, slots=True)
class Part:
    """Units at a unit price; `above` and `up_to` bound the band that they fall into.

    A flat amount, and what lifts or cuts a share to its bound, is an amount without units.
    """

    kind: PartKind
    amount: Decimal
    units: Decimal | None = None
    unit_price: Decimal | None = None
    above: Decimal | None = None
    up_to: Decimal | None = None


def breakdown(model: str, properties: Mapping[str, Any], quantity: Decimal) -> list[Part]:
    """What the quantity is charged for, part by part."""
    if model not in _PARTS:
        raise InvalidValue(f"Must be one of {', '.join(_PARTS)}", field="model")
    with exact():
        return list(_PARTS[model](properties, quantity))


def breakdown_of_uses(
    properties: Mapping[str, Any], metered: Decimal, used: Decimal, used_amount: Decimal
) -> list[Part]:
    """The parts of a dynamic price: uses at what they brought, a reading at its only price."""
    counted = countable(properties, metered)
    parts = [Part("uses", used_amount, units=used)] if used or used_amount else []
    if counted:
        parts += breakdown("standard", {"unitPrice": properties["minPrice"]}, counted)
    return parts


def _standard(properties: Mapping[str, Any], quantity: Decimal) -> Iterator[Part]:
    yield _units("units", quantity, number(properties["unitPrice"], "unitPrice", least=None))


def _volume(properties: Mapping[str, Any], quantity: Decimal) -> Iterator[Part]:
    above = Decimal(0)
    for tier in read_tiers(properties):
        if tier.up_to is None or quantity <= tier.up_to:
            yield _band(tier, above, quantity)
            yield from _flat(tier, above)
            return
        above = tier.up_to


def _graduated(properties: Mapping[str, Any], quantity: Decimal) -> Iterator[Part]:
    above = Decimal(0)
    for tier in read_tiers(properties):
        if quantity <= above and above:
            return
        reached = quantity if tier.up_to is None else min(quantity, tier.up_to)
        yield _band(tier, above, reached - above)
        yield from _flat(tier, above)
        above = reached
        if tier.up_to is None or quantity <= tier.up_to:
            return


def _flat(tier: Tier, above: Decimal) -> Iterator[Part]:
    if tier.flat_amount:
        yield Part("flat", tier.flat_amount, above=above, up_to=tier.up_to)


def _package(properties: Mapping[str, Any], quantity: Decimal) -> Iterator[Part]:
    size = number(properties["packageSize"], "packageSize")
    full, rest = divmod(quantity, size)
    packages = full + (1 if rest else 0)
    yield _units("packages", packages, number(properties["unitPrice"], "unitPrice"))


def _percentage(properties: Mapping[str, Any], quantity: Decimal) -> Iterator[Part]:
    percentage, least, greatest = read_bounds(properties)
    share = _units("share", quantity, percentage)
    yield share
    if share.amount < least:
        yield Part("least_charge", least - share.amount)
    elif share.amount > greatest:
        yield Part("greatest_charge", greatest - share.amount)


def _dynamic(properties: Mapping[str, Any], quantity: Decimal) -> Iterator[Part]:
    yield from breakdown_of_uses(properties, quantity, Decimal(0), Decimal(0))


def _units(kind: PartKind, units: Decimal, unit_price: Decimal) -> Part:
    return Part(kind, units * unit_price, units=units, unit_price=unit_price)


def _band(tier: Tier, above: Decimal, units: Decimal) -> Part:
    return Part(
        "band",
        units * tier.unit_price,
        units=units,
        unit_price=tier.unit_price,
        above=above,
        up_to=tier.up_to,
    )


_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any], Decimal], Iterator[Part]]]] = {
    "standard": _standard,
    "volume": _volume,
    "graduated": _graduated,
    "package": _package,
    "percentage": _percentage,
    "dynamic": _dynamic,
}
