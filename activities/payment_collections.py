"""What is collected, an invoice or a payment, and how far that has come; read, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import issuing
from billing.errors import NotFound
from models.customers import PaymentMethod
from models.invoices import Invoice
from models.payments import Payment, PaymentAttempt
from models.queries import invoices, payments, subscriptions
from models.subscriptions import Subscription

T = TypeVar("T")
PAYABLE_INVOICE = ("ISSUED", "PAYMENT_FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRef:
    """Which invoice or payment is collected, and the instant at which something happens to it."""

    merchant_id: str
    collection_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCollection(CollectionRef):
    """Reads what is to be collected; `begins`: and opens the saved card's first attempt at once."""

    begins: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What the workflow must know to collect: the amount stays in the rows."""

    is_open: bool
    """Whether there is still something to collect."""
    status: str
    customer_id: str | None
    subscription_id: str | None
    activates_subscription: bool
    auto_charge: bool
    has_method: bool
    expires_at: datetime | None
    attempts: int
    failed_automatic: int
    first_failed_at: datetime | None
    pending_attempt_id: str | None
    """An attempt whose outcome was never recorded: it is looked up before any new one."""
    pending_number: int | None
    pending_was_found: bool = False
    """It was pending before this was read: somebody may have charged it already."""
    charges_at_once: bool = False
    """Whether a charge is first tried within the workflow's own task; not in older histories."""


@dataclass(frozen=True, slots=True)
class Payable:
    """An invoice or a payment, as far as collecting it goes."""

    amount: Decimal
    currency: str
    customer_id: str | None
    invoice: Invoice | None
    payment: Payment | None

    @property
    def status(self) -> str:
        """As its row stands by now."""
        row = self.invoice or self.payment
        return "" if row is None else row.status

    @property
    def is_open(self) -> bool:
        """Whether it can still be paid."""
        return self.status in (PAYABLE_INVOICE if self.invoice is not None else ("pending",))


async def _payables(
    session: AsyncSession, merchant_id: str, collection_ids: Sequence[str]
) -> dict[str, Payable]:
    """These invoices and payments, locked in the order of their ids; unknown ones are left out."""
    wanted = [each for each in collection_ids if each.startswith("inv_")]
    others = [each for each in collection_ids if not each.startswith("inv_")]
    bills = await invoices.locked(session, merchant_id, wanted)
    found = {
        invoice.id: Payable(
            amount=issuing.unpaid(invoice),
            currency=invoice.currency,
            customer_id=invoice.customer_id,
            invoice=invoice,
            payment=None,
        )
        for invoice in bills
    }
    for payment in await payments.locked_payments(session, merchant_id, others):
        found[payment.id] = Payable(
            amount=payment.amount,
            currency=payment.currency,
            customer_id=payment.customer_id,
            invoice=None,
            payment=payment,
        )
    return found


async def payable_of(session: AsyncSession, merchant_id: str, collection_id: str) -> Payable:
    """The invoice or payment, locked; raises NotFound."""
    found = await _payables(session, merchant_id, [collection_id])
    return known(found, collection_id)


def known(found: Mapping[str, T], collection_id: str) -> T:
    """What was found of it; raises NotFound."""
    if collection_id not in found:
        kind = "invoice" if collection_id.startswith("inv_") else "payment"
        raise NotFound(f"No {kind} {collection_id}")
    return found[collection_id]


@dataclass(slots=True)
class Found:
    """What is collected, and what has been tried: read once a transaction, under its lock."""

    payable: Payable
    attempts: list[PaymentAttempt]
    subscription: Subscription | None
    method_id: str | None
    """The customer's newest saved card."""
    begun_id: str | None = None
    """The attempt that this transaction has begun."""

    @property
    def failed(self) -> list[PaymentAttempt]:
        """Dunning's own attempts that failed; those that somebody asked for are not counted."""
        return [
            row for row in self.attempts if row.status == "failed" and row.origin == "automatic"
        ]

    @property
    def activates(self) -> bool:
        """Whether a subscription begins with this money."""
        return self.subscription is not None and self.subscription.status == "pending_payment"

    @property
    def begins_by_itself(self) -> bool:
        """Whether the saved card is charged now, before anybody waits for anything."""
        subscription = self.subscription
        if self.attempts or subscription is None or not subscription.auto_charge:
            return False
        return self.payable.status == "ISSUED" and not (self.activates and self.method_id is None)

    def collection(self) -> Collection:
        """As the workflow is told."""
        payable, subscription, failed = self.payable, self.subscription, self.failed
        last = self.attempts[-1] if self.attempts else None
        pending = last if last is not None and last.status == "pending" else None
        expires_at = payable.payment.expires_at if payable.payment is not None else None
        if self.activates and subscription is not None:
            expires_at = subscription.session_expires_at
        return Collection(
            is_open=payable.is_open,
            status=payable.status,
            customer_id=payable.customer_id,
            subscription_id=None if subscription is None else subscription.id,
            activates_subscription=self.activates,
            auto_charge=subscription is not None and subscription.auto_charge,
            has_method=self.method_id is not None,
            expires_at=expires_at,
            attempts=len(self.attempts),
            failed_automatic=len(failed),
            first_failed_at=failed[0].attempted_at if failed else None,
            pending_attempt_id=None if pending is None else pending.id,
            pending_number=None if pending is None else pending.number,
            pending_was_found=pending is not None and pending.id != self.begun_id,
            charges_at_once=True,
        )


async def load(session: AsyncSession, merchant_id: str, collection_id: str) -> Found:
    """What is collected, locked, with its attempts and whoever pays it; raises NotFound."""
    return known(await load_all(session, merchant_id, [collection_id]), collection_id)


async def load_all(
    session: AsyncSession, merchant_id: str, collection_ids: Sequence[str]
) -> dict[str, Found]:
    """The same of several of one merchant, by their ids; unknown ones are left out."""
    payables = await _payables(session, merchant_id, collection_ids)
    billed = {
        key: each.invoice.subscription_id
        for key, each in payables.items()
        if each.invoice is not None
    }
    payers = await subscriptions.among(session, merchant_id, set(billed.values()))
    customers = {each.customer_id for each in payables.values() if each.customer_id is not None}
    methods = await payments.newest_methods(session, merchant_id, customers)
    attempts = await payments.attempts_of_all(session, merchant_id, payables)
    return {
        key: Found(
            payable=each,
            attempts=attempts.get(key, []),
            subscription=payers.get(billed.get(key, "")),
            method_id=_method_id(methods, each.customer_id),
        )
        for key, each in payables.items()
    }


def _method_id(methods: Mapping[str, PaymentMethod], customer_id: str | None) -> str | None:
    method = None if customer_id is None else methods.get(customer_id)
    return None if method is None else method.gateway_method_id
