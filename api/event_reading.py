"""Reads an event's JSON in one pass, where nothing about it is unusual; it refuses nothing.

What is unusual, whether wrong or only rare, is left to the route's own way (`events.NewEvent`),
which says what is wrong. So this must never take what that refuses: a test compares them.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from billing.metering import parse_path, value_at
from models.event_rows import EventRow

TEXT_LENGTH_MAX = 255
TIMESTAMP_LENGTH_MAX = 64
DATA_BYTES_MAX = 64 * 1024
BRACKETS_MAX = 32
EXPONENT_MAX = 100
# With every digit made a 0, a number that is too long is a text to look for, an exponent too.
ZEROS = bytes.maketrans(b"123456789", b"000000000")
MANY_DIGITS = b"0" * 90
# A number that is its own text, without a detour over Decimal.
INTEGER_LENGTH_MAX = 18
_PLAIN_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]
_ExternalId = Annotated[str, msgspec.Meta(pattern=r"\A[a-zA-Z0-9_-]{1,255}\Z")]


class RawEvent(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """The members of `events.NewEvent`, checked for their lengths; `data` as it came."""

    type: _Text
    source: _Text
    data: msgspec.Raw
    subject: _Text | None = None
    external_subject: _Text | None = None
    namespace: str | None = None
    timestamp: str | None = None
    idempotency_key: _Text | None = None
    external_id: _ExternalId | None = None


class Reading(msgspec.Struct, gc=False):
    """A usual event; its `data` with exact numbers where they had to be looked at."""

    event: RawEvent
    timestamp: datetime | None
    content: dict[str, Any] | None = None


class _Unusual(ValueError):
    """A number that has to be looked at."""


def _exact(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > EXPONENT_MAX:
        raise _Unusual
    return number


_EVENT = msgspec.json.Decoder(RawEvent)
_CONTENT = msgspec.json.Decoder(dict[str, Any], float_hook=_exact)
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError)


def read(text: bytes | msgspec.Raw, merchant_id: str) -> Reading | None:
    """The event, if it is one as nearly all are; None: it takes the other way."""
    text = bytes(text)
    try:
        event = _EVENT.decode(text)
        content = bytes(event.data)
        if is_deep(content):
            return None
        if is_plain(text):
            return _usual(event, content, merchant_id)
        if b"\\u" in text:
            return None
        text.decode()
        return _printable(event, content, merchant_id)
    except FAULTS:
        return None


def is_plain(text: bytes) -> bool:
    """Whether every string in a JSON text is printable as it stands: JSON has no control codes."""
    return text.isascii() and b"\\" not in text and b"\x7f" not in text


def is_deep(text: bytes) -> bool:
    """Whether a text has more brackets than are stored."""
    return text.count(b"{") + text.count(b"[") > BRACKETS_MAX


def _usual(event: RawEvent, content: bytes, merchant_id: str) -> Reading | None:
    """Of an event with printable strings and few brackets."""
    if event.subject is None and event.external_subject is None:
        return None
    if event.namespace is not None and event.namespace != merchant_id:
        return None
    size = len(content)
    if not content.startswith(b"{") or size > DATA_BYTES_MAX:
        return None
    digits = content.translate(ZEROS)
    if size > len(MANY_DIGITS) and MANY_DIGITS in digits:
        return None
    timestamp = None if event.timestamp is None else instant(event.timestamp)
    return Reading(event, timestamp, exactly(content) if has_exponent(digits) else None)


def has_exponent(digits: bytes) -> bool:
    """Whether a number may have one, in a text of which every digit has been made a 0."""
    return b"0e" in digits or b"0E" in digits


def exactly(content: bytes | msgspec.Raw) -> dict[str, Any]:
    """The content with exact numbers."""
    return _CONTENT.decode(content)


def _printable(event: RawEvent, content: bytes, merchant_id: str) -> Reading | None:
    """Of an event whose strings have to be looked at; escapes in its `data` are decoded too."""
    told = f"{event.type}{event.source}{event.subject}{event.external_subject}"
    if not f"{told}{event.idempotency_key}".isprintable():
        return None
    reading = _usual(event, content, merchant_id)
    if reading is not None:
        reading.content = exactly(content)
    return reading


def row(reading: Reading, merchant_id: str, idempotency_key: str, path: str) -> EventRow:
    """The row of an event whose type's number stands at the path."""
    event = reading.event
    # By position: naming the members would cost as much as what is made of them.
    return EventRow(
        merchant_id,
        event.type,
        event.source,
        idempotency_key,
        event.data,
        event.subject,
        event.external_subject,
        event.external_id,
        reading.timestamp,
        quantity(event.data, reading.content, path),
        path,
    )


def quantity(text: msgspec.Raw, content: dict[str, Any] | None, path: str) -> str | None:
    """The number at the path with all its digits; None where there is none."""
    if not path:
        return None
    member = _member(path)
    if content is None and member is not None:
        found = bytes(member.decode(text).value)
        # A JSON integer has no leading zero.
        is_short = len(found) <= INTEGER_LENGTH_MAX and found.isdigit()
        if is_short or _PLAIN_NUMBER.fullmatch(found):
            return found.decode()
    value = value_at(exactly(text) if content is None else content, path)
    return format(value, "f") if isinstance(value, Decimal) else None


@lru_cache(maxsize=10_000)
def _member(path: str) -> msgspec.json.Decoder[Any] | None:
    """Reads the text of one member of an object; None for a path into it."""
    names = parse_path(path)
    if len(names) > 1:
        return None
    absent = msgspec.Raw(b"")
    member = [("value", msgspec.Raw, absent)]
    return msgspec.json.Decoder(msgspec.defstruct("Member", member, rename={"value": names[0]}))


def instant(text: str) -> datetime:
    """An RFC 3339 instant; one without a zone is in UTC."""
    if len(text) > TIMESTAMP_LENGTH_MAX or "T" not in text:
        raise _Unusual
    moment = datetime.fromisoformat(text)
    zone = moment.tzinfo
    if zone is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if zone is None else moment.astimezone(UTC)
