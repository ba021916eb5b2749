"""Pages of an invoice's lines: what is asked for with them, and the opaque token of the next page.

The token names a position, since the order of an invoice's lines does not change.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from billing.errors import InvalidValue

T = TypeVar("T")

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1000
EXPANSIONS: Final = frozenset({"lineItems", "items", "lineProvenance"})
_TOKEN: Final = re.compile(rb"after:([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class LinesInput:
    """Which part of the lines is wanted, and what with them."""

    limit: int = LIMIT_DEFAULT
    start: int = 0
    expand: frozenset[str] = field(default_factory=frozenset)
    provider: str | None = None
    """Whose codes are shown of items; None: all."""


def read_expand(written: str | None) -> frozenset[str]:
    """The comma list of what is to be shown along; items and provenance imply the lines."""
    if not written:
        return frozenset()
    names = frozenset(part.strip() for part in written.split(","))
    unknown = names - EXPANSIONS
    if unknown:
        raise InvalidValue(f"One or more of {', '.join(sorted(EXPANSIONS))}", field="expand")
    return names


def read_token(token: str | None, field_name: str) -> int:
    """The position that a token names."""
    if token is None:
        return 0
    try:
        match = _TOKEN.fullmatch(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError):
        match = None
    if match is None:
        raise InvalidValue("Not a token of an earlier answer", field=field_name)
    return int(match.group(1))


def cut(lines: Sequence[T], wanted: LinesInput) -> tuple[Sequence[T], str | None]:
    """The wanted part, and the token of the part behind it where there is one."""
    end = wanted.start + wanted.limit
    following = None
    if end < len(lines):
        following = base64.urlsafe_b64encode(b"after:%d" % end).decode()
    return lines[wanted.start : end], following
