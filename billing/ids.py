"""Identifiers with the contract's prefixes; it derives and checks them, it never draws one."""

import hashlib
import re

PATTERN = re.compile(r"^[a-z]{2,5}_[a-zA-Z0-9]{1,64}$")


def derived_id(prefix: str, *parts: str | int) -> str:
    """The id of what these parts name: the same parts give the same id, in every retry.

    32 hex digits of SHA-256 over the prefix and the parts; each part is length-prefixed, so that
    ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256(prefix.encode())
    for part in parts:
        text = str(part).encode()
        digest.update(f"|{len(text)}:".encode() + text)
    return f"{prefix}_{digest.hexdigest()[:32]}"


def has_prefix(value: str, prefix: str) -> bool:
    """Whether the value looks like an id of this kind (form only; it may not exist)."""
    return PATTERN.fullmatch(value) is not None and value.startswith(f"{prefix}_")
