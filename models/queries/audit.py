"""Statements on the audit log; it is only read here, since triggers write it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.audit import AuditEvent


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """What an operator looks for; nothing narrows by default, not even a merchant."""

    merchant_id: str | None = None
    object_id: str | None = None
    operation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def newest_first(narrowed: AuditFilter) -> SelectOfScalar[AuditEvent]:
    """The changes that match, newest first."""
    conditions: list[Any] = []
    if narrowed.merchant_id is not None:
        conditions.append(AuditEvent.merchant_id == narrowed.merchant_id)
    if narrowed.object_id is not None:
        conditions.append(AuditEvent.object_id == narrowed.object_id)
    if narrowed.operation is not None:
        conditions.append(AuditEvent.operation == narrowed.operation)
    if narrowed.since is not None:
        conditions.append(col(AuditEvent.created_at) >= narrowed.since)
    if narrowed.until is not None:
        conditions.append(col(AuditEvent.created_at) < narrowed.until)
    return (
        select(AuditEvent)
        .where(*conditions)
        .order_by(col(AuditEvent.created_at).desc(), col(AuditEvent.id).desc())
    )
