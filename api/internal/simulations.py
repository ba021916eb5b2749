"""What-if on the internal wire: past invoices rated again under draft prices; nothing is stored."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import Session
from api.internal.admin import administrator
from api.resources.prices import NewPrice, drafted
from api.schema import Body, CustomerId, Instant, PlanId, Wire, found
from billing.errors import InvalidValue, NotFound
from billing.invoicing import Totals
from billing.money import amount_text, exact, text
from billing.periods import Period
from billing.rating import RatedLine
from models.organizations import Merchant
from models.plans import Plan
from models.queries import billable_metrics, fees, organizations, simulations
from models.queries.simulations import INVOICES_MAX, Asked, Comparison, Draft, DraftPrice, Side

router = APIRouter(prefix="/plans/{id}/simulation", dependencies=[Depends(administrator)])

PRICES_MAX = 100
CUSTOMERS_MAX = 100


class NewSimulation(Body):
    """Which invoices are rated again, and under which prices.

    A price stands in for the plan's prices of the same metric or fee; with `replacesAll` the
    prices are the whole plan.
    """

    start: Annotated[Instant, Field(alias="from")]
    end: Annotated[Instant, Field(alias="to")]
    customer_ids: list[CustomerId] = Field(default_factory=list, max_length=CUSTOMERS_MAX)
    prices: Annotated[list[NewPrice], Field(max_length=PRICES_MAX)]
    replaces_all: bool = False


class SimulatedLine(Wire):
    """A line as it would be; its amounts are not rounded."""

    display_name: str
    kind: str
    source_id: str
    """The metric's or the fee's id: by it the two sides' lines belong together."""
    model: str
    period_start: Instant
    period_end: Instant
    quantity: str
    unit_price: str
    total_price: str
    total_tax: str
    total_amount: str

    @classmethod
    def of(cls, line: RatedLine) -> Self:
        """The answer for a line."""
        return cls(
            display_name=line.price.display_name,
            kind=line.price.kind,
            source_id=line.price.source_id,
            model=line.price.model,
            period_start=line.window.start,
            period_end=line.window.end,
            quantity=text(line.quantity),
            unit_price=text(line.unit_price),
            total_price=text(line.total_price),
            total_tax=text(line.total_tax),
            total_amount=text(line.total_amount),
        )


class Sums(Wire):
    """What is due, rounded as an invoice is."""

    subtotal: str
    total_tax: str
    grand_total: str

    @classmethod
    def of(cls, due: Totals, currency: str) -> Self:
        """The answer for totals."""
        return cls(
            subtotal=amount_text(due.subtotal, currency),
            total_tax=amount_text(due.tax, currency),
            grand_total=amount_text(due.grand_total, currency),
        )


class SimulatedSide(Sums):
    """An invoice under one price set."""

    lines: list[SimulatedLine]

    @classmethod
    def of_side(cls, side: Side, currency: str) -> Self:
        """The answer for a side."""
        sums = Sums.of(side.totals, currency)
        return cls(**sums.model_dump(), lines=[SimulatedLine.of(each) for each in side.lines])


class SimulatedInvoice(Wire):
    """An invoice under its own prices and under the draft, with the usage that is known now."""

    invoice_id: str
    subscription_id: str
    customer_id: str
    sequence_number: int
    period_start: Instant
    period_end: Instant
    billed_grand_total: str
    """What it really was, manual lines and corrections of earlier periods included."""
    old: SimulatedSide
    new: SimulatedSide
    difference: Sums

    @classmethod
    def of(cls, compared: Comparison) -> Self:
        """The answer for a comparison."""
        row = compared.invoice
        return cls.from_row(
            row,
            invoice_id=row.id,
            billed_grand_total=amount_text(row.grand_total, row.currency),
            old=SimulatedSide.of_side(compared.old, row.currency),
            new=SimulatedSide.of_side(compared.new, row.currency),
            difference=Sums.of(_difference([compared]), row.currency),
        )


class Simulation(Wire):
    """All of it, and the sums over all invoices."""

    object: Literal["simulation"] = "simulation"
    plan_id: str
    currency: str
    invoices: list[SimulatedInvoice]
    old: Sums
    new: Sums
    difference: Sums


@router.post("", operation_id="internalSimulatePlan")
async def simulate_plan(
    plan_id: Annotated[PlanId, Path(alias="id")], body: NewSimulation, session: Session
) -> Simulation:
    """Rate a past window of real usage again under draft prices; nothing is stored."""
    await simulations.read_only(session)
    plan = found(await simulations.any_merchants_plan(session, plan_id), "plan")
    asked = _asked(plan, body)
    unknown = await simulations.unknown_customers(session, asked)
    if unknown:
        raise NotFound(f"No such customer: {', '.join(sorted(unknown))}")
    merchant = found(await organizations.get(session, plan.merchant_id), "merchant")
    _check_kept(merchant, body.start)
    prices = await _prices(session, plan, body.prices)
    draft = Draft(prices, body.replaces_all, await simulations.versions_of(session, plan))
    rows = await simulations.billed(session, asked, draft)
    if len(rows) > INVOICES_MAX:
        message = f"More than {INVOICES_MAX} invoices; narrow the window or name customers"
        raise InvalidValue(message, field="to")
    compared = [await simulations.compare(session, row, draft) for row in rows]
    # An invoice bills, and an allowance looks back on, what lies before the window asked for.
    _check_kept(merchant, min((c.read_since for c in compared if c.read_since), default=body.end))
    return Simulation(
        plan_id=plan.id,
        currency=plan.currency,
        invoices=[SimulatedInvoice.of(each) for each in compared],
        old=Sums.of(_total(each.old.totals for each in compared), plan.currency),
        new=Sums.of(_total(each.new.totals for each in compared), plan.currency),
        difference=Sums.of(_difference(compared), plan.currency),
    )


def _check_kept(merchant: Merchant, since: datetime) -> None:
    """Refuses to tell a bill from what is left of its usage."""
    deleted_before = merchant.usage_deleted_before
    if deleted_before is not None and since < deleted_before:
        message = f"Usage before {deleted_before:%Y-%m-%d} is no longer kept"
        raise InvalidValue(message, field="from")


def _asked(plan: Plan, body: NewSimulation) -> Asked:
    if body.end <= body.start:
        raise InvalidValue("Must lie after from", field="to")
    window = Period(body.start, body.end)
    return Asked(
        merchant_id=plan.merchant_id,
        window=window,
        customer_ids=body.customer_ids,
    )


async def _prices(
    session: AsyncSession, plan: Plan, bodies: Sequence[NewPrice]
) -> list[DraftPrice]:
    """The rows that the bodies describe, checked as a creation checks them."""
    made: list[DraftPrice] = []
    for at, body in enumerate(bodies):
        row, _ = await drafted(session, plan.merchant_id, body, lock=False)
        if row.billable_metric_id is not None:
            source = await billable_metrics.get(session, plan.merchant_id, row.billable_metric_id)
            price = DraftPrice(row, found(source, "billable metric"))
        else:
            price = DraftPrice(
                row, found(await fees.get(session, plan.merchant_id, row.fee_id or ""), "fee")
            )
        if any(each.source.id == price.source.id for each in made):
            message = "A metric or fee has one price in a draft"
            raise InvalidValue(message, field=f"prices[{at}]")
        made.append(price)
    return made


def _total(due: Iterable[Totals]) -> Totals:
    every = list(due)
    with exact():
        return Totals(
            sum((each.subtotal for each in every), Decimal(0)),
            sum((each.tax for each in every), Decimal(0)),
            sum((each.grand_total for each in every), Decimal(0)),
        )


def _difference(compared: Sequence[Comparison]) -> Totals:
    old, new = _total(c.old.totals for c in compared), _total(c.new.totals for c in compared)
    with exact():
        return Totals(
            new.subtotal - old.subtotal, new.tax - old.tax, new.grand_total - old.grand_total
        )
