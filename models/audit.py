"""The audit log: who changed what; rows are written by the database itself, never by this code.

A trigger on every audited table writes them in the transaction of the change (docs/adr/0020), and
reads there who is acting. Nobody changes or deletes them afterwards.
"""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Table, document, instant, merchant_column


@dataclass(frozen=True, slots=True)
class Acting:
    """Who is at work, for the log; `actor` is `key:…`, `workflow:…`, `admin` or `operator`."""

    actor: str
    operation: str = ""
    user_id: str | None = None
    request_id: str | None = None

    def text(self) -> str:
        """As the trigger reads it."""
        return json.dumps(asdict(self))


acting: ContextVar[Acting | None] = ContextVar("acting", default=None)
"""Set where work begins: authentication, an activity's interceptor, the command line."""
actors: ContextVar[str] = ContextVar("actors", default="")
"""Who acts on which row, where a transaction is shared: `|row=actor|row=actor|`.

Where it names several, what is written in sets is recorded once a statement (docs/adr/0064).
"""


def sign_for_all(signatures: Mapping[str, Acting | None]) -> None:
    """Signs a transaction of several, by the id of the row that each changes.

    What belongs to a row by its `collection_id` is signed like it.
    """
    signed = {row_id: each for row_id, each in signatures.items() if each is not None}
    acting.set(next(iter(signed.values()), None))
    pairs = [f"{row_id}={each.actor}|" for row_id, each in signed.items()]
    actors.set("".join(["|", *pairs]) if pairs else "")


class AuditEvent(Table, table=True):
    """One change of one row; of an update only the columns that changed, of a deletion all."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_merchant_id_created_at_id", "merchant_id", "created_at", "id"),
        Index("ix_audit_events_merchant_id_object_id", "merchant_id", "object_id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = merchant_column()
    actor: str
    user_id: str | None = None
    operation: str
    request_id: str | None = None
    change: str
    """insert, update, delete or reset."""
    object_type: str
    """The table."""
    object_id: str
    before: dict[str, Any] | None = document(nullable=True, default=None)
    after: dict[str, Any] | None = document(nullable=True, default=None)
    created_at: datetime = instant()
