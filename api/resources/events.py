"""Usage events on the wire: accepted once, stored with every digit, never changed."""

from typing import Any, Literal, Self

from fastapi import APIRouter, Request, Response

from api import event_batches, event_bodies, event_reading
from api.committer import Committer
from api.deps import Caller
from api.event_bodies import NewEvent
from api.event_lane import stored
from api.idempotency import KeptRoute
from api.schema import Absent, Instant, Wire
from models.base import new_id
from models.event_rows import EventRow
from models.queries import usage

router = APIRouter(prefix="/v0/events", tags=["Events"], route_class=KeptRoute)


class Event(Wire):
    """The event as it is stored; a repeated one shows what was stored the first time."""

    object: Literal["event"] = "event"
    id: str
    type: str
    source: str
    subject: Absent[str] = None
    external_subject: Absent[str] = None
    namespace: str
    timestamp: Instant
    idempotency_key: str
    external_id: Absent[str] = None

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """The answer for a row."""
        return cls.from_row(row, id=usage.event_id(row.id), namespace=row.merchant_id)


class BatchEntry(Wire):
    """What became of one event: `event` unless it was refused, else `error`."""

    status: Literal["created", "duplicate", "refused"]
    event: Absent[Event] = None
    error: Absent[dict[str, Any]] = None


class BatchAnswer(Wire):
    """One entry an event, in the order of the request."""

    object: Literal["list"] = "list"
    data: list[BatchEntry]


@router.post("", operation_id="ingestEvent", status_code=202)
async def ingest_event(body: NewEvent, request: Request, caller: Caller) -> Event:
    """Report usage; the same source and idempotency key again is the same event."""
    merchant_id = caller.own(body.namespace)
    reading = event_bodies.reading(body, await request.body())
    types = request.app.state.event_types
    path = (await event_batches.paths_of(types, merchant_id, {body.type}))[body.type]
    if path is None:
        raise event_batches.unknown_type(body.type)
    key = body.idempotency_key or new_id("key")
    committer: Committer = request.app.state.committer
    event = event_reading.row(reading, merchant_id, key, path)
    (outcome,) = await committer.store([event], live=caller.live)
    return Event.of(stored(outcome.event, outcome.status))


_BATCH_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"type": "array", "items": NewEvent.model_json_schema(), "maxItems": 10_000}
        },
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/cloudevents-batch+json": {"schema": {"type": "array", "items": {}}},
    },
}


@router.post(
    "/batch",
    operation_id="ingestEventBatch",
    status_code=202,
    response_model=BatchAnswer,
    openapi_extra={"requestBody": _BATCH_BODY},
)
async def ingest_event_batch(request: Request, caller: Caller) -> Response:
    """Report up to 10 000 events at once; a refused one does not hold up the others."""
    answer = await event_batches.Batch(request, caller).answer()
    return Response(answer, status_code=202, media_type="application/json")
