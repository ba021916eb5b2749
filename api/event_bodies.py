"""The body of an event in its documented form, and the careful way to read one; it stores nothing.

`event_reading` takes the usual ones in a fraction of the time. What is refused is refused here.
"""

import json
from decimal import Decimal
from typing import Any, NoReturn, Self

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError, model_validator

from api.event_reading import DATA_BYTES_MAX, EXPONENT_MAX, RawEvent, Reading
from api.intake import check_body
from api.schema import Body, ExternalId, Instant, MerchantId, PrintableText
from billing.errors import InvalidValue

NUMBER_LENGTH_MAX = 400


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


class _Exact(msgspec.Struct):
    """The one member of the body whose text is stored as it came: a float would lose digits."""

    data: msgspec.Raw


def reading(body: NewEvent, text: bytes) -> Reading:
    """What is stored of an event whose members are in order; `text` is its JSON."""
    raw = bytes(msgspec.json.decode(text, type=_Exact).data)
    content = _content(raw)
    event = RawEvent(
        type=body.type,
        source=body.source,
        data=msgspec.Raw(raw),
        subject=body.subject,
        external_subject=body.external_subject,
        namespace=body.namespace,
        idempotency_key=body.idempotency_key,
        external_id=body.external_id,
    )
    return Reading(event, body.timestamp, content)


def checked(text: bytes) -> Reading:
    """Reads an event that stands alone in its text, as the route reads its body."""
    check_body(text)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("Malformed JSON", field="body") from error
    try:
        body = NewEvent.model_validate(content)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from error
    return reading(body, text)


def _content(raw: bytes) -> dict[str, Any]:
    """The content with exact numbers, and only such as can be stored."""
    text = raw.decode()
    if len(text) > DATA_BYTES_MAX:
        raise InvalidValue(f"Must be smaller than {DATA_BYTES_MAX} bytes", field="data")
    content: dict[str, Any] = json.loads(
        text, parse_float=_number, parse_int=_number, parse_constant=_refuse
    )
    return content


def _number(text: str) -> Decimal:
    """A number of a sane length; 1e-99999 is short to write and long to store."""
    if len(text) > NUMBER_LENGTH_MAX or abs(Decimal(text).adjusted()) > EXPONENT_MAX:
        _refuse(text)
    return Decimal(text)


def _refuse(text: str) -> NoReturn:
    raise InvalidValue(f"A number is out of range: {text[:40]}", field="data")
