"""Usage events on the wire: accepted once, stored with every digit, never changed."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NoReturn, Self

import msgspec
from fastapi import APIRouter, Request
from pydantic import model_validator

from api.deps import Caller, Now, Session
from api.errors import Unprocessable
from api.schema import (
    Absent,
    Body,
    ExternalId,
    Instant,
    MerchantId,
    PrintableText,
    Wire,
    found,
)
from billing.errors import InvalidValue
from models.base import new_id
from models.queries import billable_metrics, usage

router = APIRouter(prefix="/v0/events", tags=["Events"])

DATA_BYTES_MAX = 64 * 1024
NUMBER_LENGTH_MAX = 400
EXPONENT_MAX = 100


class NewEvent(Body):
    """An event; `subject` wins where `externalSubject` is given too."""

    type: PrintableText
    source: PrintableText
    data: dict[str, Any]
    subject: PrintableText | None = None
    external_subject: PrintableText | None = None
    namespace: MerchantId | None = None
    timestamp: Instant | None = None
    idempotency_key: PrintableText | None = None
    external_id: ExternalId | None = None

    @model_validator(mode="after")
    def _has_a_subject(self) -> Self:
        if self.subject is None and self.external_subject is None:
            raise ValueError("subject or externalSubject is required")
        return self


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
    def of(cls, row: usage.EventRow) -> Self:
        """The answer for a row."""
        return cls.from_row(row, id=usage.event_id(row.id), namespace=row.merchant_id)


class UnknownEventType(Unprocessable):
    """No metric of the merchant reads events of this type."""

    code = "UNKNOWN_EVENT_TYPE"


class _Exact(msgspec.Struct):
    """The one member of the body whose text is stored as it came: a float would lose digits."""

    data: msgspec.Raw


@router.post("", operation_id="ingestEvent", status_code=202)
async def ingest_event(
    body: NewEvent, request: Request, caller: Caller, now: Now, session: Session
) -> Event:
    """Report usage; the same source and idempotency key again is the same event."""
    merchant_id = caller.own(body.namespace)
    data = exact_data(await request.body())
    if not await billable_metrics.reads_type(session, merchant_id, body.type):
        raise UnknownEventType(f"No billable metric reads events of the type {body.type}")
    event = usage.EventRow(
        merchant_id=merchant_id,
        source=body.source,
        idempotency_key=body.idempotency_key or new_id("key"),
        type=body.type,
        subject=body.subject,
        external_subject=body.external_subject,
        external_id=body.external_id,
        timestamp=body.timestamp or await _time_of(session, merchant_id, body, now),
        properties=msgspec.Raw(data),
    )
    (created,) = await usage.append(session, [event])
    if created:
        return Event.of(event)
    return Event.of(found(await usage.get(session, merchant_id, event.id), "event"))


async def _time_of(session: Session, merchant_id: str, body: NewEvent, now: datetime) -> datetime:
    """When an event without a timestamp happens: on its subject's test clock, if there is one."""
    subject = body.subject or body.external_subject or ""
    return await usage.clock_time(session, merchant_id, subject) or now


def exact_data(body: bytes) -> str:
    """The text of `data` as the caller wrote it, with only such numbers as can be stored."""
    text = bytes(msgspec.json.decode(body, type=_Exact).data).decode()
    if len(text) > DATA_BYTES_MAX:
        raise InvalidValue(f"Must be smaller than {DATA_BYTES_MAX} bytes", field="data")
    json.loads(text, parse_float=_check_number, parse_int=_check_number, parse_constant=_refuse)
    return text


def _check_number(text: str) -> str:
    """A number of a sane length; 1e-99999 is short to write and long to store."""
    if len(text) > NUMBER_LENGTH_MAX or abs(Decimal(text).adjusted()) > EXPONENT_MAX:
        _refuse(text)
    return text


def _refuse(text: str) -> NoReturn:
    raise InvalidValue(f"A number is out of range: {text[:40]}", field="data")
