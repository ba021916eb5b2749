"""A key's terms for a time, as one line of a subscription's own; it lays nothing over anything.

What a line keeps of them is a document of texts, so that the line can be told after an edit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from billing.money import text

Kind = Literal["plan_line", "subscription_owned"]
Mode = Literal["advance", "arrears"]
Transition = tuple[datetime, Decimal]
ONE_OFF: Final = "one_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A key's terms in [start, end), the plan's own where it is not stored."""

    interval_id: str
    key: str
    kind: Kind
    price_id: str
    version_id: str
    unit_price: Decimal | None
    """None: the catalogue's."""
    base_quantity: Decimal
    transitions: tuple[Transition, ...] = ()
    cadence: str
    """ISO 8601, or `one_off`."""
    mode: Mode
    bill_date: datetime | None = None
    start: datetime
    end: datetime | None = None
    ends_key: bool = False
    """Whether the plan's line does not come back after it."""
    is_stored: bool = True

    def holds(self, instant: datetime) -> bool:
        """Whether the instant lies in it."""
        return self.start <= instant and (self.end is None or instant < self.end)

    def quantity_at(self, instant: datetime) -> Decimal:
        """How many, after the steps until then."""
        steps = [quantity for at, quantity in self.transitions if at <= instant]
        return steps[-1] if steps else self.base_quantity


def interval_document(interval: Interval) -> dict[str, Any]:
    """What a line keeps of the interval that it is billed by."""
    return {
        "interval_id": interval.interval_id,
        "key": interval.key,
        "kind": interval.kind,
        "price_id": interval.price_id,
        "version_id": interval.version_id,
        "unit_price": None if interval.unit_price is None else text(interval.unit_price),
        "base_quantity": text(interval.base_quantity),
        "transitions": [[at.isoformat(), text(quantity)] for at, quantity in interval.transitions],
        "cadence": interval.cadence,
        "mode": interval.mode,
        "bill_date": _written(interval.bill_date),
        "start": interval.start.isoformat(),
        "end": _written(interval.end),
    }


def kept_interval(document: Mapping[str, Any]) -> Interval:
    """The interval that a line kept."""
    rate = document["unit_price"]
    return Interval(
        interval_id=document["interval_id"],
        key=document["key"],
        kind=document["kind"],
        price_id=document["price_id"],
        version_id=document["version_id"],
        unit_price=None if rate is None else Decimal(rate),
        base_quantity=Decimal(document["base_quantity"]),
        transitions=tuple(
            (datetime.fromisoformat(at), Decimal(quantity))
            for at, quantity in document["transitions"]
        ),
        cadence=document["cadence"],
        mode=document["mode"],
        bill_date=_read(document["bill_date"]),
        start=datetime.fromisoformat(document["start"]),
        end=_read(document["end"]),
    )


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _read(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
