"""The audit log on the internal wire; it is read here, and nothing can be changed."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints
from pydantic.alias_generators import to_camel

from api.deps import Session
from api.internal.admin import administrator
from api.pagination import Listing, Paging, listing, paginate
from api.schema import Instant, MerchantId, PrintableText, Wire
from models import audit as tables
from models.queries import audit

router = APIRouter(prefix="/auditEvents", dependencies=[Depends(administrator)])

ObjectId = Annotated[str, StringConstraints(pattern="^[a-zA-Z0-9_-]{1,100}$")]


class AuditEvent(Wire):
    """One change: of an update only what changed, else the whole object."""

    object: Literal["auditEvent"] = "auditEvent"
    id: str
    merchant_id: str
    actor: str
    """`key:…`, `workflow:…`, `admin`, `operator` or `system`."""
    user_id: str | None
    operation: str
    """The operation's id, or the activity of a workflow."""
    request_id: str | None
    change: str
    object_type: str
    object_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    created_at: Instant

    @classmethod
    def of(cls, row: tables.AuditEvent) -> Self:
        """The answer for a row."""
        return cls.from_row(
            row,
            object_type=to_camel(row.object_type),
            before=_in_camel_case(row.before),
            after=_in_camel_case(row.after),
        )


def _in_camel_case(columns: dict[str, Any] | None) -> dict[str, Any] | None:
    return columns and {to_camel(name): value for name, value in columns.items()}


async def audit_filter(
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
    object_id: Annotated[ObjectId | None, Query(alias="objectId")] = None,
    operation: PrintableText | None = None,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to")] = None,
) -> audit.AuditFilter:
    """What an operator looks for: from included, to excluded."""
    return audit.AuditFilter(
        merchant_id=merchant_id,
        object_id=object_id,
        operation=operation,
        since=since,
        until=until,
    )


Filter = Annotated[audit.AuditFilter, Depends(audit_filter)]


@router.get("", operation_id="internalListAuditEvents")
async def list_audit_events(
    narrowed: Filter, paging: Paging, session: Session
) -> Listing[AuditEvent]:
    """List changes, newest first."""
    page = await paginate(session, audit.newest_first(narrowed), paging)
    return listing((AuditEvent.of(row) for row in page.rows), page.total, paging)
