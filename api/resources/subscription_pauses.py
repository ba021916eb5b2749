"""Our own changes of a subscription: it pauses, goes on, or ends with its period."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import APIRouter, Depends

from activities.subscription_changes import SubscriptionChanges
from api.commands import SetPaused, UpdateSubscription
from api.deps import Caller, Commands, Transactions
from api.idempotency import KeptRoute
from api.schema import Instant, SubscriptionId, Wire, found
from api.workflow_calls import Unavailable
from billing.errors import Conflict
from models import subscriptions as tables
from models.queries import subscriptions

router = APIRouter(prefix="/v0/subscriptions", tags=["Subscriptions"], route_class=KeptRoute)


class Lifecycle(Wire):
    """Where a subscription stands; the contract calls a paused one `active`."""

    id: str
    status: str
    paused_at: Instant | None
    """Since when nothing is billed; null: it is billed."""
    ending_at: Instant | None
    terminated_at: Instant | None

    @classmethod
    def of(cls, row: tables.Subscription) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


@dataclass(frozen=True, slots=True)
class _Door:
    """Changes through the workflow, and reads in transactions of their own."""

    transactions: Transactions
    commands: Commands

    async def row(self, merchant_id: str, subscription_id: str) -> tables.Subscription:
        """The subscription as it now stands."""
        async with self.transactions.transaction() as session:
            row = await subscriptions.get(session, merchant_id, subscription_id)
            return found(row, "subscription")

    async def living(self, merchant_id: str, subscription_id: str) -> tables.Subscription:
        """The same; refused when it has ended for ever."""
        row = await self.row(merchant_id, subscription_id)
        if row.status == "terminated":
            raise Conflict("The subscription is terminated")
        return row

    async def change(
        self, merchant_id: str, subscription_id: str, changes: SubscriptionChanges
    ) -> Lifecycle:
        """Changes it, and reads it back."""
        row = await self.living(merchant_id, subscription_id)
        command = UpdateSubscription(
            merchant_id=merchant_id, subscription_id=row.id, changes=changes
        )
        try:
            await self.commands.change_subscription(command)
        except Unavailable:
            await self.living(merchant_id, subscription_id)
            raise
        return Lifecycle.of(await self.row(merchant_id, subscription_id))

    async def set_paused(
        self, merchant_id: str, subscription_id: str, *, paused: bool
    ) -> Lifecycle:
        """Pauses it or lets it go on, and reads it back."""
        row = await self.living(merchant_id, subscription_id)
        try:
            await self.commands.set_paused(
                SetPaused(merchant_id=merchant_id, subscription_id=row.id, paused=paused)
            )
        except Unavailable:
            await self.living(merchant_id, subscription_id)
            raise
        return Lifecycle.of(await self.row(merchant_id, subscription_id))


Door = Annotated[_Door, Depends(_Door)]


@router.get("/{id}/lifecycle", operation_id="getSubscriptionLifecycle")
async def get_lifecycle(id: SubscriptionId, caller: Caller, door: Door) -> Lifecycle:
    """Tell whether a subscription is paused, and when it ends."""
    return Lifecycle.of(await door.row(caller.merchant_id, id))


@router.post("/{id}/terminationAtPeriodEnd", operation_id="endSubscriptionWithPeriod")
async def end_with_period(id: SubscriptionId, caller: Caller, door: Door) -> Lifecycle:
    """Let a subscription end when the running period does; it is billed whole."""
    changes = SubscriptionChanges(ends_with_period=True)
    return await door.change(caller.merchant_id, id, changes)


@router.delete("/{id}/terminationAtPeriodEnd", operation_id="withdrawSubscriptionEnding")
async def withdraw_ending(id: SubscriptionId, caller: Caller, door: Door) -> Lifecycle:
    """Let a subscription go on that was to end, whoever said so."""
    changes = SubscriptionChanges(cleared=("ending_at",))
    return await door.change(caller.merchant_id, id, changes)


@router.post("/{id}/pause", operation_id="pauseSubscription")
async def pause_subscription(id: SubscriptionId, caller: Caller, door: Door) -> Lifecycle:
    """Stop billing now; what ran until now is billed, fees that are paid stay paid."""
    return await door.set_paused(caller.merchant_id, id, paused=True)


@router.post("/{id}/resume", operation_id="resumeSubscription")
async def resume_subscription(id: SubscriptionId, caller: Caller, door: Door) -> Lifecycle:
    """Bill again from now on; the time of the pause is never billed."""
    return await door.set_paused(caller.merchant_id, id, paused=False)
