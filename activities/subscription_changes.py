"""What a merchant may change about a living subscription; how it is billed is not decided here."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.errors import Conflict, InvalidValue
from models.queries import drafts, invoices, subscriptions
from models.queries.drafts import Terms
from models.subscriptions import Subscription

_RULES = frozenset({"cleared", "ends_with_period"})
# The columns of a subscription for whose next boundary nothing waits.
NO_MOVE: Final[Mapping[str, Any]] = {
    "next_version_id": None,
    "next_version_bills_arrears": False,
    "next_cycles": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChanges:
    """What is to be different; None stays as it is, `cleared` names what is to be null."""

    ending_at: datetime | None = None
    auto_charge: bool | None = None
    tax_exempt: bool | None = None
    payment_term_days: int | None = None
    minimum_account_balance: Decimal | None = None
    version_policy: str | None = None
    renewal_reminder_enabled: bool | None = None
    renewal_reminder_days: int | None = None
    cleared: tuple[str, ...] = ()
    ends_with_period: bool = False
    """It ends when the window ends that is running then."""

    def columns(self) -> dict[str, Any]:
        """The row's columns with their new values."""
        named = (each.name for each in fields(self) if each.name not in _RULES)
        values = {name: getattr(self, name) for name in named}
        given = {name: value for name, value in values.items() if value is not None}
        return given | dict.fromkeys(self.cleared)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSubscription:
    """Changes a subscription at an instant."""

    merchant_id: str
    subscription_id: str
    now: datetime
    changes: SubscriptionChanges


async def change(session: AsyncSession, terms: Terms, command: ChangeSubscription) -> None:
    """Writes the changes; a period that has begun keeps the versions that it began with."""
    subscription, columns = terms.subscription, command.changes.columns()
    check_living(subscription)
    if command.changes.ends_with_period:
        begun = max(subscription.started_at, command.now)
        columns["ending_at"] = drafts.window_at(terms, begun).end
    ending_at = command.changes.ending_at
    if ending_at is not None and ending_at <= max(subscription.started_at, command.now):
        raise InvalidValue("endingAt must lie after the start and after now", field="endingAt")
    policy = command.changes.version_policy
    if policy is not None and policy != subscription.version_policy:
        await keep_begun_version(session, terms)
        # A move that waits belongs to the policy under which it was asked for.
        columns.update(NO_MOVE)
    if columns:
        await subscriptions.change(session, subscription.merchant_id, subscription.id, **columns)


def check_living(subscription: Subscription) -> None:
    """Refuses a change of what has ended for ever."""
    if subscription.status == "terminated":
        raise Conflict("The subscription is terminated")


async def keep_begun_version(session: AsyncSession, terms: Terms) -> None:
    """Writes down which version the running window bills before another policy could tell."""
    subscription = terms.subscription
    for invoice in await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    ):
        await invoices.change(
            session,
            invoice.merchant_id,
            invoice.id,
            arrears_version_id=drafts.arrears_version(terms, invoice),
        )
