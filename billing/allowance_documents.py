"""What a line keeps of the allowance that its usage was held against; it burns nothing."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.allowances import Burned, Stretch
from billing.money import text
from billing.periods import Period


def burned_document(burned: Burned) -> dict[str, Any]:
    """The division as texts; a stretch is its start, end, usage, what was left, what is covered."""
    return {
        "since": burned.since.isoformat(),
        "usage": text(burned.usage),
        "covered": text(burned.covered),
        "billed": text(burned.billed),
        "forgone": text(burned.forgone),
        "stretches": [
            [
                each.time.start.isoformat(),
                each.time.end.isoformat(),
                *(text(amount) for amount in (each.used, each.available, each.covered)),
            ]
            for each in burned.stretches
        ],
    }


def kept_burned(document: Mapping[str, Any]) -> Burned:
    """The division that a line has kept; how many events it counts stands beside it."""
    return Burned(
        since=datetime.fromisoformat(document["since"]),
        usage=Decimal(document["usage"]),
        covered=Decimal(document["covered"]),
        billed=Decimal(document["billed"]),
        forgone=Decimal(document["forgone"]),
        stretches=tuple(_stretch(*each) for each in document["stretches"]),
    )


def _stretch(start: str, end: str, used: str, available: str, covered: str) -> Stretch:
    time = Period(datetime.fromisoformat(start), datetime.fromisoformat(end))
    return Stretch(time, Decimal(used), Decimal(available), Decimal(covered))
