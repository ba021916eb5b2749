"""Subscription transactions: create, activate, roll a period over, terminate; no waiting here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import entitlements
from activities import subscription_approvals as approvals
from activities import subscription_changes as changes
from activities import subscription_endings as endings
from activities import subscription_intervals as own_terms
from activities import subscription_pauses as pauses
from activities import subscription_periods as periods
from activities import subscription_plans as own_plans
from activities import subscription_reminders as reminders
from activities import subscription_rolls as rolls
from activities import subscription_starts as starts
from activities import subscription_versions as versions
from activities.gathering import Gathering, Signed
from activities.subscription_changes import ChangeSubscription
from activities.subscription_endings import Terminate
from activities.subscription_intervals import EditedIntervals, EditIntervals
from activities.subscription_periods import ClosingInvoice
from activities.subscription_plans import ChangePlan, PlannedChange
from activities.subscription_rolls import RollPeriod
from activities.subscription_starts import CreatedSubscription, CreateSubscription
from activities.subscription_versions import MigratedVersion, MigrateVersion
from billing.errors import Conflict, NotFound
from models.audit import sign_for_all
from models.base import wall_now
from models.database import Database
from models.invoices import Invoice
from models.queries import drafts, invoices, subscriptions
from models.queries.terms import Terms
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRef:
    """Which subscription, and the instant at which something happens to it."""

    merchant_id: str
    subscription_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """What the workflow must know to wait for the right instant."""

    status: str
    customer_id: str
    plan_name: str
    first_invoice_id: str | None
    """The invoice whose payment activates it, while it is pending."""
    session_expires_at: datetime | None
    next_boundary: datetime | None
    """When the open invoice's window ends (or begins, for a start in the future)."""
    sequence_number: int
    """The open invoice's."""
    ending_at: datetime | None
    next_reminder: datetime | None = None
    """When the customer is told of the renewal at the next boundary; None: not, or not again."""
    turn_seconds: float = 0.0
    """How long after that boundary its turn comes, in wall time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledPeriod:
    """A boundary passed: what closes, and the subscription as it now stands."""

    closing: ClosingInvoice | None
    view: SubscriptionView


class SubscriptionActivities:
    """The only writer of subscriptions (and of the opening of their invoices)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rolling: Gathering[Signed[RollPeriod], RolledPeriod] = Gathering(self._roll_together)

    async def create_subscription(self, command: CreateSubscription) -> CreatedSubscription:
        """Creates it with its first invoice and owes its workflow; no activity: the API calls it.

        The same customer and plan again, while the first lives, is the first one (SEMANTICS §8).
        """
        try:
            async with self._database.transaction() as session:
                return await starts.create(session, command)
        except IntegrityError as error:
            if not isinstance(error.orig, UniqueViolation):
                raise
            raise Conflict("The subscription was changed at the same time; try again") from error

    async def migrate_version(self, command: MigrateVersion) -> MigratedVersion:
        """Moves it to another version of its plan; no activity: the API calls it."""
        async with self._database.transaction() as session:
            terms = await _terms(session, command)
            return await versions.migrate(session, terms, command)

    async def edit_intervals(self, command: EditIntervals) -> EditedIntervals:
        """Changes its own terms over time; no activity: the API calls it."""
        async with self._database.transaction() as session:
            terms = await _terms(session, command)
            return await own_terms.edit(session, terms, command)

    @activity.defn
    async def view_subscription(self, ref: SubscriptionRef) -> SubscriptionView:
        """Reads what the workflow waits for.

        A first invoice that was paid before the workflow began activates it here: who told of the
        payment found nobody to tell.
        """
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            await _follow_payment(session, subscription, ref.now)
            return await _view(session, subscription)

    @activity.defn
    async def activate_subscription(self, ref: SubscriptionRef) -> SubscriptionView:
        """Its first invoice is paid: active, and the running period's invoice opens."""
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            if subscription.status == "pending_payment":
                await periods.activate(
                    session, await drafts.terms_of(session, subscription), ref.now
                )
            return await _view(session, subscription)

    @activity.defn
    async def approve_first_invoice(self, ref: SubscriptionRef) -> SubscriptionView:
        """A person agrees to its first invoice: issued, it can be paid from now on."""
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            await approvals.approve_first(
                session, await drafts.terms_of(session, subscription), ref.now
            )
            return await _view(session, subscription)

    @activity.defn
    async def expire_activation(self, ref: SubscriptionRef) -> SubscriptionView:
        """The first payment did not come: its invoice is cancelled, the subscription terminated.

        A payment under way is waited for (refused with a retryable error until it is recorded).
        """
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            await _follow_payment(session, subscription, ref.now)
            if subscription.status == "pending_payment":
                ending = Terminate(
                    merchant_id=ref.merchant_id,
                    subscription_id=ref.subscription_id,
                    now=ref.now,
                    reason="payment_session_expired",
                )
                await endings.end_pending(session, subscription, ending)
            return await _view(session, subscription)

    @activity.defn
    async def roll_period(self, command: RollPeriod) -> RolledPeriod:
        """At a boundary: the open invoice begins to close, the next window's invoice opens.

        What is asked at the same time for subscriptions of one merchant is done together, unless
        there is something peculiar about one. Run twice, it leaves what closes as it is.
        """
        rolled = await self._rolling.ask(command.merchant_id, Signed(command))
        if rolled is not None:
            return rolled
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            invoice = await invoices.get(
                session, command.merchant_id, command.invoice_id, lock=True
            )
            terms = None
            if subscription.status == "active" and invoice is not None:
                terms = await drafts.terms_of(session, subscription)
                if command.reminded_at is not None:
                    await reminders.remind(session, terms, invoice, command.reminded_at)
                await periods.roll(session, terms, invoice)
            closing = None if invoice is None else periods.closing_of(invoice)
            return RolledPeriod(closing=closing, view=await _view(session, subscription, terms))

    async def _roll_together(
        self, merchant_id: str, asked: Sequence[Signed[RollPeriod]]
    ) -> list[RolledPeriod | None]:
        sign_for_all({row: each.signed for each in asked for row in rolls.rows_of(each.command)})
        async with self._database.transaction() as session:
            rolled = await rolls.roll_all(session, merchant_id, [each.command for each in asked])
        done = {command: _rolled(each) for command, each in rolled.items()}
        return [done.get(each.command) for each in asked]

    @activity.defn
    async def change_subscription(self, command: ChangeSubscription) -> SubscriptionView:
        """Writes what a merchant changed; what is terminated is not changed."""
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            await changes.change(session, await drafts.terms_of(session, subscription), command)
            return await _view(session, subscription)

    @activity.defn
    async def remind_renewal(self, ref: SubscriptionRef) -> SubscriptionView:
        """Records that the customer is told of the coming renewal, once a period."""
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            terms = await drafts.terms_of(session, subscription)
            if subscription.status == "active":
                await reminders.remind(session, terms, await _open(session, subscription), ref.now)
            return await _view(session, subscription)

    @activity.defn
    async def pause_subscription(self, ref: SubscriptionRef) -> RolledPeriod:
        """Stops billing: usage and arrears up to now are billed, advance fees are not refunded."""
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            await pauses.pause(session, await drafts.terms_of(session, subscription), ref.now)
            closing = await endings.last_closing(session, subscription)
            return RolledPeriod(closing=closing, view=await _view(session, subscription))

    @activity.defn
    async def resume_subscription(self, ref: SubscriptionRef) -> SubscriptionView:
        """Bills again from now on; the time of the pause is never billed."""
        async with self._database.transaction() as session:
            subscription = await _found(session, ref)
            await pauses.resume(session, await drafts.terms_of(session, subscription), ref.now)
            # The version that bills it now may have come while nothing was billed.
            await entitlements.follow(session, subscription, ref.now)
            return await _view(session, subscription)

    async def plan_change(self, command: ChangePlan) -> PlannedChange:
        """What a change of its plan would bill; it writes nothing, and no worker calls it."""
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            return await own_plans.plan(
                session, await drafts.terms_of(session, subscription), command
            )

    @activity.defn
    async def change_plan(self, command: ChangePlan) -> RolledPeriod:
        """Changes its plan: what ran until now is billed by the old one."""
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            terms = await drafts.terms_of(session, subscription)
            await own_plans.change(session, terms, command)
            closing = await endings.last_closing(session, subscription)
            return RolledPeriod(closing=closing, view=await _view(session, subscription))

    @activity.defn
    async def terminate_subscription(self, command: Terminate) -> RolledPeriod:
        """Ends it: usage and arrears up to now are billed, advance fees are not refunded."""
        async with self._database.transaction() as session:
            subscription = await _found(session, _ref(command))
            await _follow_payment(session, subscription, command.now)
            if subscription.status == "pending_payment":
                await endings.end_pending(session, subscription, command)
            if subscription.status == "active":
                await endings.end_active(session, subscription, command)
            closing = await endings.last_closing(session, subscription)
            return RolledPeriod(closing=closing, view=await _view(session, subscription))


_Command = RollPeriod | ChangeSubscription | ChangePlan | Terminate


def _ref(command: _Command) -> SubscriptionRef:
    return SubscriptionRef(
        merchant_id=command.merchant_id,
        subscription_id=command.subscription_id,
        now=command.now,
    )


async def _terms(session: AsyncSession, command: MigrateVersion | EditIntervals) -> Terms:
    ref = SubscriptionRef(
        merchant_id=command.merchant_id,
        subscription_id=command.subscription_id,
        now=wall_now(),
    )
    return await drafts.terms_of(session, await _found(session, ref))


async def _found(session: AsyncSession, ref: SubscriptionRef) -> Subscription:
    subscription = await subscriptions.get(session, ref.merchant_id, ref.subscription_id, lock=True)
    if subscription is None:
        raise NotFound(f"No subscription {ref.subscription_id}")
    return subscription


async def _follow_payment(session: AsyncSession, subscription: Subscription, now: datetime) -> None:
    """Activates one that is pending although its first invoice is paid: the news is on its way.

    The invoice is locked: whoever ends a pending one next decides by what was found here.
    """
    if subscription.status != "pending_payment":
        return
    first = await invoices.first_of(session, subscription.merchant_id, subscription.id, lock=True)
    if first is not None and first.status == "PAID":
        await periods.activate(session, await drafts.terms_of(session, subscription), now)


async def _view(
    session: AsyncSession, subscription: Subscription, known: Terms | None = None
) -> SubscriptionView:
    terms = known
    if terms is None or terms.plan.id != subscription.plan_id:
        terms = await drafts.terms_of(session, subscription)
    current = await _open(session, subscription)
    first = None
    if subscription.status == "pending_payment":
        first = await invoices.first_of(session, subscription.merchant_id, subscription.id)
    next_reminder = await reminders.next_reminder(session, terms, current)
    boundary = None if current is None else current.next_action_at
    (turn,) = await periods.turns_of(session, [(subscription, boundary)])
    return _view_of(terms, current, first=first, next_reminder=next_reminder, turn_seconds=turn)


def _rolled(rolled: rolls.Rolled) -> RolledPeriod:
    view = _view_of(
        rolled.terms,
        rolled.opened,
        next_reminder=rolled.next_reminder,
        turn_seconds=rolled.turn_seconds,
    )
    return RolledPeriod(closing=periods.closing_of(rolled.closing), view=view)


def _view_of(
    terms: Terms,
    current: Invoice | None,
    *,
    first: Invoice | None = None,
    next_reminder: datetime | None,
    turn_seconds: float,
) -> SubscriptionView:
    """What is told of it: `current` is its open invoice, `first` the one that is to be paid."""
    subscription = terms.subscription
    # A draft is collected by nobody, and does not expire.
    is_asked = subscription.status == "pending_payment" and not _is_draft(first)
    return SubscriptionView(
        status=subscription.status,
        customer_id=subscription.customer_id,
        plan_name=terms.plan.name,
        first_invoice_id=first.id if is_asked and first is not None else None,
        session_expires_at=subscription.session_expires_at if is_asked else None,
        next_boundary=None if current is None else current.next_action_at,
        sequence_number=0 if current is None else current.sequence_number,
        ending_at=subscription.ending_at,
        next_reminder=next_reminder,
        turn_seconds=turn_seconds,
    )


def _is_draft(first: Invoice | None) -> bool:
    return first is not None and first.status == "DRAFT"


async def _open(session: AsyncSession, subscription: Subscription) -> Invoice | None:
    found = await invoices.of_subscription(
        session, subscription.merchant_id, subscription.id, "ACTIVE"
    )
    return found[0] if found else None
