"""Identifiers with the contract's prefixes; it derives and checks them, it never draws one."""

import hashlib
import json
import re
from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol

PATTERN = re.compile(r"^[a-z]{2,5}_[a-zA-Z0-9]{1,64}$")


class Request(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def derived_id(prefix: str, *parts: str | int) -> str:
    """The id of what these parts name: the same parts give the same id, in every retry.

    32 hex digits of SHA-256 over the prefix and the parts; each part is length-prefixed, so that
    ("ab", "c") and ("a", "bc") differ.
    """
    texts = [str(part) for part in parts]
    named = prefix + "".join([f"|{len(text.encode())}:{text}" for text in texts])
    return f"{prefix}_{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def request_digest(command: Request) -> str:
    """What tells two requests with the same key apart: the same members give the same digest."""
    members = {each.name: str(getattr(command, each.name)) for each in fields(command)}
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()


def has_prefix(value: str, prefix: str) -> bool:
    """Whether the value looks like an id of this kind (form only; it may not exist)."""
    return PATTERN.fullmatch(value) is not None and value.startswith(f"{prefix}_")
