"""What collection asks of a payment provider; no provider's wire format is known here.

Two things differ and must not be confused: a *declined* charge is a result that dunning decides
on, and an *unknown* outcome (`GatewayUnavailable`) is asked for again under the same key.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from billing.errors import BillingError


class CardDeclined(BillingError):
    """A card was refused as it was created or saved; `code` is the provider's, in capitals.

    A charge that is declined raises nothing: it is a `ChargeOutcome`.
    """

    code = "CARD_DECLINED"

    def __init__(self, decline_code: str, message: str) -> None:
        super().__init__(message, details={"declineCode": decline_code})
        self.code = decline_code.upper()
        self.decline_code = decline_code


class GatewayRefusal(BillingError):
    """The provider will never serve this request: an unknown card, or a key used before."""

    code = "GATEWAY_REFUSAL"


class GatewayUnavailable(Exception):
    """No answer, or none that tells the outcome; ask again under the same idempotency key."""


@dataclass(frozen=True, kw_only=True)
class CardDetails:
    """What a customer typed: it goes to the provider, never into a workflow or a log."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    cvc: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SavedCard:
    """A card at the provider, as far as it may be shown."""

    payment_method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, kw_only=True)
class ChargeRequest:
    """A charge in major units; the key names the attempt, so that repeating it charges once."""

    idempotency_key: str
    amount: Decimal
    currency: str
    payment_method_id: str
    invoice_id: str


@dataclass(frozen=True, kw_only=True)
class ChargeOutcome:
    """How a charge ended; a failed one says why."""

    charge_id: str
    status: Literal["succeeded", "failed"]
    decline_code: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class GatewayCharge:
    """A line of the provider's own book."""

    charge_id: str
    status: Literal["succeeded", "failed"]
    amount: Decimal
    amount_refunded: Decimal
    currency: str
    invoice_id: str
    idempotency_key: str
    decline_code: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class RefundRequest:
    """Money back from a charge; the key names the refund."""

    idempotency_key: str
    charge_id: str
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class RefundOutcome:
    """A refund that was made."""

    refund_id: str


class PaymentGateway(Protocol):
    """A payment provider. Every method may raise `GatewayUnavailable`."""

    async def create_payment_method(self, card: CardDetails) -> SavedCard:
        """Hands the card to the provider; raises `CardDeclined` for details that are no card."""

    async def attach(self, payment_method_id: str) -> None:
        """Saves a card for charges without the customer; raises `CardDeclined`."""

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Charges a saved card; the same key gets the first outcome again."""

    async def find_charge(self, idempotency_key: str) -> ChargeOutcome | None:
        """The outcome of an attempt whose answer was lost; None when none was made."""

    async def list_charges(self) -> list[GatewayCharge]:
        """The provider's book, oldest first."""

    async def refund(self, request: RefundRequest) -> RefundOutcome:
        """Gives money back; the same key refunds once."""

    async def close(self) -> None:
        """Lets go of connections."""
