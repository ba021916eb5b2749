"""Plans on the wire, with the price set of their default version; versions are not listed here."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from api.deps import Caller, Now, OwnMerchant, Session
from api.pagination import Listing, Paging, listing, paginate
from api.price_answers import Price
from api.schema import (
    Absent,
    Body,
    Currency,
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
    Wire,
    found,
    omitted,
)
from billing.currencies import is_currency
from billing.errors import InvalidValue, NotFound
from billing.plans import CADENCES, INTERVALS, LINES_MAX, PlanLineDraft, check_lines
from models import plans as tables
from models.base import new_id
from models.features import Feature
from models.prices import Price as PriceRow
from models.queries import organizations, plans, prices, products

router = APIRouter(prefix="/v0/plans", tags=["Plans"])

Cadence = Literal["P1M", "P3M", "P1Y"]
Interval = Literal["monthly", "quarterly", "yearly", "annual"]
TaxBehavior = Literal["exclusive", "inclusive"]
Percent = Annotated[Rate, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=1, le=30)]
LineKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]


class PlanLineInput(Body):
    """A price and the key by which its line is addressed."""

    price_id: PriceId
    key: LineKey | None = None


def _line(value: Any) -> Any:
    return {"priceId": value} if isinstance(value, str) else value


_LINE_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": "^price_[a-zA-Z0-9]{1,64}$"},
        {
            "type": "object",
            "properties": {
                "priceId": {"type": "string", "pattern": "^price_[a-zA-Z0-9]{1,64}$"},
                "key": {"type": "string", "pattern": r"^[a-z0-9][a-z0-9_\-]{0,63}$"},
            },
            "required": ["priceId"],
            "additionalProperties": False,
        },
    ]
}
Line = Annotated[PlanLineInput, BeforeValidator(_line), WithJsonSchema(_LINE_SCHEMA)]


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


class PlanPaymentTerm(Wire):
    """Which terms the plan's prices have."""

    in_arrears: bool = Field(alias="in_arrears")
    in_advance: bool = Field(alias="in_advance")


class PlanPrice(Price):
    """A price as a plan shows it."""

    @classmethod
    def of(cls, row: PriceRow, features: Mapping[str, Feature]) -> Self:
        """The answer for a row; here a rate type is always given."""
        return super().of(row, features).model_copy(update={"rate_type": row.rate_type or "amount"})


class VersionTransition(Wire):
    """When a new version takes effect."""

    effective_date: str
    proration: str


class Plan(Wire):
    """A plan and the prices of its default version."""

    object: Literal["plan"] = "plan"
    id: str
    merchant_id: str
    product_id: str
    name: str
    description: Absent[str] = None
    invoice_display_name: Absent[str] = None
    currency: str
    billing_cadence: str
    billing_interval: str
    billing_version: int
    billing_anchor: Instant | None
    default_tax_code: str
    default_tax_rate: Rate
    tax_behavior: str
    payment_term: PlanPaymentTerm
    prices: list[PlanPrice]
    renewal_reminder_enabled: bool
    renewal_reminder_days: int
    credit_allocations: list[dict[str, Any]]
    default_version_id: str
    stable_price_ids: bool
    version_transition: VersionTransition
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(
        cls, row: tables.Plan, carried: Sequence[PriceRow], features: Mapping[str, Feature]
    ) -> Self:
        """The answer for a row and the prices of its default version."""
        terms = {price.payment_term for price in carried}
        return cls.from_row(
            row,
            billing_interval=CADENCES.get(row.billing_cadence, row.billing_cadence),
            payment_term=PlanPaymentTerm(
                in_arrears="in_arrears" in terms, in_advance="in_advance" in terms
            ),
            prices=[PlanPrice.of(price, features) for price in carried],
            version_transition=VersionTransition.model_validate(row.version_transition),
        )


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
    lines = await _drafts(session, merchant_id, body.prices)
    _check(lines, row)
    session.add(row)
    await session.flush()
    await _add_version(session, row, number=1, lines=lines)
    return await _answer(session, row)


@router.get("", operation_id="listPlans")
async def list_plans(
    merchant_id: OwnMerchant,
    paging: Paging,
    session: Session,
    product_id: Annotated[ProductId | None, Query(alias="productId")] = None,
) -> Listing[Plan]:
    """List plans, newest first."""
    page = await paginate(session, plans.newest_first(merchant_id, product_id), paging)
    answers = await _answers(session, merchant_id, page.rows)
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
    if "version_transition" in changes:
        changes["version_transition"] = body.version_transition.model_dump(by_alias=True)
    row.sqlmodel_update(changes | {"updated_at": now})
    await _change_lines(session, row, price_ids)
    return await _answer(session, row)


async def _change_lines(
    session: Session, row: tables.Plan, price_ids: Sequence[str] | None
) -> None:
    """Makes a version of the named prices; lines that stay keep their keys."""
    current = (await plans.lines(session, row.merchant_id, [row.default_version_id]))[
        row.default_version_id
    ]
    if price_ids is None:
        _check([_draft(line.key, price) for line, price in current], row)
        return
    keys = {line.price_id: line.key for line, _ in current}
    inputs = [PlanLineInput(priceId=price_id, key=keys.get(price_id)) for price_id in price_ids]
    lines = await _drafts(session, row.merchant_id, inputs)
    _check(lines, row)
    if [line.price_id for line, _ in current] == list(price_ids):
        return
    number = await plans.last_number(session, row.merchant_id, row.id) + 1
    row.default_version_id = new_id("pver")
    await _add_version(session, row, number=number, lines=lines)


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


def _draft(key: str, price: PriceRow) -> PlanLineDraft:
    return PlanLineDraft(
        key=key,
        price_id=price.id,
        metric_id=price.billable_metric_id,
        payment_term=price.payment_term,
        billing_cadence=price.billing_cadence,
    )


async def _drafts(
    session: Session, merchant_id: str, inputs: Sequence[PlanLineInput]
) -> list[PlanLineDraft]:
    """The lines with their prices; a line without a key gets its first price's id as one."""
    known = await prices.among(session, merchant_id, [line.price_id for line in inputs])
    drafts = []
    for line in inputs:
        price = found(known.get(line.price_id), f"price: {line.price_id}")
        drafts.append(_draft(line.key or line.price_id.lower(), price))
    return drafts


def _check(lines: Sequence[PlanLineDraft], row: tables.Plan) -> None:
    check_lines(lines, billing_cadence=row.billing_cadence, billing_version=row.billing_version)


async def _add_version(
    session: Session, row: tables.Plan, *, number: int, lines: Sequence[PlanLineDraft]
) -> None:
    """Stores version `number` under the id that the plan names as its default."""
    session.add(
        tables.PlanVersion(
            id=row.default_version_id, merchant_id=row.merchant_id, plan_id=row.id, number=number
        )
    )
    await session.flush()
    session.add_all(
        tables.PlanLine(
            plan_version_id=row.default_version_id,
            key=line.key,
            merchant_id=row.merchant_id,
            price_id=line.price_id,
            position=position,
        )
        for position, line in enumerate(lines)
    )
    await session.flush()


async def _answer(session: Session, row: tables.Plan) -> Plan:
    return (await _answers(session, row.merchant_id, [row]))[0]


async def _answers(session: Session, merchant_id: str, rows: Sequence[tables.Plan]) -> list[Plan]:
    """The answers for a page of plans, in three statements whatever its length."""
    versions = await plans.lines(session, merchant_id, [row.default_version_id for row in rows])
    carried = {key: [price for _, price in lines] for key, lines in versions.items()}
    everything = [price for prices_ in carried.values() for price in prices_]
    features = await prices.features_of(session, merchant_id, everything)
    return [Plan.of(row, carried[row.default_version_id], features) for row in rows]
