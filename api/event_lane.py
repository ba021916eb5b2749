"""The fast lane of `POST /v0/events`: usual events are read, stored and answered here.

All else, the unusual and the wrong, goes on to the route `ingestEvent`, as the same request.
"""

from datetime import datetime

import msgspec

from api import cloud_events, event_reading
from api.auth import KeyRing
from api.committer import Committer
from api.event_types import EventTypes
from api.fast_lane import Answer, Arrived
from billing.errors import InvalidValue
from models.base import new_id
from models.event_rows import EventRow
from models.queries import usage

PATH = "/v0/events"
_JSON = (b"application/json", b"application/json; charset=utf-8")


class WireEvent(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, gc=False):
    """An accepted event: what `events.Event` documents."""

    object: str
    id: str
    type: str
    source: str
    subject: str | None = None
    external_subject: str | None = None
    namespace: str
    timestamp: datetime | None
    idempotency_key: str
    external_id: str | None = None


def wire(event: EventRow) -> WireEvent:
    """The answer for a stored event."""
    return WireEvent(
        object="event",
        id=usage.event_id(event.id),
        type=event.type,
        source=event.source,
        subject=event.subject,
        external_subject=event.external_subject,
        namespace=event.merchant_id,
        timestamp=event.timestamp,
        idempotency_key=event.idempotency_key,
        external_id=event.external_id,
    )


def stored(outcome_event: EventRow, status: str) -> EventRow:
    """The event; one that the database cannot hold is refused."""
    if status == "refused":
        raise InvalidValue("A value is out of range", field="data")
    return outcome_event


class EventLane:
    """Answers usual events of callers and types that are known already."""

    def __init__(self, key_ring: KeyRing, types: EventTypes, committer: Committer) -> None:
        self._key_ring = key_ring
        self._types = types
        self._committer = committer
        self._encoder = msgspec.json.Encoder()

    async def __call__(self, request: Arrived) -> Answer | Arrived:
        """The answer, or the request that the route shall answer."""
        headers = request.headers
        is_json = headers.get(b"content-type", b"").lower() in _JSON
        if b"ce-specversion" in headers or not is_json:
            if not cloud_events.is_cloud_event(headers):
                return request
            request = request.with_json(cloud_events.translated(headers, request.body))
        caller = self._key_ring.known(headers.get(b"authorization", b""))
        if caller is None or not caller.may("events:write"):
            return request
        reading = event_reading.read(request.body, caller.merchant_id)
        if reading is None:
            return request
        path = self._types.path(caller.merchant_id, reading.event.type)
        if path is None:
            return request
        key = reading.event.idempotency_key or new_id("key")
        event = event_reading.row(reading, caller.merchant_id, key, path)
        (outcome,) = await self._committer.store([event], live=caller.live)
        answer = wire(stored(outcome.event, outcome.status))
        return Answer(202, self._encoder.encode(answer))
