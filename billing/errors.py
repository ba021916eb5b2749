"""Refusals of the domain, each with a stable code; HTTP statuses are the api's business."""

from collections.abc import Mapping
from typing import Any


class BillingError(Exception):
    """A refusal that a caller caused or must know of: never retried, never a programming error.

    `code` is UPPER_SNAKE and stable: clients branch on it. `details` is shown to the caller.
    """

    code = "BILLING_ERROR"

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})


class InvalidValue(BillingError):
    """A value that breaks a rule of its field; `field` names it as the wire does."""

    code = "INVALID_VALUE"

    def __init__(
        self, message: str, *, field: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, details=details)
        self.field = field


class NotFound(BillingError):
    """No such object for this merchant; another merchant's object is not found either."""

    code = "NOT_FOUND"


class NotAllowed(BillingError):
    """The caller may not do this here (a live merchant's test clock, a foreign organization)."""

    code = "NOT_ALLOWED"


class Conflict(BillingError):
    """The object's state, or another object's, stands against the change."""

    code = "CONFLICT"


class CurrencyMismatch(BillingError):
    """Two amounts in different currencies met."""

    code = "CURRENCY_MISMATCH"


class InsufficientFunds(BillingError):
    """A wallet's available balance does not cover the hold."""

    code = "INSUFFICIENT_FUNDS"


class BillingVersionMismatch(BillingError):
    """The subscription belongs to the other generation of billing."""

    code = "BILLING_VERSION_MISMATCH"


class AlreadyRefunded(BillingError):
    """What is refunded once is not refunded again."""

    code = "ALREADY_REFUNDED"


class NotRefundable(BillingError):
    """Nothing is left that could take the charge back."""

    code = "NOT_REFUNDABLE"
