"""A batch of events: taken apart, read one by one, stored together, answered in order.

An event that is refused does not hold up the others; a batch that cannot be stored is not stored.
"""

import asyncio
import zlib
from collections.abc import Mapping, Sequence

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import cloud_events, event_arrays, event_bodies, event_reading
from api.auth import Caller
from api.committer import Committer
from api.errors import Unprocessable
from api.event_lane import WireEvent, stored, wire
from api.event_reading import Reading
from api.event_types import EventTypes
from api.fast_lane import refusal
from api.intake import Refused
from billing.errors import BillingError, InvalidValue
from models.base import new_id
from models.event_rows import EventRow

PATH = "/v0/events/batch"
BODY_BYTES_MAX = 16 * 1024 * 1024
EVENTS_MAX = 10_000
LINES = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl"})
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_GZIP = 31


class UnknownEventType(Unprocessable):
    """No metric of the merchant reads events of this type."""

    code = "UNKNOWN_EVENT_TYPE"


class Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one event of a batch."""

    status: str
    event: WireEvent | None = None
    error: msgspec.Raw | None = None


async def paths_of(
    types: EventTypes, merchant_id: str, wanted: set[str]
) -> Mapping[str, str | None]:
    """By which path the number of each type is read; None of a type that nothing reads."""
    paths = {kind: types.path(merchant_id, kind) for kind in wanted}
    unknown = {kind for kind, path in paths.items() if path is None}
    return {**paths, **(await types.look_up(merchant_id, unknown))} if unknown else paths


class Batch:
    """One request's events."""

    def __init__(self, request: Request, caller: Caller) -> None:
        self._request = request
        self._caller = caller
        self._types: EventTypes = request.app.state.event_types
        self._committer: Committer = request.app.state.committer

    async def answer(self) -> bytes:
        """Stores what can be stored; the body of the answer."""
        headers = dict(self._request.scope["headers"])
        body = _unpacked(headers, await self._request.body())
        content_type = cloud_events.content_type_of(headers)
        if content_type not in LINES and content_type != cloud_events.BATCHED:
            rows = await self._rows(body)
            if rows is not None:
                return _list_of(await self._entries(rows))
        return await self._one_by_one(headers, body)

    async def _rows(self, body: bytes) -> list[EventRow] | None:
        """The rows of an array of usual events of types that are read."""
        merchant_id = self._caller.merchant_id
        usual = event_arrays.read(body, merchant_id)
        if usual is None or not 1 <= len(usual.events) <= EVENTS_MAX:
            return None
        paths = await paths_of(self._types, merchant_id, usual.types())
        known = {kind: path for kind, path in paths.items() if path is not None}
        return usual.rows(merchant_id, known) if len(known) == len(paths) else None

    async def _one_by_one(self, headers: Mapping[bytes, bytes], body: bytes) -> bytes:
        texts = _apart(headers, body)
        structured = cloud_events.content_type_of(headers) == cloud_events.BATCHED
        entries: list[Entry | None] = [None] * len(texts)
        readings: dict[int, Reading] = {}
        for position, text in enumerate(texts):
            try:
                readings[position] = self._read(
                    cloud_events.from_structured(text) if structured else text
                )
            except (BillingError, RequestValidationError, Refused) as error:
                entries[position] = await self._refused(error)
        await self._store(readings, entries)
        return _list_of(entries)

    def _read(self, text: bytes | msgspec.Raw) -> Reading:
        usual = event_reading.read(text, self._caller.merchant_id)
        if usual is not None:
            return usual
        careful = event_bodies.checked(bytes(text))
        self._caller.own(careful.event.namespace)
        return careful

    async def _store(self, readings: Mapping[int, Reading], entries: list[Entry | None]) -> None:
        merchant_id = self._caller.merchant_id
        wanted = {reading.event.type for reading in readings.values()}
        paths = await paths_of(self._types, merchant_id, wanted)
        rows: dict[int, EventRow] = {}
        for position, reading in readings.items():
            path = paths[reading.event.type]
            if path is None:
                entries[position] = await self._refused(unknown_type(reading.event.type))
                continue
            key = reading.event.idempotency_key or new_id("key")
            rows[position] = event_reading.row(reading, merchant_id, key, path)
        if rows:
            found = await self._entries(list(rows.values()))
            for position, entry in zip(rows, found, strict=True):
                entries[position] = entry

    async def _entries(self, rows: Sequence[EventRow]) -> list[Entry]:
        """What becomes of the rows."""
        outcomes = await self._committer.store(rows, live=self._caller.live)
        entries = []
        for outcome in outcomes:
            try:
                event = wire(stored(outcome.event, outcome.status))
            except InvalidValue as error:
                entries.append(await self._refused(error))
            else:
                entries.append(Entry(outcome.status, event))
        return entries

    async def _refused(self, error: Exception) -> Entry:
        """The entry with the body that the event alone would have been answered with."""
        # Refusals are slow to write; others may have their turn between them.
        await asyncio.sleep(0)
        if isinstance(error, Refused):
            error = HTTPException(error.status, error.message)
        response = await refusal(self._request, error)
        return Entry("refused", error=msgspec.Raw(bytes(response.body)))


def _list_of(entries: Sequence[Entry | None]) -> bytes:
    return b'{"object":"list","data":' + msgspec.json.encode(entries) + b"}"


def unknown_type(event_type: str) -> UnknownEventType:
    """The refusal of an event that would be usage which nobody bills."""
    return UnknownEventType(f"No billable metric reads events of the type {event_type}")


def _unpacked(headers: Mapping[bytes, bytes], body: bytes) -> bytes:
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding == b"identity":
        return body
    if encoding != b"gzip":
        raise HTTPException(415, "The content encoding must be gzip or none")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacking.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise InvalidValue("Is not valid gzip", field="body") from error
    if len(unpacked) > BODY_BYTES_MAX:
        raise HTTPException(413, f"The body is larger than {BODY_BYTES_MAX // 1024**2} MiB")
    if not unpacking.eof or unpacking.unused_data:
        raise InvalidValue("Is not one whole gzip stream", field="body")
    return unpacked


def _apart(headers: Mapping[bytes, bytes], body: bytes) -> Sequence[bytes | msgspec.Raw]:
    """The text of each event."""
    texts: Sequence[bytes | msgspec.Raw]
    if cloud_events.content_type_of(headers) in LINES:
        texts = [line for line in body.split(b"\n") if line.strip()]
    else:
        try:
            texts = _LIST.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidValue("Must be a JSON array of events", field="body") from error
    if not 1 <= len(texts) <= EVENTS_MAX:
        raise InvalidValue(f"Must hold 1 to {EVENTS_MAX} events", field="body")
    return texts
