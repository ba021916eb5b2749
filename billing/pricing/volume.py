"""Volume: the band that the whole quantity falls into prices all of its units, and nothing else."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.money import exact
from billing.pricing.rated import Rated, averaged, require_usage
from billing.pricing.tiers import check_written, read_tiers


def validate(properties: Mapping[str, Any]) -> None:
    """Refuses bands that do not ascend, do not end open, or have a negative rate or amount."""
    read_tiers(properties)
    check_written(properties)


def rate(properties: Mapping[str, Any], quantity: Decimal) -> Rated:
    """All units at the rate of the first band that reaches them, and its flat amount once.

    The total may fall as usage rises: 100 units at 5 are 500, 101 units at 3 are 303. No usage at
    all lies in the first band, and owes its flat amount.
    """
    require_usage(quantity)
    tiers = read_tiers(properties)
    # The last band is without end, so that one always reaches the quantity.
    band = next(tier for tier in tiers if tier.up_to is None or quantity <= tier.up_to)
    with exact():
        amount = quantity * band.unit_price + band.flat_amount
    return averaged(amount, quantity) if band.flat_amount else Rated(amount, band.unit_price)
