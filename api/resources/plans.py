"""Plans on the wire, with the price set of their default version; versions are not listed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from activities import entitlements
from api.deps import Caller, Now, OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.plan_answers import Plan, plan_answers
from api.plan_lines import Line, PlanLineInput, add_version, check, draft, drafts
from api.schema import (
    Body,
    Currency,
    CustomerId,
    Description,
    DurationText,
    Instant,
    Label,
    MerchantId,
    Name,
    Patch,
    PlanId,
    PriceId,
    PricingUnitId,
    ProductId,
    Rate,
    found,
    omitted,
)
from billing.currencies import is_currency
from billing.errors import InvalidValue, NotFound
from billing.plans import INTERVALS, LINES_MAX
from models import plans as tables
from models.base import new_id
from models.queries import customers, list_totals, organizations, plans, products

router = APIRouter(prefix="/v0/plans", tags=["Plans"], route_class=KeptRoute)

Cadence = Literal["P1M", "P3M", "P1Y"]
Interval = Literal["monthly", "quarterly", "yearly", "annual"]
TaxBehavior = Literal["exclusive", "inclusive"]
Percent = Annotated[Rate, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=1, le=30)]


class CreditAllocationInput(Body):
    """A share of a credit pool that a subscription comes with."""

    pricing_unit_id: PricingUnitId
    amount: Annotated[Rate, Field(gt=0)]
    recurrence_period: DurationText | None = None


class VersionTransitionInput(Body):
    """When a new version takes effect."""

    effective_date: Literal["end_of_current_period", "immediate"]
    proration: Literal["none"]


TRANSITION_DEFAULT = VersionTransitionInput(effectiveDate="end_of_current_period", proration="none")


class NewPlan(Body):
    """A plan to create; its prices become version 1."""

    merchant_id: MerchantId
    product_id: ProductId
    name: Name
    currency: Currency
    billing_cadence: Cadence | None = None
    billing_interval: Interval | None = None
    default_tax_code: Label = "eservice"
    default_tax_rate: Percent = Decimal(0)
    description: Description | None = None
    invoice_display_name: Label | None = None
    prices: Annotated[list[Line], Field(max_length=LINES_MAX)] = Field(default_factory=list)
    tax_behavior: TaxBehavior = "exclusive"
    renewal_reminder_enabled: bool = True
    renewal_reminder_days: Days = 3
    billing_version: Literal[0, 1] = 1
    billing_anchor: Instant | None = None
    credit_allocations: list[CreditAllocationInput] = Field(default_factory=list, max_length=20)
    stable_price_ids: bool = True
    version_transition: VersionTransitionInput = TRANSITION_DEFAULT


class PlanPatch(Patch):
    """A change of a plan; `prices` makes a new version."""

    name: Name = omitted()
    billing_cadence: Cadence = omitted()
    billing_interval: Interval = omitted()
    default_tax_code: Label = omitted()
    default_tax_rate: Percent = omitted()
    description: Description = omitted()
    invoice_display_name: Label = omitted()
    prices: Annotated[list[PriceId], Field(min_length=1, max_length=LINES_MAX)] = omitted()
    tax_behavior: TaxBehavior = omitted()
    renewal_reminder_enabled: bool = omitted()
    renewal_reminder_days: Days = omitted()
    billing_anchor: Instant | None = None
    credit_allocations: Annotated[list[CreditAllocationInput], Field(max_length=20)] = omitted()
    stable_price_ids: bool = omitted()
    version_transition: VersionTransitionInput = omitted()


@router.post("", operation_id="createPlan", status_code=201)
async def create_plan(body: NewPlan, caller: Caller, now: Now, session: Session) -> Plan:
    """Create a plan; its prices become version 1, published and default."""
    merchant_id = caller.own(body.merchant_id)
    await _check_new(session, merchant_id, body, now)
    row = tables.Plan(
        id=new_id("plan"),
        default_version_id=new_id("pver"),
        billing_cadence=_cadence(body.billing_cadence, body.billing_interval),
        version_transition=body.version_transition.model_dump(by_alias=True),
        **body.model_dump(
            exclude={
                "prices",
                "billing_cadence",
                "billing_interval",
                "credit_allocations",
                "version_transition",
            }
        ),
    )
    lines = await drafts(session, merchant_id, body.prices, set())
    check(lines, row)
    session.add(row)
    await session.flush()
    await add_version(session, row, row.default_version_id, lines)
    return await _answer(session, row)


@router.get("", operation_id="listPlans")
async def list_plans(
    merchant_id: OwnMerchant,
    paging: Paging,
    session: Session,
    product_id: Annotated[ProductId | None, Query(alias="productId")] = None,
) -> Listing[Plan]:
    """List plans, newest first."""
    total = None if product_id else await list_totals.of(session, merchant_id, tables.Plan)
    page = await paginate(session, plans.newest_first(merchant_id, product_id), paging, total)
    answers = await plan_answers(session, merchant_id, page.rows)
    return listing(answers, page.total, paging)


@dataclass(frozen=True, slots=True)
class AvailableFilter:
    """What the plans on offer may be narrowed by; a part of the name matches without case."""

    product_id: str | None
    name_part: str | None


async def available_filter(
    product_id: Annotated[ProductId | None, Query(alias="productId")] = None,
    search: Label | None = None,
) -> AvailableFilter:
    """Reads the filter."""
    return AvailableFilter(product_id, search)


Filter = Annotated[AvailableFilter, Depends(available_filter)]


# Before `/{id}`, which would read the word as an id.
@router.get("/available", operation_id="listAvailablePlans")
async def list_available_plans(
    customer_id: Annotated[CustomerId, Query(alias="customerId")],
    caller: Caller,
    paging: Paging,
    session: Session,
    narrowed: Filter,
) -> Listing[Plan]:
    """List the plans of the products that the customer has no living subscription to."""
    customer = found(await customers.get(session, caller.merchant_id, customer_id), "customer")
    statement = plans.available_to(
        customer.merchant_id,
        customer.id,
        product_id=narrowed.product_id,
        name_part=narrowed.name_part,
    )
    page = await paginate(session, statement, paging)
    answers = await plan_answers(session, customer.merchant_id, page.rows)
    return listing(answers, page.total, paging)


@router.get("/{id}", operation_id="getPlan")
async def get_plan(id: PlanId, caller: Caller, session: Session) -> Plan:
    """Get a plan with the prices of its default version."""
    row = found(await plans.get(session, caller.merchant_id, id), "plan")
    return await _answer(session, row)


@router.patch("/{id}", operation_id="updatePlan")
async def update_plan(
    id: PlanId, body: PlanPatch, caller: Caller, now: Now, session: Session
) -> Plan:
    """Change a plan; another set of prices becomes a new version and the default."""
    row = found(await plans.get(session, caller.merchant_id, id, lock=True), "plan")
    changes = body.changes()
    price_ids: Sequence[str] | None = changes.pop("prices", None)
    interval = changes.pop("billing_interval", None)
    if "billing_cadence" in changes or interval is not None:
        changes["billing_cadence"] = _cadence(changes.get("billing_cadence"), interval)
    _refuse_future(changes.get("billing_anchor"), now)
    _refuse_pricing_units(changes.pop("credit_allocations", []))
    was_immediate = entitlements.is_immediate(row)
    if "version_transition" in changes:
        changes["version_transition"] = body.version_transition.model_dump(by_alias=True)
    row.sqlmodel_update(changes | {"updated_at": now})
    await _change_lines(session, row, price_ids)
    await entitlements.follow_plan(session, row, was_immediate=was_immediate)
    return await _answer(session, row)


async def _change_lines(
    session: Session, row: tables.Plan, price_ids: Sequence[str] | None
) -> None:
    """Makes a version of the named prices; lines that stay keep their keys."""
    current = (await plans.lines(session, row.merchant_id, [row.default_version_id]))[
        row.default_version_id
    ]
    if price_ids is None:
        check([draft(line.key, price) for line, price in current], row)
        return
    keys = {line.price_id: line.key for line, _ in current}
    inputs = [PlanLineInput(priceId=price_id, key=keys.get(price_id)) for price_id in price_ids]
    lines = await drafts(session, row.merchant_id, inputs, set(keys.values()))
    check(lines, row)
    if [line.price_id for line, _ in current] == list(price_ids):
        return
    version = await add_version(session, row, new_id("pver"), lines)
    # Here the plan moves to the prices that were named: no id takes another one's value.
    row.default_version_id = version.id


async def _check_new(session: Session, merchant_id: str, body: NewPlan, now: datetime) -> None:
    found(await products.get(session, merchant_id, body.product_id), "product")
    merchant = found(await organizations.get(session, merchant_id), "merchant")
    if not is_currency(body.currency):
        raise InvalidValue("Not a currency of ISO 4217", field="currency")
    if body.billing_version == 0 and not merchant.legacy_billing:
        raise InvalidValue("Version 0 needs legacy billing", field="billingVersion")
    _refuse_future(body.billing_anchor, now)
    _refuse_pricing_units(body.credit_allocations)


def _refuse_future(anchor: datetime | None, now: datetime) -> None:
    if anchor is not None and anchor > now:
        raise InvalidValue("Must not lie in the future", field="billingAnchor")


def _refuse_pricing_units(allocations: Sequence[CreditAllocationInput]) -> None:
    if allocations:
        raise NotFound("No such pricing unit")


def _cadence(cadence: str | None, interval: str | None) -> str:
    """The cadence beats the interval, which is its older spelling."""
    return cadence or INTERVALS.get(interval or "", "P1M")


async def _answer(session: Session, row: tables.Plan) -> Plan:
    return (await plan_answers(session, row.merchant_id, [row]))[0]
