"""How an issued invoice gets its PaymentCollection workflow; the collecting itself is not here."""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from models.invoices import Invoice
from models.queries import test_clocks
from models.queries.handovers import Handover, hand_over
from models.queries.outbox import WorkflowStart
from models.subscriptions import Subscription


def collection_workflow_id(collection_id: str) -> str:
    """The id of the PaymentCollection workflow of an invoice or payment."""
    return f"payment/{collection_id}"


async def owe(session: AsyncSession, issued: Sequence[tuple[Subscription, Invoice]]) -> None:
    """Hands these invoices over; a first one that waits for a customer its subscription starts.

    Belongs into the transaction that issues them.
    """
    for subscription, invoice in issued:
        if subscription.status == "pending_payment":
            workflow_id, clock_id = collection_workflow_id(invoice.id), subscription.test_clock_id
            await test_clocks.bind(session, invoice.merchant_id, clock_id, workflow_id)
    running = [each for each in issued if each[0].status != "pending_payment"]
    await hand_over(session, [_handover(*each) for each in running])


def _handover(subscription: Subscription, invoice: Invoice) -> Handover:
    start = WorkflowStart(
        merchant_id=invoice.merchant_id,
        workflow_id=collection_workflow_id(invoice.id),
        workflow_type="PaymentCollection",
        argument={
            "merchant_id": invoice.merchant_id,
            "customer_id": invoice.customer_id,
            "collection_id": invoice.id,
            "subscription_id": subscription.id,
        },
    )
    return Handover(start=start, clock_id=subscription.test_clock_id)
