"""Reads an event's JSON in one pass, where nothing about it is unusual; it refuses nothing.

What is unusual, whether wrong or only rare, is left to the route's own way (`events.NewEvent`),
which says what is wrong. So this must never take what that refuses: a test compares them.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from billing.metering import parse_path, value_at
from models.queries.usage import EventRow

TEXT_LENGTH_MAX = 255
TIMESTAMP_LENGTH_MAX = 64
DATA_BYTES_MAX = 64 * 1024
BRACKETS_MAX = 32
EXPONENT_MAX = 100
_EXTERNAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,255}")
# With every digit made a 0, a number that is too long is a text to look for.
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS = b"0" * 90
# An integer of few digits is its own text, without a detour over Decimal.
_PLAIN_MAX = 10**18


class RawEvent(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """The members of `events.NewEvent`, unchecked but for their types; `data` as it came."""

    type: str
    source: str
    data: msgspec.Raw
    subject: str | None = None
    external_subject: str | None = None
    namespace: str | None = None
    timestamp: str | None = None
    idempotency_key: str | None = None
    external_id: str | None = None


class Reading(NamedTuple):
    """A usual event, and its `data` with exact numbers."""

    event: RawEvent
    timestamp: datetime | None
    content: dict[str, Any]


class _Unusual(ValueError):
    """A number that has to be looked at."""


def _exact(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > EXPONENT_MAX:
        raise _Unusual
    return number


_EVENT = msgspec.json.Decoder(RawEvent)
_CONTENT = msgspec.json.Decoder(dict[str, Any], float_hook=_exact)


def read(text: bytes | msgspec.Raw, merchant_id: str) -> Reading | None:
    """The event, if it is one as nearly all are; None: it takes the other way."""
    try:
        event = _EVENT.decode(text)
        if not _is_usual(event, merchant_id) or _is_unusual_text(bytes(text), event.data):
            return None
        timestamp = None if event.timestamp is None else _instant(event.timestamp)
        return Reading(event, timestamp, _CONTENT.decode(event.data))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError):
        return None


def row(reading: Reading, merchant_id: str, idempotency_key: str, path: str) -> EventRow:
    """The row of an event whose type's number stands at the path."""
    event, timestamp, content = reading
    return EventRow(
        merchant_id=merchant_id,
        type=event.type,
        source=event.source,
        idempotency_key=idempotency_key,
        subject=event.subject,
        external_subject=event.external_subject,
        external_id=event.external_id,
        timestamp=timestamp,
        quantity=quantity(content, path),
        quantity_path=path,
        properties=event.data,
    )


def quantity(content: dict[str, Any], path: str) -> str | None:
    """The number at the path with all its digits; None where there is none."""
    if not path:
        return None
    names = parse_path(path)
    found = content.get(names[0]) if len(names) == 1 else None
    if type(found) is int and -_PLAIN_MAX < found < _PLAIN_MAX:
        return str(found)
    value = value_at(content, path)
    return format(value, "f") if isinstance(value, Decimal) else None


def _is_unusual_text(text: bytes, data: msgspec.Raw) -> bool:
    """Escapes may hide what cannot be stored, deep nesting and long digits cost too much."""
    if b"\\" in text and b"\\u" in text:
        return True
    if not text.isascii():
        text.decode()
    brackets = text.count(b"{") + text.count(b"[")
    return brackets > BRACKETS_MAX or _MANY_DIGITS in bytes(data).translate(_ZEROS)


def _is_usual(event: RawEvent, merchant_id: str) -> bool:
    subject, external_subject = event.subject, event.external_subject
    key, external_id = event.idempotency_key, event.external_id
    # Each of the five is looked at once, joined: this runs for every event.
    for text in (event.type, event.source, subject, external_subject, key):
        if text is not None and not 0 < len(text) <= TEXT_LENGTH_MAX:
            return False
    return (
        f"{event.type}{event.source}{subject}{external_subject}{key}".isprintable()
        and (subject is not None or external_subject is not None)
        and (external_id is None or _EXTERNAL_ID.fullmatch(external_id) is not None)
        and (event.namespace is None or event.namespace == merchant_id)
        and len(event.data) <= DATA_BYTES_MAX
    )


def _instant(text: str) -> datetime:
    if len(text) > TIMESTAMP_LENGTH_MAX or "T" not in text:
        raise _Unusual
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
