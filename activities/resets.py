"""Resets of a sandbox merchant: one transaction that deletes; who still works for it is told after.

No activity of a workflow: the API calls it, and ends the workflows that it names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.errors import NotAllowed, NotFound
from models.database import Database, repeats_deadlocks
from models.queries import resets, usage_rollups
from models.queries.resets import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Deletes one customer, or all of them; then the catalogue too unless it is kept."""

    merchant_id: str
    now: datetime
    customer_id: str | None = None
    keep_catalogue: bool = True


class ResetActivities:
    """The only way to delete what is otherwise kept for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeats_deadlocks
    async def reset(self, command: Reset) -> Sequence[str]:
        """Deletes, all or nothing; returns the ids of the workflows that have lost their rows.

        The first change is an ordinary one, so that the audit log tells who reset what. Whoever
        works for the merchant meanwhile may stand in its way, so it is done again after a deadlock.
        """
        async with self._database.transaction() as session:
            merchant = await resets.lock_merchant(session, command.merchant_id)
            if merchant is None:
                raise NotFound("No such merchant")
            if merchant.live:
                raise NotAllowed("Only a sandbox can be reset")
            scope = Scope(command.merchant_id)
            if command.customer_id is None:
                merchant.reset_at = command.now
                merchant.usage_deleted_before = None
            else:
                customer = await resets.customer(session, merchant.id, command.customer_id)
                if customer is None:
                    raise NotFound("No such customer")
                customer.deleted_at = command.now
                scope = Scope(merchant.id, customer.id, customer.external_id)
            await session.flush()
            ended = await resets.workflow_ids(session, scope)
            await resets.allow_deletion(session, scope)
            await resets.remember_charges(session, scope)
            await resets.delete_answers(session, merchant.id)
            await usage_rollups.forget(session, merchant.id)
            if scope.customer_id is None:
                await resets.delete_merchants(session, scope, keep_catalogue=command.keep_catalogue)
            else:
                await resets.delete_customers(session, scope, ended)
            return ended
