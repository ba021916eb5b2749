"""What is collected, an invoice or a payment, and how far that has come; read, never changed."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import issuing
from billing.errors import NotFound
from models.invoices import Invoice
from models.payments import Payment, PaymentAttempt
from models.queries import invoices, payments
from models.subscriptions import Subscription

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


async def payable_of(session: AsyncSession, merchant_id: str, collection_id: str) -> Payable:
    """The invoice or payment, locked; raises NotFound."""
    if collection_id.startswith("inv_"):
        invoice = await invoices.get(session, merchant_id, collection_id, lock=True)
        if invoice is None:
            raise NotFound(f"No invoice {collection_id}")
        return Payable(
            amount=issuing.unpaid(invoice),
            currency=invoice.currency,
            customer_id=invoice.customer_id,
            invoice=invoice,
            payment=None,
        )
    payment = await payments.get_payment(session, merchant_id, collection_id, lock=True)
    if payment is None:
        raise NotFound(f"No payment {collection_id}")
    return Payable(
        amount=payment.amount,
        currency=payment.currency,
        customer_id=payment.customer_id,
        invoice=None,
        payment=payment,
    )


@dataclass(slots=True)
class Found:
    """What is collected, and what has been tried: read once a transaction, under its lock."""

    payable: Payable
    attempts: list[PaymentAttempt]
    subscription: Subscription | None
    method_id: str | None
    """The customer's newest saved card."""

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
        )


async def load(session: AsyncSession, merchant_id: str, collection_id: str) -> Found:
    """What is collected, locked, with its attempts and whoever pays it; raises NotFound."""
    payable = await payable_of(session, merchant_id, collection_id)
    subscription, method = None, None
    if payable.invoice is not None:
        subscription, method = await payments.payer_of(session, payable.invoice)
    elif payable.customer_id is not None:
        method = await payments.newest_method(session, merchant_id, payable.customer_id)
    return Found(
        payable=payable,
        attempts=await payments.attempts_of(session, merchant_id, collection_id),
        subscription=subscription,
        method_id=None if method is None else method.gateway_method_id,
    )
