"""Requests made from the OpenAPI document with given objects in them; it judges no answer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
_PREFIX = re.compile(r"^\^\(?([a-z]+)[_|]")
# Text that satisfies the patterns which are no id's.
_TEXTS = (
    "2026-02-01T00:00:00Z",
    "P1M",
    "USD",
    "DE",
    "10.00",
    "1",
    "a@example.com",
    "https://example.com/",
    "$.tokens",
    "word",
)


@dataclass(frozen=True)
class Objects:
    """A merchant's objects by the prefix of their ids, and the consumer behind its customer."""

    by_prefix: dict[str, str]
    consumer_id: str

    def named(self, name: str, prefix: str) -> str:
        """The object that a member of this name wants."""
        if "consumer" in name.lower():
            return self.consumer_id
        return self.by_prefix.get(prefix, f"{prefix}_0")


class Document:
    """The operations of an OpenAPI document, and requests for them."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def operations(self) -> Iterator[tuple[str, str, Schema]]:
        """Method, path and description of each."""
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def prefix(self, schema: Schema) -> str | None:
        """The prefix of the ids that a schema takes, if it takes ids."""
        for each in self._variants(schema):
            match = _PREFIX.match(each.get("pattern", ""))
            if match:
                return match[1]
        return None

    def prefixes(self) -> set[str]:
        """All kinds of ids that any path, query or body takes."""
        return {
            match[1]
            for pattern in re.findall(r"'pattern': '(.*?)'", str(self._document))
            if (match := _PREFIX.match(pattern))
        }

    def address(self, path: str, operation: Schema, objects: Objects) -> str:
        """The path with objects in it."""
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                prefix = self.prefix(parameter["schema"])
                value = objects.named(parameter["name"], prefix) if prefix else "1"
                path = path.replace(f"{{{parameter['name']}}}", value)
        return path

    def query(self, operation: Schema, objects: Objects) -> dict[str, Any]:
        """What the query requires."""
        return {
            parameter["name"]: self.value(parameter["name"], parameter["schema"], objects)
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "query" and parameter.get("required")
        }

    def queried_ids(self, operation: Schema) -> Iterator[tuple[str, str]]:
        """Name and prefix of each parameter of the query that takes ids."""
        for parameter in operation.get("parameters", ()):
            prefix = self.prefix(parameter["schema"])
            if parameter["in"] == "query" and prefix:
                yield parameter["name"], prefix

    def body(self, operation: Schema, objects: Objects) -> Any:
        """A body that should be valid, with every optional id in it; None where there is none."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return self.value("", content["schema"], objects) if content else None

    def value(self, name: str, schema: Schema, objects: Objects) -> Any:
        """A value that the schema takes."""
        prefix = self.prefix(schema)
        if prefix:
            return objects.named(name, prefix)
        chosen = next(iter(self._variants(schema)), {})
        if chosen.get("type") == "object":
            return self._object(chosen, objects)
        if chosen.get("type") == "array":
            return [self.value(name, chosen.get("items", {}), objects)]
        return _scalar(name, chosen)

    def _object(self, schema: Schema, objects: Objects) -> dict[str, Any]:
        required = schema.get("required", ())
        return {
            name: self.value(name, member, objects)
            for name, member in dict(schema.get("properties", {})).items()
            if name in required or self.prefix(member)
        }

    def _variants(self, schema: Schema) -> Iterator[Schema]:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            yield from self._variants(self._document["components"]["schemas"][name])
            return
        alternatives: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
        if not alternatives:
            yield schema
        for each in alternatives:
            if each.get("type") != "null":
                yield from self._variants(each)


def _scalar(name: str, schema: Schema) -> Any:
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") in {"integer", "number"}:
        least = max(schema.get("minimum", 1), 1)
        return int(least) if schema["type"] == "integer" else least
    return True if schema.get("type") == "boolean" else _text(name, schema)


def _text(name: str, schema: Schema) -> str:
    pattern = schema.get("pattern", "")
    if schema.get("format") == "date-time" or name in {"from", "to", "startTime", "endTime"}:
        return "2026-03-01T00:00:00Z" if name in {"to", "endTime"} else _TEXTS[0]
    fitting = (text for text in _TEXTS if re.search(pattern, text))
    text = next(fitting, "word") if pattern else "word"
    return text.ljust(schema.get("minLength", 0), "x")


def ids_in(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a body ids stand."""
    members: Any = body.items() if isinstance(body, dict) else enumerate(body)
    for name, value in members:
        if isinstance(value, dict | list):
            yield from ids_in(value, (*path, name))
        elif isinstance(value, str) and re.match(r"^[a-z]+_[0-9a-zA-Z]+$", value):
            yield (*path, name)


def with_one(body: Any, other: Any, path: tuple[Any, ...]) -> Any:
    """The body with one id taken from another body of the same shape."""
    head, *rest = path
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    copy[head] = with_one(body[head], other[head], tuple(rest)) if rest else other[head]
    return copy
