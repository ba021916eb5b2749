"""Refund: has one refund's money given back by the provider, however long it is away.

`refund/{crn}`: it waits for nobody's time; the credit note itself is written before it starts.
"""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.refunds import RefundActivities, RefundRef, SettleRefund

from workflows import options


@dataclass
class RefundState:
    """Which refund; customer and invoice are for whoever looks for the workflow."""

    refund_id: str
    merchant_id: str
    customer_id: str | None = None
    invoice_id: str | None = None


@workflow.defn(name="Refund")
class RefundWorkflow:
    """Gives back, then books."""

    @workflow.run
    async def run(self, state: RefundState) -> str:
        """Returns the refund's state: ISSUED, or VOIDED when the provider refused it for good."""
        gateway_refund_id, refusal = await self._give_back(state)
        return await workflow.execute_local_activity_method(
            RefundActivities.settle_refund,
            SettleRefund(
                merchant_id=state.merchant_id,
                refund_id=state.refund_id,
                gateway_refund_id=gateway_refund_id,
                refusal=refusal,
            ),
            summary="void: the provider refused" if refusal else "book the refund",
            **options.DATABASE,
        )

    async def _give_back(self, state: RefundState) -> tuple[str | None, str | None]:
        """The provider's refund, or its refusal of the request; all else is retried by policy."""
        try:
            made = await workflow.execute_activity_method(
                RefundActivities.give_back,
                RefundRef(merchant_id=state.merchant_id, refund_id=state.refund_id),
                summary="give the charge back",
                **options.GATEWAY,
            )
        except ActivityError as error:
            if not isinstance(error.cause, ApplicationError):
                raise
            return None, error.cause.message
        return made, None
