"""Why an invoice says what it says, on the internal wire: enough to rate each line by hand."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path

from activities.collecting import collection_workflow_id
from activities.subscription_starts import workflow_id
from api.deps import Session
from api.explanation_answers import ExplainedLine, Rounding
from api.internal.admin import administrator
from api.schema import Absent, InvoiceId, Wire, found
from api.temporal_links import OperatorsUi, TemporalUi
from billing.money import amount_text, exact
from models import invoices as tables
from models.queries import explanations
from models.queries.explanations import WALLET

router = APIRouter(prefix="/invoices/{id}/explanation", dependencies=[Depends(administrator)])


class Workflow(Wire):
    """A workflow and the page of its history, where there is a Temporal UI."""

    workflow_id: str
    run_id: str | None = None
    url: str | None

    @classmethod
    def of(cls, ui: TemporalUi, name: str, run_id: str | None = None) -> "Workflow":
        """The workflow of this id."""
        return cls(workflow_id=name, run_id=run_id, url=ui.history(name, run_id))


class Workflows(Wire):
    """Whose histories tell how the invoice came about."""

    drafted: Absent[Workflow] = None
    """The run that made its lines; none while it is open, and for an invoice that was made with
    its subscription."""
    subscription: Workflow
    collection: Workflow


class InvoiceExplanation(Wire):
    """An invoice with the steps to each of its amounts."""

    object: Literal["invoiceExplanation"] = "invoiceExplanation"
    invoice_id: str
    merchant_id: str
    customer_id: str
    subscription_id: str
    sequence_number: int
    invoice_number: str | None
    status: str
    is_stored: bool
    """Else it is open, and this is what it comes to now."""
    currency: str
    tax_behavior: str
    usage_watermark: str | None
    late_watermark: str | None
    workflows: Workflows
    lines: list[ExplainedLine]
    subtotal: Rounding
    total_tax: Rounding
    wallet_charge: str
    grand_total: str
    agrees: bool
    """Whether all steps come to what is stored, to the last digit."""


@router.get("", operation_id="internalExplainInvoice")
async def explain_invoice(
    invoice_id: Annotated[InvoiceId, Path(alias="id")], session: Session, ui: OperatorsUi
) -> InvoiceExplanation:
    """Explain an invoice: price, usage, tiers, proration, tax and rounding of every line."""
    row = found(await explanations.any_merchants(session, invoice_id), "invoice")
    return _answer(row, await explanations.explained(session, row), ui)


def _answer(
    row: tables.Invoice, explained: explanations.ExplainedInvoice, ui: TemporalUi
) -> InvoiceExplanation:
    lines = [ExplainedLine.of(each) for each in explained.lines]
    due = explained.summed
    top_ups = [each.row.total_amount for each in explained.lines if each.row.kind == WALLET]
    with exact():
        wallet = sum(top_ups, Decimal(0))
        grand_total = due.totals.grand_total + wallet
    sums_agree = not explained.is_stored or (
        (row.subtotal, row.total_tax, row.grand_total)
        == (due.totals.subtotal + wallet, due.totals.tax, grand_total)
    )
    return InvoiceExplanation.from_row(
        row,
        invoice_id=row.id,
        is_stored=explained.is_stored,
        usage_watermark=explained.usage_watermark,
        late_watermark=explained.late_watermark,
        workflows=_workflows(row, ui),
        lines=lines,
        subtotal=Rounding.of_price(due, row.currency),
        total_tax=Rounding.of_tax(due, row.currency),
        wallet_charge=amount_text(wallet, row.currency),
        grand_total=amount_text(grand_total, row.currency),
        agrees=sums_agree and all(line.agrees for line in lines),
    )


def _workflows(row: tables.Invoice, ui: TemporalUi) -> Workflows:
    drafted = row.drafted_workflow_id
    return Workflows(
        drafted=None if drafted is None else Workflow.of(ui, drafted, row.drafted_run_id),
        subscription=Workflow.of(ui, workflow_id(row.subscription_id)),
        collection=Workflow.of(ui, collection_workflow_id(row.id)),
    )
