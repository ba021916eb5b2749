"""Graduated: each band prices the units that fall into it; not (yet) on the public wire."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from billing.money import exact
from billing.pricing.rated import Rated, averaged, require_usage
from billing.pricing.tiers import Tier, check_written, read_tiers


def validate(properties: Mapping[str, Any]) -> None:
    """Refuses bands that do not ascend, do not end open, or have a negative rate or amount."""
    read_tiers(properties)
    check_written(properties)


def rate(properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """The sum over the bands; each band that is entered owes its flat amount once.

    The first band is entered by every reading: zero usage still owes its flat amount.
    """
    require_usage(quantity)
    return averaged(_owed(read_tiers(properties), quantity), quantity)


def additional(properties: Mapping[str, Any], carried: Decimal, quantity: Decimal) -> Decimal:
    """What more is owed for the quantity on top of usage already rated in the same period."""
    require_usage(carried)
    require_usage(quantity)
    tiers = read_tiers(properties)
    with exact():
        return _owed(tiers, carried + quantity) - _owed(tiers, carried)


def _owed(tiers: Sequence[Tier], quantity: Decimal) -> Decimal:
    owed, below = tiers[0].flat_amount, Decimal(0)
    with exact():
        for tier in tiers:
            if quantity <= below:
                break
            reached = quantity if tier.up_to is None else min(quantity, tier.up_to)
            owed += (reached - below) * tier.unit_price
            owed += tier.flat_amount if below else 0
            below = reached
    return owed
