"""Which lines a plan version may hold; it neither rates nor stores them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from billing.durations import parse_duration
from billing.errors import InvalidValue

LINES_MAX: Final = 100
CADENCES: Final = {"P1M": "monthly", "P3M": "quarterly", "P1Y": "yearly"}
INTERVALS: Final = {"monthly": "P1M", "quarterly": "P3M", "yearly": "P1Y", "annual": "P1Y"}
KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PlanLineDraft:
    """A price under its key, as far as a plan cares."""

    key: str
    price_id: str
    metric_id: str | None
    payment_term: str
    billing_cadence: str | None


def check_lines(
    lines: Sequence[PlanLineDraft], *, billing_cadence: str, billing_version: int
) -> None:
    """Refuses a set of lines that cannot be billed together."""
    if len(lines) > LINES_MAX:
        raise InvalidValue(f"At most {LINES_MAX} prices", field="prices")
    keys: set[str] = set()
    sources: set[str] = set()
    for at, line in enumerate(lines):
        field = f"prices[{at}]"
        if not KEY.fullmatch(line.key):
            message = "Lower-case letters, digits, - and _, 64 at most"
            raise InvalidValue(message, field=f"{field}.key")
        if line.key in keys:
            raise InvalidValue("Two lines have this key", field=f"{field}.key")
        source = line.metric_id or line.price_id
        if source in sources:
            # Twice the same usage, or twice the same fee, would be charged twice.
            message = "A metric, and a price, appears once in a plan"
            raise InvalidValue(message, field=field)
        _check_term(line, field, billing_cadence, billing_version)
        keys.add(line.key)
        sources.add(source)


def _check_term(
    line: PlanLineDraft, field: str, billing_cadence: str, billing_version: int
) -> None:
    if line.payment_term == "instant" and billing_version != 0:
        raise InvalidValue("Instant prices need a version 0 plan", field=field)
    if line.metric_id is None or line.billing_cadence is None or billing_version != 0:
        return
    if parse_duration(line.billing_cadence) != parse_duration(billing_cadence):
        # Single uses accrue on the running invoice, and not in a cycle of their own.
        message = "In a version 0 plan, a metered price's cadence must be the plan's"
        raise InvalidValue(message, field=field)


def replaced_keys(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The keys whose line stays and whose price is another one; both map keys to price ids."""
    return sorted(key for key in before if key in after and before[key] != after[key])
