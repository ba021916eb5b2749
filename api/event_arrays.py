"""Reads a JSON array of events member by member, if all are usual; it refuses nothing.

What `event_reading` does for an event, for a fraction of the time: where one of them is unusual,
all are left to it. A test compares them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from api import event_reading
from api.event_reading import RawEvent
from models import event_rows
from models.base import new_id
from models.event_rows import EventColumns, EventRow

_EVENTS = msgspec.json.Decoder(list[RawEvent])
_Content = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class UsualEvents:
    """Events as they came; `contents` has those whose numbers had to be looked at."""

    events: Sequence[RawEvent]
    timestamps: Sequence[datetime | None]
    contents: Sequence[_Content]

    def types(self) -> set[str]:
        """Of all of them."""
        return {event.type for event in self.events}

    def rows(self, merchant_id: str, paths: Mapping[str, str]) -> list[EventRow]:
        """The rows, where the number of each type stands at its path."""
        events = self.events
        quantity_paths = [paths[event.type] for event in events]
        texts = [event.data for event in events]
        columns = EventColumns(
            types=[event.type for event in events],
            sources=[event.source for event in events],
            idempotency_keys=[event.idempotency_key or new_id("key") for event in events],
            properties=texts,
            subjects=[event.subject for event in events],
            external_subjects=[event.external_subject for event in events],
            external_ids=[event.external_id for event in events],
            timestamps=self.timestamps,
            quantities=list(map(event_reading.quantity, texts, self.contents, quantity_paths)),
            quantity_paths=quantity_paths,
        )
        return event_rows.rows(merchant_id, columns)


def read(text: bytes, merchant_id: str) -> UsualEvents | None:
    """The events of an array; None: they take the other way."""
    if not event_reading.is_plain(text):
        return None
    try:
        events = _EVENTS.decode(text)
        contents = _contents([event.data for event in events])
        if contents is None or not _are_owned(events, merchant_id) or _is_deep(text, events):
            return None
        timestamps = [
            None if event.timestamp is None else event_reading.instant(event.timestamp)
            for event in events
        ]
    except event_reading.FAULTS:
        return None
    return UsualEvents(events, timestamps, contents)


def _are_owned(events: Sequence[RawEvent], merchant_id: str) -> bool:
    """Whether each is this merchant's and names somebody."""
    return {event.namespace for event in events} <= {None, merchant_id} and not any(
        event.subject is None and event.external_subject is None for event in events
    )


def _is_deep(text: bytes, events: Sequence[RawEvent]) -> bool:
    """Whether any content has too many brackets; what is over may all stand in one of them."""
    own = 2 * (len(events) - 1)
    if text.count(b"{") + text.count(b"[") <= own + event_reading.BRACKETS_MAX:
        return False
    return any(event_reading.is_deep(bytes(event.data)) for event in events)


def _contents(raw: Sequence[msgspec.Raw]) -> Sequence[_Content] | None:
    """Those with exponents, decoded; None if one is unusual.

    Each begins and ends with a bracket, so that no number stands in two of them.
    """
    texts = [bytes(each) for each in raw]
    if any(text[:1] != b"{" or len(text) > event_reading.DATA_BYTES_MAX for text in texts):
        return None
    digits = b"".join(texts).translate(event_reading.ZEROS)
    if event_reading.MANY_DIGITS in digits:
        return None
    if not event_reading.has_exponent(digits):
        return [None] * len(texts)
    return [
        event_reading.exactly(text)
        if event_reading.has_exponent(text.translate(event_reading.ZEROS))
        else None
        for text in texts
    ]
