"""Payment transactions and the one outside call, the charge; schedules are the workflow's."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import payment_attempts as attempts
from activities import payment_pages as pages
from activities import payment_settlements as settlements
from activities.gateways.port import (
    ChargeOutcome,
    ChargeRequest,
    GatewayUnavailable,
    PaymentGateway,
    SavedCard,
)
from activities.gathering import Gathering, Signed
from activities.payment_attempts import (
    AttemptRef,
    BeginAttempt,
    BegunAttempt,
    RecordAttempt,
    RecordedAttempt,
)
from activities.payment_collections import (
    Collection,
    CollectionRef,
    OpenCollection,
    known,
    load,
    load_all,
)
from activities.payment_pages import CreatedPayment, CreateLink, CreatePayment, CreateSetup
from activities.payment_settlements import SettledOutside, SettleOutside
from billing.errors import NotFound
from billing.invoicing import check_transition
from models.audit import sign_for_all
from models.database import Database
from models.payments import PaymentAttempt
from models.queries import invoices, payments

AT_ONCE_SECONDS = 2
"""How long a workflow's own task is held for the provider's answer."""
AT_ONCE_MAX = 20
"""How many tasks are held at the same time: the others go on while a provider is slow."""

Command = TypeVar("Command", OpenCollection, RecordAttempt)
log = structlog.get_logger(__name__)


class PaymentActivities:
    """The only writer of payments, sessions, attempts and saved cards."""

    def __init__(self, database: Database, gateway: PaymentGateway) -> None:
        self._database = database
        self._gateway = gateway
        self._opening = Gathering(self._open_together)
        self._recording = Gathering(self._record_together)
        self._reading = Gathering(self._read_together)
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def create_payment(self, command: CreatePayment) -> CreatedPayment:
        """Creates a one-off payment with its hosted page; not an activity: the API calls it.

        The same idempotency key again is the first payment; with another body it is refused.
        """
        async with self._database.transaction() as session:
            return await pages.create_payment(session, command)

    async def create_setup(self, command: CreateSetup) -> str:
        """Opens a session that saves a card; returns its id. Not an activity: the API calls it."""
        async with self._database.transaction() as session:
            return await pages.create_setup(session, command)

    async def complete_setup(self, merchant_id: str, session_id: str, card: SavedCard) -> list[str]:
        """Saves the card of a set-up session; returns the invoices that wait for a better card."""
        async with self._database.transaction() as session:
            return await pages.complete_setup(session, merchant_id, session_id, card)

    async def create_link(self, command: CreateLink) -> str:
        """Opens a new page for an unpaid invoice in place of the old one; returns its session's id.

        Not an activity: the API calls it. A first invoice's page ends with its subscription's wait.
        """
        async with self._database.transaction() as session:
            return await pages.create_link(session, command)

    @activity.defn
    async def settle_outside(self, command: SettleOutside) -> SettledOutside:
        """Books an invoice as paid past the provider; run twice, it books once."""
        async with self._database.transaction() as session:
            return await settlements.settle_outside(session, command)

    @activity.defn
    async def open_collection(self, command: OpenCollection) -> Collection:
        """Reads what is to be collected and how far it has come.

        Where the saved card is to be charged at once, the attempt is pending when this answers.
        What is asked at the same time for one merchant is done together.
        """
        opened = await self._opening.ask(command.merchant_id, Signed(command))
        if opened is not None:
            return opened
        async with self._database.transaction() as session:
            found = await _open(session, command.merchant_id, [command])
            return known(found, command.collection_id)

    @activity.defn
    async def begin_attempt(self, command: BeginAttempt) -> BegunAttempt:
        """Writes the attempt before the charge, so that a crash between them leaves a trace.

        An attempt still pending is answered again: no second one beside it.
        """
        async with self._database.transaction() as session:
            found = await load(session, command.merchant_id, command.collection_id)
            return await attempts.begin(session, found, command)

    @activity.defn
    async def record_attempt(self, command: RecordAttempt) -> RecordedAttempt:
        """Writes the gateway's answer and, if it was paid, everything that follows from it.

        What comes at the same time for one merchant is done together; a card to be saved is not.
        """
        if command.card is None:
            recorded = await self._recording.ask(command.merchant_id, Signed(command))
            if recorded is not None:
                return recorded
        async with self._database.transaction() as session:
            return await attempts.record(session, command)

    @activity.defn
    async def charge_at_once(self, ref: AttemptRef) -> ChargeOutcome | None:
        """The first try of a charge, within the workflow's own task, and only for a moment.

        None where the outcome is not known by then, or where many are waiting for the provider
        already: `charge` finds out.
        """
        if self._at_once.locked():
            return None
        async with self._at_once:
            try:
                async with asyncio.timeout(AT_ONCE_SECONDS):
                    return await self._charge(ref)
            except (TimeoutError, GatewayUnavailable) as error:
                log.info("charge_not_at_once", attempt_id=ref.attempt_id, reason=repr(error))
                return None

    @activity.defn
    async def charge(self, ref: AttemptRef) -> ChargeOutcome:
        """The outside call, and nothing else; the attempt's id is the gateway's idempotency key."""
        return await self._charge(ref)

    async def _charge(self, ref: AttemptRef) -> ChargeOutcome:
        """A retry first looks the key up: an answer that was lost is found, never charged again."""
        attempt = await self._reading.ask(ref.merchant_id, ref.attempt_id)
        if attempt is None:
            async with self._database.transaction() as session:
                attempt = await payments.get_attempt(session, ref.merchant_id, ref.attempt_id)
        if attempt is None:
            raise NotFound(f"No payment attempt {ref.attempt_id}")
        if ref.was_tried or activity.info().attempt > 1:
            found = await self._gateway.find_charge(attempt.id)
            if found is not None:
                return found
        return await self._gateway.charge(
            ChargeRequest(
                idempotency_key=attempt.id,
                amount=attempt.amount,
                currency=attempt.currency,
                payment_method_id=attempt.gateway_method_id,
                invoice_id=attempt.collection_id,
            )
        )

    async def _open_together(
        self, merchant_id: str, asked: Sequence[Signed[OpenCollection]]
    ) -> list[Collection | None]:
        commands = _signed(asked)
        async with self._database.transaction() as session:
            found = await _open(session, merchant_id, commands)
        return [found.get(each.command.collection_id) for each in asked]

    async def _record_together(
        self, merchant_id: str, asked: Sequence[Signed[RecordAttempt]]
    ) -> list[RecordedAttempt | None]:
        commands = _signed(asked)
        async with self._database.transaction() as session:
            found = await attempts.record_all(session, merchant_id, commands)
        return [found.get(each.command.attempt_id) for each in asked]

    async def _read_together(
        self, merchant_id: str, attempt_ids: Sequence[str]
    ) -> list[PaymentAttempt | None]:
        async with self._database.transaction() as session:
            found = await payments.attempts_by_id(session, merchant_id, attempt_ids)
        return [found.get(each) for each in attempt_ids]

    @activity.defn
    async def give_up_collection(self, ref: CollectionRef) -> None:
        """The last retry failed: the invoice's collection has ended without its money."""
        async with self._database.transaction() as session:
            invoice = await invoices.get(session, ref.merchant_id, ref.collection_id, lock=True)
            if invoice is not None and invoice.status == "ISSUED":
                check_transition("ISSUED", "PAYMENT_FAILED")
                await invoices.change(
                    session,
                    ref.merchant_id,
                    ref.collection_id,
                    status="PAYMENT_FAILED",
                    next_action_at=None,
                )
                await payments.change_sessions(
                    session, ref.merchant_id, ref.collection_id, status="failed"
                )

    @activity.defn
    async def expire_collection(self, ref: CollectionRef) -> None:
        """A one-off payment's time is over; an invoice's expiry is its subscription's business."""
        async with self._database.transaction() as session:
            payment = await payments.get_payment(
                session, ref.merchant_id, ref.collection_id, lock=True
            )
            if payment is not None and payment.status == "pending":
                await payments.change_payment(
                    session, ref.merchant_id, payment.id, status="expired"
                )
                await payments.change_sessions(
                    session, ref.merchant_id, payment.id, status="expired"
                )


def _signed(asked: Sequence[Signed[Command]]) -> list[Command]:
    """One command a collection; its workflow signs for the collection's rows."""
    sign_for_all({each.command.collection_id: each.signed for each in asked})
    return list({each.command.collection_id: each.command for each in asked}.values())


async def _open(
    session: AsyncSession, merchant_id: str, commands: Sequence[OpenCollection]
) -> dict[str, Collection]:
    """What is to be collected, of one merchant; unknown ones are left out."""
    found = await load_all(session, merchant_id, [each.collection_id for each in commands])
    beginning = [
        (found[each.collection_id], _first_attempt(each))
        for each in commands
        if each.begins
        and each.collection_id in found
        and found[each.collection_id].begins_by_itself
    ]
    await attempts.begin_all(session, merchant_id, beginning)
    return {key: each.collection() for key, each in found.items()}


def _first_attempt(command: OpenCollection) -> BeginAttempt:
    return BeginAttempt(
        merchant_id=command.merchant_id,
        collection_id=command.collection_id,
        number=1,
        now=command.now,
    )
