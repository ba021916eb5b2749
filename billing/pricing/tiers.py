"""Bands of quantities with a rate each, as volume and graduated prices share them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from billing.errors import InvalidValue
from billing.money import text
from billing.pricing.properties import ROOT, check_keys, number

TIERS_MAX: Final = 1_000
BOUND_DECIMALS_MAX: Final = 6
REMEMBERED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Tier:
    """One band: up to and including `up_to` (None: without end)."""

    up_to: Decimal | None
    unit_price: Decimal
    flat_amount: Decimal
    """Owed once, beside the units; not in the contract, whose bands have a rate only."""


_read: Final[dict[str, tuple[Tier, ...]]] = {}


def read_tiers(properties: Mapping[str, Any]) -> Sequence[Tier]:
    """The bands in order, or a refusal that names the field at fault.

    Those of many invoices are the same: what was read is remembered by what was written.
    """
    written = repr(properties)
    known = _read.get(written)
    if known is None:
        known = tuple(_parsed(properties))
        if len(_read) >= REMEMBERED_MAX:
            _read.clear()
        _read[written] = known
    return known


def check_written(properties: Mapping[str, Any]) -> None:
    """Refuses a band that does not say where it ends; without end is written as null.

    Only for what is to be stored: it is shown as it was written, and readers need the member.
    """
    for at, row in enumerate(properties["tiers"]):
        if "upTo" not in row:
            raise InvalidValue("Required: null is without end", field=f"{ROOT}.tiers[{at}].upTo")


def _parsed(properties: Mapping[str, Any]) -> list[Tier]:
    check_keys(properties, {"tiers"})
    rows = properties.get("tiers")
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise InvalidValue("Must be a list of at least one tier", field=f"{ROOT}.tiers")
    if len(rows) > TIERS_MAX:
        raise InvalidValue(f"At most {TIERS_MAX} tiers", field=f"{ROOT}.tiers")
    tiers = [_read_tier(row, f"{ROOT}.tiers[{at}]") for at, row in enumerate(rows)]
    _check_bounds(tiers)
    return tiers


def _read_tier(row: Any, field: str) -> Tier:
    check_keys(row, {"upTo", "unitPrice", "flatAmount"}, field)
    up_to = row.get("upTo")
    flat = row.get("flatAmount", "0")
    return Tier(
        up_to=None if up_to is None else number(up_to, f"{field}.upTo"),
        unit_price=number(row.get("unitPrice"), f"{field}.unitPrice"),
        flat_amount=number(flat, f"{field}.flatAmount"),
    )


def _check_bounds(tiers: Sequence[Tier]) -> None:
    below = Decimal(0)
    for at, tier in enumerate(tiers[:-1]):
        field = f"{ROOT}.tiers[{at}].upTo"
        if tier.up_to is None:
            raise InvalidValue("Only the last tier is without end", field=field)
        if tier.up_to <= below:
            raise InvalidValue("Bounds must be above zero and strictly ascend", field=field)
        if len(text(tier.up_to).partition(".")[2]) > BOUND_DECIMALS_MAX:
            message = f"A bound has at most {BOUND_DECIMALS_MAX} decimals"
            raise InvalidValue(message, field=field)
        below = tier.up_to
    if tiers[-1].up_to is not None:
        field = f"{ROOT}.tiers[{len(tiers) - 1}].upTo"
        raise InvalidValue("The last tier is without end: upTo must be null", field=field)
