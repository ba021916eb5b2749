"""Usage conflicts: keys that came again with other content, for the merchant to look into."""

from typing import Any, Literal, Self

from fastapi import APIRouter

from api.deps import OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import Absent, Instant, Wire
from models.queries import usage, usage_conflicts
from models.usage import UsageConflict as Row

router = APIRouter(prefix="/internal/v1/usageConflicts", tags=["Internal"], route_class=KeptRoute)


class UsageConflict(Wire):
    """Content that was not stored, because another event has its source and key."""

    object: Literal["usageConflict"] = "usageConflict"
    event_id: str
    """The event that stands."""
    source: str
    idempotency_key: str
    type: str
    subject: Absent[str] = None
    external_subject: Absent[str] = None
    external_id: Absent[str] = None
    timestamp: Absent[Instant] = None
    data: dict[str, Any]
    times_seen: int
    first_seen_at: Instant
    last_seen_at: Instant

    @classmethod
    def of(cls, row: Row) -> Self:
        """The answer for a row."""
        return cls.from_row(row, event_id=usage.event_id(row.event_id.hex), data=row.properties)


@router.get("", operation_id="listUsageConflicts")
async def list_usage_conflicts(
    merchant_id: OwnMerchant, limits: Paging, session: Session
) -> Listing[UsageConflict]:
    """List what came again with other content, the last seen first."""
    page = await paginate(session, usage_conflicts.newest_first(merchant_id), limits)
    return listing((UsageConflict.of(row) for row in page.rows), page.total, limits)
