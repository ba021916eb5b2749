"""What changing the plan inside a period gives back and asks for; it moves no subscription."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.errors import Conflict
from billing.money import exact
from billing.periods import Period
from billing.proration import prorate

UNUSED_SUFFIX = " (unused)"


class PlanNotChangeable(Conflict):
    """The plans differ in what one invoice cannot hold, or something stands between them."""

    code = "PLAN_NOT_CHANGEABLE"


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What two plans must share for one invoice to bill them both."""

    currency: str
    billing_cadence: str
    tax_behavior: str
    tax_rate: Decimal
    billing_version: int


@dataclass(frozen=True, slots=True)
class Amount:
    """A fee in advance for a window, discounts off, in the catalogue's terms."""

    name: str
    window: Period
    amount: Decimal


def check_plans(old: PlanTerms, new: PlanTerms) -> None:
    """Refuses plans that one invoice cannot bill."""
    for name in ("currency", "billing_cadence", "tax_behavior", "tax_rate", "billing_version"):
        if getattr(old, name) != getattr(new, name):
            raise PlanNotChangeable("The plans differ", details={"differs": name})


def unused(paid: Iterable[Amount], now: datetime) -> list[Amount]:
    """What is given back: each paid fee for the part of its window that is still to come."""
    found = []
    for each in paid:
        start = max(each.window.start, now)
        if start >= each.window.end or not each.amount:
            continue
        rest = Period(start, each.window.end)
        back = prorate(each.amount, rest, each.window).copy_negate()
        found.append(Amount(each.name + UNUSED_SUFFIX, rest, back))
    return found


def merged(parts: Sequence[tuple[tuple[str, ...], Amount]]) -> list[Amount]:
    """One amount a fee and window: the fee, less the discounts that go by the same key."""
    found: dict[tuple[tuple[str, ...], Period], Amount] = {}
    for key, part in parts:
        known = found.get((key, part.window), Amount(part.name, part.window, Decimal(0)))
        with exact():
            amount = known.amount + part.amount
        found[key, part.window] = Amount(known.name, part.window, amount)
    return list(found.values())
