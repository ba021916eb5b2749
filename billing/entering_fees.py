"""Which fees in advance enter at a boundary, since none has billed them yet; it rates none."""

from collections.abc import Sequence

from billing.durations import Duration
from billing.rating import PriceTerms


def entering_keys(
    billed: Sequence[PriceTerms], coming: Sequence[PriceTerms], cadence: Duration
) -> frozenset[str]:
    """The keys of fees in advance that a version brings and the one billed before did not ask.

    The same line or fee at the same cadence is paid for the running cycle, whatever it costs now.
    `cadence` is the plan's.
    """
    known = {name for price in billed if _is_advance(price) for name in _names(price, cadence)}
    return frozenset(
        price.key
        for price in coming
        if price.key and _is_advance(price) and not known.intersection(_names(price, cadence))
    )


def advance_keys(prices: Sequence[PriceTerms]) -> frozenset[str]:
    """The keys of all fees in advance: by other cycles each of them enters."""
    return frozenset(price.key for price in prices if price.key and _is_advance(price))


def _is_advance(price: PriceTerms) -> bool:
    return price.kind == "fee" and price.payment_term == "in_advance"


def _names(price: PriceTerms, cadence: Duration) -> list[tuple[str, Duration]]:
    """What a line is known by from version to version."""
    return [(name, price.cadence or cadence) for name in (price.key, price.source_id)]
