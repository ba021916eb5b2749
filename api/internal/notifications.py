"""Notifications on the internal wire: what customers were to be told; nothing is sent here."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query

from api.deps import Session
from api.internal.admin import administrator
from api.pagination import Listing, Paging, listing, paginate
from api.schema import Instant, MerchantId, SubscriptionId, Wire
from models import notifications as tables
from models.queries import notifications

router = APIRouter(prefix="/notifications", dependencies=[Depends(administrator)])


class Notification(Wire):
    """What a customer was to be told."""

    object: Literal["notification"] = "notification"
    id: str
    merchant_id: str
    customer_id: str
    subscription_id: str
    kind: str
    object_id: str
    told_at: Instant
    """In the subscription's time."""
    content: dict[str, Any]
    created_at: Instant

    @classmethod
    def of(cls, row: tables.Notification) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


async def notification_filter(
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
) -> notifications.NotificationFilter:
    """Whose notifications an operator looks for."""
    return notifications.NotificationFilter(
        merchant_id=merchant_id, subscription_id=subscription_id
    )


Filter = Annotated[notifications.NotificationFilter, Depends(notification_filter)]


@router.get("", operation_id="internalListNotifications")
async def list_notifications(
    narrowed: Filter, paging: Paging, session: Session
) -> Listing[Notification]:
    """List what customers were to be told, newest first."""
    page = await paginate(session, notifications.newest_first(narrowed), paging)
    return listing((Notification.of(row) for row in page.rows), page.total, paging)
