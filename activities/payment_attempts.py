"""The part of the writer of payments that tries a card; the charge itself is not here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Self

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import payment_pages as pages
from activities import payment_settlements as settlements
from activities.gateways.port import ChargeOutcome, SavedCard
from activities.payment_collections import Collection, Found, Payable, load
from billing.dunning import next_attempt_at
from billing.errors import NotFound
from billing.ids import derived_id
from models.base import wall_now
from models.payments import PaymentAttempt
from models.queries import invoices, payments

RETRY_PAUSE = timedelta(minutes=1)
Origin = Literal["automatic", "checkout", "retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardChoice:
    """The card of a checkout, as the gateway knows it; None: the customer's newest saved card."""

    gateway_method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    save: bool

    @classmethod
    def of(cls, card: SavedCard, *, save: bool) -> Self:
        """The same card as the gateway has it."""
        return cls(
            gateway_method_id=card.payment_method_id,
            brand=card.brand,
            last4=card.last4,
            exp_month=card.exp_month,
            exp_year=card.exp_year,
            save=save,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginAttempt:
    """Opens attempt `number` to collect."""

    merchant_id: str
    collection_id: str
    number: int
    now: datetime
    card: CardChoice | None = None
    is_retry: bool = False
    """The merchant asks for it: dunning's own attempts are counted without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunAttempt:
    """The attempt to charge, or why there is none.

    `no_payment_method`, `not_payable`, or `too_soon` after another retry.
    """

    attempt_id: str | None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """One attempt."""

    merchant_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAttempt:
    """The gateway's answer, to be written once."""

    merchant_id: str
    attempt_id: str
    outcome: ChargeOutcome
    now: datetime
    card: CardChoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAttempt:
    """How the attempt ended."""

    status: str
    """`succeeded` or `failed`."""
    decline_code: str | None
    message: str | None
    collection: Collection


async def begin(session: AsyncSession, found: Found, command: BeginAttempt) -> BegunAttempt:
    """Writes the attempt, pending; one that is pending already is answered again."""
    if not found.payable.is_open:
        return BegunAttempt(attempt_id=None, refusal="not_payable")
    made = found.attempts
    if made and made[-1].status == "pending":
        return BegunAttempt(attempt_id=made[-1].id)
    if command.is_retry and _was_retried(made, command):
        return BegunAttempt(attempt_id=None, refusal="too_soon")
    method_id = found.method_id if command.card is None else command.card.gateway_method_id
    attempt = _attempt_row(found.payable, command, method_id)
    await payments.add_attempt(session, attempt)
    made.append(attempt)
    if method_id is None:
        await _show_retry(session, found)
        return BegunAttempt(attempt_id=None, refusal="no_payment_method")
    return BegunAttempt(attempt_id=attempt.id)


def _attempt_row(payable: Payable, command: BeginAttempt, method_id: str | None) -> PaymentAttempt:
    """The attempt, pending; without a card it has failed as it is made, and charges nothing."""
    missing = method_id is None
    return PaymentAttempt(
        id=derived_id("att", command.collection_id, command.number),
        merchant_id=command.merchant_id,
        collection_id=command.collection_id,
        number=command.number,
        status="failed" if missing else "pending",
        origin=_origin(command),
        amount=payable.amount,
        currency=payable.currency,
        gateway_method_id=method_id or "",
        decline_code="no_payment_method" if missing else None,
        message="The customer has no saved card" if missing else None,
        attempted_at=command.now,
        resolved_at=command.now if missing else None,
    )


def _origin(command: BeginAttempt) -> Origin:
    if command.card is not None:
        return "checkout"
    return "retry" if command.is_retry else "automatic"


def _was_retried(made: Sequence[PaymentAttempt], command: BeginAttempt) -> bool:
    """Whether the merchant asked less than a minute ago, in real time; his own call does not count.

    Run again after its commit, this finds the attempt that it made itself.
    """
    own = derived_id("att", command.collection_id, command.number)
    since = wall_now() - RETRY_PAUSE
    return any(row.origin == "retry" and row.created_at > since for row in made if row.id != own)


async def record(session: AsyncSession, command: RecordAttempt) -> RecordedAttempt:
    """Writes the gateway's answer once and, if it was paid, everything that follows from it."""
    attempt = await payments.get_attempt(
        session, command.merchant_id, command.attempt_id, lock=True
    )
    if attempt is None:
        raise NotFound(f"No payment attempt {command.attempt_id}")
    found = await load(session, attempt.merchant_id, attempt.collection_id)
    if attempt.status == "pending":
        await _record(session, found, attempt, command)
    return RecordedAttempt(
        status=attempt.status,
        decline_code=attempt.decline_code,
        message=attempt.message,
        collection=found.collection(),
    )


async def _show_retry(session: AsyncSession, found: Found) -> None:
    """Shows on the invoice when it is tried next."""
    invoice, failed = found.payable.invoice, found.failed
    if invoice is None or invoice.status != "ISSUED" or not failed:
        return
    await invoices.change(
        session,
        invoice.merchant_id,
        invoice.id,
        next_action_at=next_attempt_at(failed[0].attempted_at, len(failed)),
    )


async def _record(
    session: AsyncSession, found: Found, attempt: PaymentAttempt, command: RecordAttempt
) -> None:
    outcome = command.outcome
    await payments.change_attempt(
        session,
        attempt.merchant_id,
        attempt.id,
        status=outcome.status,
        gateway_charge_id=outcome.charge_id,
        decline_code=outcome.decline_code,
        message=outcome.message,
        resolved_at=command.now,
    )
    if outcome.status != "succeeded":
        await _show_retry(session, found)
        return
    await settlements.settle(session, found.payable, attempt, command.now)
    await payments.change_sessions(
        session,
        attempt.merchant_id,
        attempt.collection_id,
        status="completed",
        completed_at=command.now,
        provider_payment_ref=outcome.charge_id,
    )
    await _save_card(session, found, command)


async def _save_card(session: AsyncSession, found: Found, command: RecordAttempt) -> None:
    card, customer_id = command.card, found.payable.customer_id
    if card is None or not card.save or customer_id is None:
        return
    saved = SavedCard(
        payment_method_id=card.gateway_method_id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
    )
    await pages.keep_card(session, command.merchant_id, customer_id, saved)
    found.method_id = found.method_id or card.gateway_method_id
