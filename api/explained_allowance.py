"""How an allowance divides a reading, on the wire; every number is a decimal string, unrounded."""

from typing import Self

from api.explanation_terms import Window
from api.schema import Instant, Wire
from billing import explanation
from billing.money import text


class AllowedStretch(Wire):
    """A stretch in which something was used, what grants still held, and what they covered."""

    window: Window
    used: str
    available: str
    covered: str


class Allowance(Wire):
    """How an entitlement's grants divide the reading: what they cover, and the overage above them.

    `billed` is overage above a soft limit, and usage when there was no allowance; `forgone` is
    overage above a hard limit. Usage from `since` on decides what the grants still hold.
    """

    feature_id: str
    since: Instant
    covered: str
    billed: str
    forgone: str
    is_shown_as_discount: bool
    """What is covered is billed too, and taken off by a line of its own."""
    stretches: list[AllowedStretch]

    @classmethod
    def of(cls, steps: explanation.Explanation) -> Self | None:
        """The answer; None of usage that no allowance was held for."""
        burned = steps.origin.burned
        if burned is None:
            return None
        return cls(
            feature_id=steps.price.feature_id,
            since=burned.since,
            covered=text(burned.covered),
            billed=text(burned.billed),
            forgone=text(burned.forgone),
            is_shown_as_discount=steps.origin.shows_covered,
            stretches=[
                AllowedStretch(
                    window=Window.of(each.time),
                    used=text(each.used),
                    available=text(each.available),
                    covered=text(each.covered),
                )
                for each in burned.stretches
            ],
        )
