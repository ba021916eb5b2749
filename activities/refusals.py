"""An interceptor: a refusal of the domain ends an activity for good, all else is retried."""

from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from billing.errors import BillingError, InvalidValue


class Refusals(Interceptor):
    """Turns a BillingError into a non-retryable ApplicationError whose type is its code."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wraps every activity."""
        return _Refusing(next)


class _Refusing(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except BillingError as error:
            field = {"field": error.field} if isinstance(error, InvalidValue) else {}
            raise ApplicationError(
                error.message, error.details | field, type=error.code, non_retryable=True
            ) from error
