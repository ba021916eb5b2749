"""A subscription's move to another version of its plan, on the wire."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from activities.subscription_versions import MigrateVersion
from api.deps import Caller, Commands
from api.idempotency import KeptRoute
from api.schema import INT32_MAX, Body, Instant, SubscriptionId, Wire
from api.subscription_answers import Subscription, View

router = APIRouter(prefix="/v0/subscriptions", tags=["Subscriptions"], route_class=KeptRoute)


class MigrationRequest(Body):
    """Which version, and when; without a timing as the plan transitions."""

    target_version_number: Annotated[int, Field(ge=1, le=INT32_MAX)]
    timing: Literal["next_period", "immediate"] | None = None


class Migration(Wire):
    """What moves, and when."""

    from_version_number: int | None
    to_version_number: int
    effective_at: Instant | None
    entitlements_effective_at: Instant | None
    changed: bool


class SyncedLines(Wire):
    """The lines of open invoices follow by themselves: they are derived at each read."""

    sync_failed: bool = False


class MigrationAnswer(Wire):
    """The subscription as it now stands, and its move."""

    subscription: Subscription
    migration: Migration
    line_items: SyncedLines = Field(default_factory=SyncedLines)


@router.post("/{id}/versionMigration", operation_id="migrateSubscriptionVersion")
async def migrate_subscription_version(
    id: SubscriptionId, body: MigrationRequest, caller: Caller, commands: Commands, view: View
) -> MigrationAnswer:
    """Move a subscription to a version of its plan, older or newer, and pin it there."""
    migrated = await commands.migrate_version(
        MigrateVersion(
            merchant_id=caller.merchant_id,
            subscription_id=id,
            target_version_number=body.target_version_number,
            timing=body.timing,
        )
    )
    return MigrationAnswer(
        subscription=await view.one(caller.merchant_id, id),
        migration=Migration.from_row(migrated),
    )
