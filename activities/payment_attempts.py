"""The part of the writer of payments that tries a card; the charge itself is not here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import payment_pages as pages
from activities import payment_settlements as settlements
from activities.gateways.port import ChargeOutcome, SavedCard
from activities.payment_collections import Collection, Found, Payable, load_all
from billing.dunning import next_attempt_at
from billing.errors import NotFound
from billing.ids import derived_id
from models.base import wall_now
from models.payments import PaymentAttempt
from models.queries import invoices, payments
from models.row_sets import Change

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
    was_pending: bool = False
    """It was begun before: somebody may have charged it already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """One attempt."""

    merchant_id: str
    attempt_id: str
    was_tried: bool = False
    """It may have been charged already: it is looked up before anything is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAttempt:
    """The gateway's answer, to be written once."""

    merchant_id: str
    collection_id: str
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
    (begun,) = await begin_all(session, command.merchant_id, [(found, command)])
    return begun


async def begin_all(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Found, BeginAttempt]]
) -> list[BegunAttempt]:
    """The same for several, each of another collection of one merchant."""
    known = {row.id for found, _ in asked for row in found.attempts}
    begun = [_begun(found, command) for found, command in asked]
    made = [row for found, _ in asked for row in found.attempts if row.id not in known]
    await payments.add_attempts(session, merchant_id, made)
    cardless = [
        found
        for (found, _), answer in zip(asked, begun, strict=True)
        if answer.refusal == "no_payment_method"
    ]
    await _show_retries(session, merchant_id, cardless)
    return begun


def _begun(found: Found, command: BeginAttempt) -> BegunAttempt:
    """Adds the attempt to what was found, unless there is one under way or none to be made."""
    made = found.attempts
    if not found.payable.is_open:
        return BegunAttempt(attempt_id=None, refusal="not_payable")
    if made and made[-1].status == "pending":
        return BegunAttempt(attempt_id=made[-1].id, was_pending=True)
    if command.is_retry and _was_retried(made, command):
        return BegunAttempt(attempt_id=None, refusal="too_soon")
    method_id = found.method_id if command.card is None else command.card.gateway_method_id
    attempt = _attempt_row(found.payable, command, method_id)
    made.append(attempt)
    found.begun_id = attempt.id
    if method_id is None:
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
    recorded = await record_all(session, command.merchant_id, [command])
    if command.attempt_id not in recorded:
        raise NotFound(f"No payment attempt {command.attempt_id}")
    return recorded[command.attempt_id]


async def record_all(
    session: AsyncSession, merchant_id: str, commands: Sequence[RecordAttempt]
) -> dict[str, RecordedAttempt]:
    """The same for several, each of another collection of one merchant, by the attempts' ids.

    Attempts that are not known are left out.
    """
    founds = await load_all(session, merchant_id, [each.collection_id for each in commands])
    answered = [
        _Answered(founds[command.collection_id], attempt, command)
        for command in commands
        if command.collection_id in founds
        for attempt in founds[command.collection_id].attempts
        if attempt.id == command.attempt_id
    ]
    await _record(session, merchant_id, [e for e in answered if e.attempt.status == "pending"])
    return {each.attempt.id: each.recorded() for each in answered}


@dataclass(frozen=True, slots=True)
class _Answered:
    """An attempt and what the gateway says of it."""

    found: Found
    attempt: PaymentAttempt
    command: RecordAttempt

    def columns(self) -> dict[str, Any]:
        """What the attempt becomes."""
        outcome = self.command.outcome
        return {
            "status": outcome.status,
            "gateway_charge_id": outcome.charge_id,
            "decline_code": outcome.decline_code,
            "message": outcome.message,
            "resolved_at": self.command.now,
        }

    def paid(self) -> settlements.Paid:
        """The money that it has brought."""
        return settlements.Paid(self.found.payable, self.attempt, self.command.now)

    def completion(self) -> payments.Completion:
        """What its pages become."""
        return payments.Completion(
            collection_id=self.command.collection_id,
            completed_at=self.command.now,
            provider_payment_ref=self.command.outcome.charge_id,
        )

    def recorded(self) -> RecordedAttempt:
        """As the workflow is told."""
        return RecordedAttempt(
            status=self.attempt.status,
            decline_code=self.attempt.decline_code,
            message=self.attempt.message,
            collection=self.found.collection(),
        )


async def _record(session: AsyncSession, merchant_id: str, answered: Sequence[_Answered]) -> None:
    changes = [Change(each.attempt, each.columns()) for each in answered]
    await payments.change_attempts(session, merchant_id, changes)
    brought = [each for each in answered if each.attempt.status == "succeeded"]
    declined = [each.found for each in answered if each.attempt.status != "succeeded"]
    await _show_retries(session, merchant_id, declined)
    await settlements.settle(session, merchant_id, [each.paid() for each in brought])
    await payments.complete_sessions(session, merchant_id, [each.completion() for each in brought])
    for each in brought:
        await _save_card(session, each.found, each.command)


async def _show_retries(session: AsyncSession, merchant_id: str, founds: Sequence[Found]) -> None:
    """Shows on the invoices when they are tried next."""
    changes = []
    for found in founds:
        invoice, failed = found.payable.invoice, found.failed
        if invoice is not None and invoice.status == "ISSUED" and failed:
            coming = next_attempt_at(failed[0].attempted_at, len(failed))
            changes.append(Change(invoice, {"next_action_at": coming}))
    await invoices.change_all(session, merchant_id, changes)


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
