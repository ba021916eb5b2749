"""Columns as PostgreSQL's binary arrays: the cheapest way to hand it many rows; no table is known.

An array of text costs the client a join, and the server a copy: neither quotes, escapes or parses.
The format is that of `array_recv` and of each type's `recv` function: big-endian, every element
after its length, -1 for NULL; instants in microseconds since 2000.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

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
_head = struct.Struct(">iiiii").pack
_NULL = _length(-1)
_JSONB_VERSION = b"\x01"


class Packed(bytes):
    """A parameter that is sent as it is; its type is that of the cast in the statement."""

    __slots__ = ()


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Packed:
        return obj


psycopg.adapters.register_dumper(Packed, _PackedDumper)


def _array(element_type: int, elements: Sequence[bytes]) -> Packed:
    if not elements:
        return Packed(struct.pack(">iii", 0, 0, element_type))
    return Packed(_head(1, 1, element_type, len(elements), 1) + b"".join(elements))


def texts(values: Sequence[str | None]) -> Packed:
    """A `text[]`; a value that comes again is encoded once."""
    elements = {value: _text(value) for value in set(values)}
    return _array(_TEXT, [elements[value] for value in values])


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def uuids(values: Sequence[str]) -> Packed:
    """A `uuid[]` of hexadecimal digits."""
    return _array(_UUID, [b"\0\0\0\x10" + bytes.fromhex(value) for value in values])


def instants(values: Sequence[datetime | None]) -> Packed:
    """A `timestamptz[]` of aware instants."""
    return _array(
        _INSTANT,
        [
            _NULL if value is None else _instant(8, (value - _EPOCH) // _MICROSECOND)
            for value in values
        ],
    )


def integers(values: Sequence[int]) -> Packed:
    """An `integer[]`."""
    return _array(_INTEGER, [_integer(4, value) for value in values])


def documents(values: Sequence[bytes | msgspec.Raw]) -> Packed:
    """A `jsonb[]` of JSON texts."""
    elements = [_JSONB_VERSION + bytes(value) for value in values]
    return _array(_DOCUMENT, [_length(len(element)) + element for element in elements])
