"""Portal links on the wire: an address where a customer reads, without a key, for a while."""

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Literal

from fastapi import APIRouter

from api.deps import Caller, PublicUrl, Session
from api.idempotency import KeptRoute
from api.links import portal_url
from api.schema import Body, DurationText, Instant, SubscriptionId, Wire, found
from billing.durations import parse_duration
from billing.errors import InvalidValue
from models.base import wall_now
from models.portal_links import PortalLink
from models.queries import subscriptions

router = APIRouter(prefix="/v0/subscriptions", tags=["Subscriptions"], route_class=KeptRoute)

LIFE_DEFAULT = "PT10M"
LIFE_MAX = timedelta(days=7)


class PortalInput(Body):
    """How long the link lives."""

    expires_in: DurationText = LIFE_DEFAULT


class SubscriptionPortal(Wire):
    """Where a customer reads about his subscription, and until when."""

    object: Literal["subscriptionPortal"] = "subscriptionPortal"
    url: str
    expires_at: Instant


@router.post("/{id}/portal", operation_id="generatePortalLink")
async def generate_portal_link(
    id: SubscriptionId,
    caller: Caller,
    session: Session,
    public_url: PublicUrl,
    body: PortalInput | None = None,
) -> SubscriptionPortal:
    """Make an address at which a customer reads about a subscription; its secret is not kept."""
    row = found(await subscriptions.get(session, caller.merchant_id, id), "subscription")
    now = wall_now()
    expires_at = parse_duration((body or PortalInput()).expires_in).after(now)
    if not now < expires_at <= now + LIFE_MAX:
        raise InvalidValue("must be longer than nothing and at most P7D", field="expiresIn")
    secret = secrets.token_hex(24)
    session.add(
        PortalLink(
            id=sha256(secret.encode()).hexdigest(),
            merchant_id=row.merchant_id,
            subscription_id=row.id,
            expires_at=expires_at,
        )
    )
    return SubscriptionPortal(url=portal_url(public_url, secret), expires_at=expires_at)
