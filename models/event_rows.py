"""Usage events as they are stored, one or many at a time; no statement stands here."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from typing import Any

import msgspec

_encoded = msgspec.json.Encoder().encode
_About = tuple[str, str | None, str | None, str | None, datetime | None]


class EventRow(msgspec.Struct, gc=False):
    """An event as it is stored; `properties` is its JSON text, so that numbers keep every digit.

    Without a timestamp it cannot be stored yet.
    """

    merchant_id: str
    type: str
    source: str
    idempotency_key: str
    properties: msgspec.Raw
    subject: str | None = None
    external_subject: str | None = None
    external_id: str | None = None
    timestamp: datetime | None = None
    quantity: str | None = None
    quantity_path: str = ""
    id: str = ""
    checksum: int = 0

    def __post_init__(self) -> None:
        """The same merchant, source and key make the same id; other content another checksum."""
        if not self.id:
            self.id = _id(self.merchant_id, self.source, self.idempotency_key)
            about = (
                *(self.type, self.subject, self.external_subject, self.external_id),
                self.timestamp,
            )
            self.checksum = _checksum(self.properties, about)

    def says_the_same(self, other: "EventRow", *, whenever: bool) -> bool:
        """Whether both have the same content, however it is spelled."""
        return (
            (self.type, self.subject, self.external_subject, self.external_id)
            == (other.type, other.subject, other.external_subject, other.external_id)
            and (whenever or self.timestamp == other.timestamp)
            and _content(self.properties) == _content(other.properties)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventColumns:
    """Many events of one merchant, member by member."""

    types: Sequence[str]
    sources: Sequence[str]
    idempotency_keys: Sequence[str]
    properties: Sequence[msgspec.Raw]
    subjects: Sequence[str | None]
    external_subjects: Sequence[str | None]
    external_ids: Sequence[str | None]
    timestamps: Sequence[datetime | None]
    quantities: Sequence[str | None]
    quantity_paths: Sequence[str]


def rows(merchant_id: str, columns: EventColumns) -> list[EventRow]:
    """The rows: what `EventRow` makes of each, for half of the time."""
    texts = columns.properties
    about = (
        *(columns.types, columns.subjects, columns.external_subjects, columns.external_ids),
        columns.timestamps,
    )
    return list(
        map(
            EventRow,
            repeat(merchant_id),
            *(columns.types, columns.sources, columns.idempotency_keys, texts),
            *about[1:],
            *(columns.quantities, columns.quantity_paths),
            _ids(merchant_id, columns.sources, columns.idempotency_keys),
            map(_checksum, texts, zip(*about, strict=True)),
        )
    )


@lru_cache(maxsize=1_000)
def _begun(merchant_id: str, source: str) -> Any:
    """What begins alike is hashed once; to be copied, then given the key."""
    # No part holds a control character, so 0x00 keeps ("ab", "c") and ("a", "bc") apart.
    return blake2b(f"{merchant_id}\0{source}\0".encode(), digest_size=16)


def _id(merchant_id: str, source: str, key: str) -> str:
    hashing = _begun(merchant_id, source).copy()
    hashing.update(key.encode())
    digits: str = hashing.hexdigest()
    return digits


def _ids(merchant_id: str, sources: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The ids of one merchant's events."""
    return [_id(merchant_id, source, key) for source, key in zip(sources, keys, strict=True)]


def _checksum(properties: msgspec.Raw, about: _About) -> int:
    # Signed, as PostgreSQL's integer is.
    return zlib.crc32(properties, zlib.crc32(_encoded(about))) - 2**31


def _content(properties: msgspec.Raw) -> Any:
    return json.loads(bytes(properties), parse_float=Decimal, parse_int=Decimal)
