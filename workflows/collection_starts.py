"""Starting the collection of an issued invoice from the workflow that issued it."""

from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.collecting import collection_workflow_id

from workflows import attributes, priorities
from workflows.children import Child, start_abandoned
from workflows.payment_collection import CollectionState, PaymentCollectionWorkflow


@dataclass(frozen=True, kw_only=True)
class IssuedInvoice:
    """What is collected, and on which clock."""

    invoice_id: str
    customer_id: str
    subscription_id: str
    merchant_id: str
    clock_id: str | None
    clock_now: datetime | None


async def start_collection(invoice: IssuedInvoice) -> None:
    """Once: a collection that runs, or ran, already is left alone."""
    await start_abandoned(
        PaymentCollectionWorkflow.run,
        CollectionState(
            collection_id=invoice.invoice_id,
            merchant_id=invoice.merchant_id,
            clock_id=invoice.clock_id,
            clock_now=invoice.clock_now,
        ),
        Child(
            workflow_id=collection_workflow_id(invoice.invoice_id),
            summary=f"collect {invoice.invoice_id}",
            attributes=attributes.typed(
                merchant_id=invoice.merchant_id,
                customer_id=invoice.customer_id,
                subscription_id=invoice.subscription_id,
                invoice_id=invoice.invoice_id,
                clock_id=invoice.clock_id,
            ),
            priority=priorities.of("PaymentCollection", invoice.merchant_id),
        ),
    )
