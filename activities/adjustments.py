"""Adjustment transactions: a deal is written and taken back; billing it is the invoice's business.

Not activities of a workflow: nothing waits for them. The subscription's lock puts them before or
after a boundary, and what is drafted afterwards finds them.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing import adjustments as rules
from billing.errors import Conflict, NotFound
from billing.ids import request_digest
from billing.rating import PriceTerms
from models.adjustments import Adjustment
from models.base import new_id, wall_now
from models.database import Database
from models.queries import adjustments, invoices, subscriptions
from models.queries.drafts import next_version
from models.queries.terms import price_set, terms_of
from models.subscriptions import Subscription

OPEN = ("ACTIVE", "CLOSING")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAdjustment:
    """A term of a deal with a customer; `target_price_ids` is empty for a percentage discount."""

    merchant_id: str
    subscription_id: str
    kind: rules.Kind
    value: Decimal
    target_price_ids: tuple[str, ...]
    effective_from: datetime
    effective_to: datetime | None
    description: str | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class CreatedAdjustment:
    """The adjustment, and whether this call made it."""

    adjustment_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class DeleteAdjustment:
    """Which adjustment of which subscription shall reach no more periods."""

    merchant_id: str
    subscription_id: str
    adjustment_id: str


class AdjustmentActivities:
    """The only writer of adjustments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_adjustment(self, command: CreateAdjustment) -> CreatedAdjustment:
        """Writes it; the same key again is the first one. Not an activity: the API calls it."""
        async with self._database.transaction() as session:
            subscription = await _found(session, command.merchant_id, command.subscription_id)
            first = await _first(session, command)
            if first is not None:
                return CreatedAdjustment(first.id, created=False)
            rules.check_window(command.effective_from, command.effective_to)
            await _check_billed(session, subscription)
            row = _row(command, await _target(session, subscription, command))
            session.add(row)
            return CreatedAdjustment(row.id, created=True)

    async def delete_adjustment(self, command: DeleteAdjustment) -> bool:
        """Removes it, or ends it with the last period that it was billed on; True if removed."""
        async with self._database.transaction() as session:
            await _found(session, command.merchant_id, command.subscription_id)
            row = await adjustments.get(
                session, command.merchant_id, command.subscription_id, command.adjustment_id
            )
            if row is None:
                raise NotFound(f"No adjustment {command.adjustment_id}")
            billed_to = await adjustments.last_billed(
                session, command.merchant_id, command.subscription_id, row.id
            )
            if billed_to is None:
                await adjustments.change(
                    session, command.merchant_id, row.id, deleted_at=wall_now()
                )
                return True
            if row.effective_to is None or billed_to < row.effective_to:
                await adjustments.change(
                    session, command.merchant_id, row.id, effective_to=billed_to
                )
            return False


async def _found(session: AsyncSession, merchant_id: str, subscription_id: str) -> Subscription:
    found = await subscriptions.get(session, merchant_id, subscription_id, lock=True)
    if found is None:
        raise NotFound(f"No subscription {subscription_id}")
    return found


async def _first(session: AsyncSession, command: CreateAdjustment) -> Adjustment | None:
    if command.idempotency_key is None:
        return None
    first = await adjustments.by_key(
        session, command.merchant_id, command.subscription_id, command.idempotency_key
    )
    if first is not None and first.request_digest != request_digest(command):
        raise Conflict("The idempotency key was used for another adjustment")
    return first


async def _check_billed(session: AsyncSession, subscription: Subscription) -> None:
    """Refuses a subscription for which no invoice will be drafted any more."""
    if subscription.status != "terminated":
        return
    waiting = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, *OPEN
    )
    if not waiting:
        raise Conflict("The subscription has ended: no invoice will come")


async def _target(
    session: AsyncSession, subscription: Subscription, command: CreateAdjustment
) -> PriceTerms | None:
    """The price that it changes, one that the subscription bills now or from its next period."""
    if command.kind == "percentageDiscount":
        return None
    terms = await terms_of(session, subscription)
    billed: dict[str, PriceTerms] = {}
    coming = next_version(terms, subscription.plan_version_id)
    for version_id in {coming, subscription.plan_version_id}:
        found = await price_set(session, terms, version_id)
        billed |= {price.price_id: price for price in found.prices}
    target = billed.get(command.target_price_ids[0])
    rules.check_target(command.kind, target)
    return target


def _row(command: CreateAdjustment, target: PriceTerms | None) -> Adjustment:
    return Adjustment(
        id=new_id("adj"),
        merchant_id=command.merchant_id,
        subscription_id=command.subscription_id,
        kind=command.kind,
        value=command.value,
        target_price_ids=list(command.target_price_ids),
        target_key=None if target is None else target.key,
        effective_from=command.effective_from,
        effective_to=command.effective_to,
        description=command.description,
        idempotency_key=command.idempotency_key,
        request_digest=request_digest(command),
    )
