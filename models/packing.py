"""Columns as PostgreSQL's binary arrays: the cheapest way to hand it many rows; no table is known.

An array of text costs the client a join, and the server a copy: neither quotes, escapes or parses.
The format is that of `array_recv` and of each type's `recv` function: big-endian, every element
after its length, -1 for NULL; instants in microseconds since 2000.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_UUID, _INSTANT, _INTEGER, _TEXT, _DOCUMENT = 2950, 1184, 23, 25, 3802
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_length = struct.Struct(">i").pack
_integer = struct.Struct(">ii").pack
_instant = struct.Struct(">iq").pack
# The length of a document's text, and the version of its format.
_document = struct.Struct(">ib").pack
_head = struct.Struct(">iiiii").pack
_NULL = _length(-1)


class Packed(bytes):
    """A parameter that is sent as it is; its type is that of the cast in the statement."""

    __slots__ = ()


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Packed:
        return obj


psycopg.adapters.register_dumper(Packed, _PackedDumper)


def _array(element_type: int, count: int, elements: bytes) -> Packed:
    """Elements that stand behind one another, each after its length."""
    if not count:
        return Packed(struct.pack(">iii", 0, 0, element_type))
    return Packed(_head(1, 1, element_type, count, 1) + elements)


def texts(values: Sequence[str | None]) -> Packed:
    """A `text[]`; a value that comes again and again is encoded once."""
    distinct = set(values)
    if len(distinct) == 1:
        elements = _text(values[0]) * len(values)
    elif 2 * len(distinct) < len(values):
        known = {value: _text(value) for value in distinct}
        elements = b"".join([known[value] for value in values])
    elif None in distinct:
        elements = b"".join([_text(value) for value in values])
    else:
        encoded = map(str.encode, cast("Sequence[str]", values))
        elements = b"".join([_length(len(value)) + value for value in encoded])
    return _array(_TEXT, len(values), elements)


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def uuids(values: Sequence[str]) -> Packed:
    """A `uuid[]` of hexadecimal digits."""
    length = "00000010"
    return _array(_UUID, len(values), bytes.fromhex("".join([length + each for each in values])))


def instants(values: Sequence[datetime | None]) -> Packed:
    """A `timestamptz[]` of aware instants."""
    elements = [
        _NULL if value is None else _instant(8, (value - _EPOCH) // _MICROSECOND)
        for value in values
    ]
    return _array(_INSTANT, len(values), b"".join(elements))


def few_instants(values: Sequence[datetime | None]) -> Packed:
    """The same of instants that come again and again: each is written once."""
    known = {
        value: _NULL if value is None else _instant(8, (value - _EPOCH) // _MICROSECOND)
        for value in set(values)
    }
    return _array(_INSTANT, len(values), b"".join([known[value] for value in values]))


def integers(values: Sequence[int]) -> Packed:
    """An `integer[]`."""
    return _array(_INTEGER, len(values), b"".join([_integer(4, value) for value in values]))


def documents(values: Sequence[bytes | msgspec.Raw]) -> Packed:
    """A `jsonb[]` of JSON texts."""
    elements = [_document(len(value) + 1, 1) + value for value in map(bytes, values)]
    return _array(_DOCUMENT, len(values), b"".join(elements))
