"""CloudEvents 1.0 over HTTP, structured and binary, as the body that `POST /v0/events` takes.

It names and moves attributes; whether they are any good is for the route to say.
"""

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from billing.errors import InvalidValue

STRUCTURED = b"application/cloudevents+json"
BATCHED = b"application/cloudevents-batch+json"
_BINARY_PREFIX = b"ce-"
_VERSION = "1.0"
# Attributes of ours travel as extensions, whose names are lower case.
_NAMES: Mapping[str, str] = {
    "type": "type",
    "source": "source",
    "subject": "subject",
    "id": "idempotencyKey",
    "time": "timestamp",
    "data": "data",
    "externalsubject": "externalSubject",
    "externalid": "externalId",
    "namespace": "namespace",
}
_JSON_TYPES = ("application/json", "text/json")


def content_type_of(headers: Mapping[bytes, bytes]) -> bytes:
    """Without its parameters."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def is_cloud_event(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request carries one event in either mode."""
    return b"ce-specversion" in headers or content_type_of(headers) == STRUCTURED


def translated(headers: Mapping[bytes, bytes], body: bytes) -> bytes:
    """The event of a request in our own form."""
    if content_type_of(headers) == STRUCTURED:
        return from_structured(body)
    attributes: dict[str, msgspec.Raw] = {"data": msgspec.Raw(body or b"null")}
    for name, value in headers.items():
        if name.startswith(_BINARY_PREFIX):
            attribute = name.removeprefix(_BINARY_PREFIX).decode("latin-1")
            attributes[attribute] = _raw(_unescaped(value, attribute))
    media_type = headers.get(b"content-type", b"application/json").decode("latin-1")
    attributes["datacontenttype"] = _raw(media_type)
    return _renamed(attributes)


def from_structured(body: bytes | msgspec.Raw) -> bytes:
    """The event of a structured body, or of one entry of a batch, in our own form."""
    try:
        attributes = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue("Malformed JSON", field="body") from error
    return _renamed(attributes)


def _renamed(attributes: Mapping[str, msgspec.Raw]) -> bytes:
    if _text(attributes, "specversion") != _VERSION:
        raise InvalidValue(f"Must be {_VERSION}", field="specversion")
    if not _text(attributes, "id"):
        raise InvalidValue("Is required", field="id")
    media_type = _text(attributes, "datacontenttype")
    if media_type is not None and not _is_json(media_type):
        raise InvalidValue("Must be JSON", field="datacontenttype")
    if "data_base64" in attributes:
        raise InvalidValue("Must be JSON in `data`", field="data_base64")
    # Other extensions are allowed in a CloudEvent and mean nothing here.
    return msgspec.json.encode(
        {ours: attributes[theirs] for theirs, ours in _NAMES.items() if theirs in attributes}
    )


def _unescaped(value: bytes, attribute: str) -> str:
    try:
        return unquote(value.decode("latin-1"), errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidValue("Must be UTF-8, escaped with %", field=attribute) from error


def _text(attributes: Mapping[str, msgspec.Raw], name: str) -> str | None:
    if name not in attributes:
        return None
    try:
        return msgspec.json.decode(attributes[name], type=str | None)
    except msgspec.DecodeError as error:
        raise InvalidValue("Must be a string", field=name) from error


def _is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip().lower()
    return kind in _JSON_TYPES or kind.endswith("+json")


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))
