"""Who may use the internal operations: whoever holds the installation's key, and nobody else."""

import hmac
from typing import Annotated

from fastapi import Depends, Request

from activities.organizations import OrganizationActivities
from api.auth import sign
from api.errors import Unauthorized
from billing.errors import NotFound


async def administrator(request: Request) -> OrganizationActivities:
    """The operator's hands; an installation without a key has no internal operations at all."""
    expected: str | None = request.app.state.settings.admin_key
    if not expected:
        raise NotFound("Not found")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), expected.encode())
    if scheme.lower() != "bearer" or not same:
        raise Unauthorized("The admin key is required: Authorization: Bearer …")
    sign(request, "admin")
    return OrganizationActivities(request.app.state.database)


Administrator = Annotated[OrganizationActivities, Depends(administrator)]
