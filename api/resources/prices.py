"""Prices on the wire; the rules between a price's fields stand in `billing.prices`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field, WithJsonSchema

from api.deps import Caller, Now, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.plan_lines import check, draft
from api.price_answers import Price
from api.schema import (
    BillableMetricId,
    Body,
    DurationText,
    FeatureId,
    FeeId,
    FreeForm,
    Label,
    MerchantId,
    Name,
    Patch,
    PriceId,
    PricingUnitId,
    found,
    omitted,
)
from billing.errors import Conflict, InvalidValue, NotFound
from billing.prices import PriceDraft, check_price, is_hard_limit
from billing.provisioning import check_template
from models import prices as tables
from models.base import new_id
from models.features import Feature
from models.queries import (
    billable_metrics,
    features,
    fees,
    list_totals,
    organizations,
    plans,
    price_uses,
    prices,
)

router = APIRouter(prefix="/v0/prices", tags=["Prices"], route_class=KeptRoute)

QUANTITY_MAX = 1_000_000
# What a subscription owes hangs on these; the others only change how a line is shown.
PRESENTATION_FIELDS = frozenset({"invoice_display_name", "invoice_display_group", "rate_type"})
# What decides beside which other lines a plan can bill the price.
PLAN_FIELDS = frozenset({"billable_metric_id", "payment_term", "billing_cadence"})

Model = Literal["standard", "volume", "graduated", "package", "dynamic", "percentage"]
PaymentTerm = Literal["in_advance", "in_arrears", "instant"]
RateType = Literal["amount", "proportion"]
_DECIMAL = {"type": "string", "pattern": r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"}


def _shape(**members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


_TIER = {
    "type": "object",
    "properties": {
        "upTo": {"anyOf": [_DECIMAL, {"type": "null"}]},
        "unitPrice": _DECIMAL,
        "flatAmount": _DECIMAL,
    },
    "required": ["upTo", "unitPrice"],
    "additionalProperties": False,
}
_PROPERTIES_SCHEMA = {
    "anyOf": [
        _shape(unitPrice=_DECIMAL),
        _shape(tiers={"type": "array", "items": _TIER, "minItems": 1}),
        _shape(packageSize=_DECIMAL, unitPrice=_DECIMAL),
        _shape(minPrice=_DECIMAL, maxPrice=_DECIMAL),
        _shape(percentage=_DECIMAL, minCharge=_DECIMAL, maxCharge=_DECIMAL),
    ]
}
# Checked by the price model itself, which names the member at fault.
Properties = Annotated[dict[str, Any], WithJsonSchema(_PROPERTIES_SCHEMA)]


class PriceFeatureInput(Body):
    """A feature to attach; no template attaches it without an allowance."""

    feature_id: FeatureId
    entitlement_template: FreeForm | None = None


class PriceTaxInput(Body):
    """A declaration about tax; it is replaced as a whole."""

    supply_scope: Literal["IN_SCOPE", "OUTSIDE_SCOPE"]
    outside_scope_label: Literal["CASHBACK"] | None = None


class NewPrice(Body):
    """A price to create, of a metric or of a fee."""

    invoice_display_name: Name
    payment_term: PaymentTerm
    properties: Properties
    billable_metric_id: BillableMetricId | None = None
    fee_id: FeeId | None = None
    pricing_unit_id: PricingUnitId | None = None
    model: Model | None = None
    invoice_display_group: Label | None = None
    billing_cadence: DurationText | None = None
    feature: PriceFeatureInput | None = None
    grant_discount_enabled: bool = False
    is_obligation: bool = False
    rate_type: RateType | None = None
    tax: PriceTaxInput = PriceTaxInput(supplyScope="IN_SCOPE")
    quantity: Annotated[int, Field(ge=0, le=QUANTITY_MAX)] | None = None


class PricePatch(Patch):
    """A change of a price; whose fee it is stays."""

    invoice_display_name: Name = omitted()
    payment_term: PaymentTerm = omitted()
    properties: Properties = omitted()
    billable_metric_id: BillableMetricId = omitted()
    pricing_unit_id: PricingUnitId | None = None
    model: Model = omitted()
    invoice_display_group: Label | None = None
    billing_cadence: DurationText | None = None
    feature: PriceFeatureInput | None = None
    grant_discount_enabled: bool = omitted()
    is_obligation: bool = omitted()
    rate_type: RateType = omitted()
    tax: PriceTaxInput = omitted()
    quantity: Annotated[int, Field(ge=0, le=QUANTITY_MAX)] = omitted()


class PriceInUse(Conflict):
    """A plan or a subscription bills the price."""

    code = "PRICE_IN_USE"


@router.post("", operation_id="createPrice", status_code=201)
async def create_price(body: NewPrice, caller: Caller, session: Session) -> Price:
    """Create a price of a metric or of a fee."""
    row, feature = await drafted(session, caller.merchant_id, body)
    session.add(row)
    return _answer(row, feature)


async def drafted(
    session: Session, merchant_id: str, body: NewPrice, *, lock: bool = True
) -> tuple[tables.Price, Feature | None]:
    """The row that a body describes, checked and not stored; its fee is locked until it is."""
    row = tables.Price(
        id=new_id("price"),
        merchant_id=merchant_id,
        model=_model(body),
        tax=body.tax.model_dump(by_alias=True, exclude_none=True),
        quantity=1 if body.quantity is None else body.quantity,
        **body.model_dump(exclude={"model", "tax", "quantity", "feature", "pricing_unit_id"}),
    )
    await _check_source(session, row, lock=lock)
    _refuse_pricing_unit(body.pricing_unit_id)
    feature = await _attach(session, row, body.feature, lock=lock)
    await _check(session, row, feature)
    return row, feature


@router.get("", operation_id="listPrices")
async def list_prices(
    caller: Caller,
    paging: Paging,
    session: Session,
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
    metric_id: Annotated[BillableMetricId | None, Query(alias="billableMetricId")] = None,
) -> Listing[Price]:
    """List prices, newest first; those whose metric or fee is gone stay listed."""
    if merchant_id is not None:
        found(await organizations.get(session, merchant_id), "merchant")
    own = caller.own(merchant_id)
    total = None if metric_id else await list_totals.of(session, own, tables.Price)
    page = await paginate(session, prices.newest_first(own, metric_id), paging, total)
    carried = await prices.features_of(session, own, page.rows)
    return listing((Price.of(row, carried) for row in page.rows), page.total, paging)


@router.get("/{id}", operation_id="getPrice")
async def get_price(id: PriceId, caller: Caller, session: Session) -> Price:
    """Get a price."""
    row = found(await prices.get(session, caller.merchant_id, id), "price")
    return Price.of(row, await prices.features_of(session, caller.merchant_id, [row]))


@router.patch("/{id}", operation_id="updatePrice")
async def update_price(
    id: PriceId, body: PricePatch, caller: Caller, now: Now, session: Session
) -> Price:
    """Change a price; what a running subscription owes by it cannot change under it."""
    if body.model_fields_set - PRESENTATION_FIELDS:
        await _hold_plans(session, caller.merchant_id, id)
    row = found(await prices.get(session, caller.merchant_id, id, lock=True), "price")
    before = row.model_dump()
    _apply(row, body)
    with session.no_autoflush:
        if "billable_metric_id" in body.model_fields_set:
            await _check_source(session, row)
        feature = await _feature_after(session, row, body)
        await _check(session, row, feature, legacy_kept=before["model"] == row.model)
        changed = {name for name, value in before.items() if getattr(row, name) != value}
        await _refuse_restructuring(session, row, changed - PRESENTATION_FIELDS)
        await _refuse_unbillable(session, row, changed & PLAN_FIELDS)
    row.updated_at = now
    return _answer(row, feature)


@router.delete("/{id}", operation_id="deletePrice", status_code=204)
async def delete_price(id: PriceId, caller: Caller, now: Now, session: Session) -> None:
    """Delete a price that no plan and no subscription uses."""
    row = found(await prices.get(session, caller.merchant_id, id, lock=True), "price")
    held = await price_uses.plans_with(session, row.merchant_id, row.id)
    billed = await price_uses.subscriptions_billing(session, row.merchant_id, row.id)
    if held.count or billed.count:
        blockers = [_blocker("planVersions", held), _blocker("subscriptions", billed)]
        details = {"blockers": [blocker for blocker in blockers if blocker["count"]]}
        raise PriceInUse("Plan versions or subscriptions use the price", details=details)
    row.deleted_at = now


def _blocker(kind: str, blockers: prices.Blockers) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {"id": id_, "name": name, "versionNumber": numbers[-1], "versionNumbers": list(numbers)}
        for id_, name, numbers in blockers.shown
    ]
    return {"type": kind, "count": blockers.count, "items": items}


def _answer(row: tables.Price, feature: Feature | None) -> Price:
    return Price.of(row, {} if feature is None else {feature.id: feature})


def _model(body: NewPrice) -> str:
    if body.model is None and body.billable_metric_id is not None:
        raise InvalidValue("A metric's price needs a model", field="model")
    return body.model or "standard"


async def _check_source(session: Session, row: tables.Price, *, lock: bool = True) -> None:
    """Exactly one of metric and fee, and it is the merchant's."""
    if (row.billable_metric_id is None) == (row.fee_id is None):
        message = "Name either a billable metric or a fee"
        raise InvalidValue(message, field="billableMetricId")
    with session.no_autoflush:
        if row.billable_metric_id is not None:
            metric = await billable_metrics.get(session, row.merchant_id, row.billable_metric_id)
            found(metric, "billable metric")
        else:
            fee_id = row.fee_id or ""
            found(await fees.get(session, row.merchant_id, fee_id, lock=lock), "fee")


def _refuse_pricing_unit(pricing_unit_id: str | None) -> None:
    if pricing_unit_id is not None:
        raise NotFound("No such pricing unit")


async def _attach(
    session: Session, row: tables.Price, attached: PriceFeatureInput | None, *, lock: bool = True
) -> Feature | None:
    """Puts the feature and its allowance on the row, or takes them off."""
    row.feature_id = None if attached is None else attached.feature_id
    row.entitlement_template = None if attached is None else attached.entitlement_template
    if attached is None:
        return None
    with session.no_autoflush:
        asked = features.get(session, row.merchant_id, attached.feature_id, lock=lock)
        feature = found(await asked, "feature")
    check_template(feature.type, attached.entitlement_template)
    return feature


async def _feature_after(session: Session, row: tables.Price, body: PricePatch) -> Feature | None:
    if "feature" in body.model_fields_set:
        return await _attach(session, row, body.feature)
    carried = await prices.features_of(session, row.merchant_id, [row])
    return carried.get(row.feature_id or "")


def _apply(row: tables.Price, body: PricePatch) -> None:
    changes = body.changes()
    changes.pop("feature", None)
    _refuse_pricing_unit(changes.pop("pricing_unit_id", None))
    if "tax" in changes:
        changes["tax"] = changes["tax"].model_dump(by_alias=True, exclude_none=True)
    if "billable_metric_id" in changes and row.fee_id is not None:
        raise InvalidValue("The price is a fee's", field="billableMetricId")
    row.sqlmodel_update(changes)


async def _check(
    session: Session, row: tables.Price, feature: Feature | None, *, legacy_kept: bool = False
) -> None:
    """The rules between the fields; a legacy price that exists may still be edited."""
    merchant = found(await organizations.get(session, row.merchant_id), "merchant")
    hard = feature is not None and is_hard_limit(feature.type, row.entitlement_template)
    check_price(
        PriceDraft(
            metered=row.billable_metric_id is not None,
            model=row.model,
            properties=row.properties,
            payment_term=row.payment_term,
            billing_cadence=row.billing_cadence,
            quantity=row.quantity,
            is_obligation=row.is_obligation,
            grant_discount_enabled=row.grant_discount_enabled,
            rate_type=row.rate_type,
            invoice_display_group=row.invoice_display_group,
            supply_scope=row.tax["supplyScope"],
            outside_scope_label=row.tax.get("outsideScopeLabel"),
            hard_limit_feature=hard,
            legacy=merchant.legacy_billing or legacy_kept,
        )
    )


async def _refuse_restructuring(session: Session, row: tables.Price, changed: set[str]) -> None:
    if not changed:
        return
    # Again: a plan may have taken the price just before it was locked.
    await _hold_plans(session, row.merchant_id, row.id)
    billing = await price_uses.subscriptions_billing(session, row.merchant_id, row.id)
    if not billing.count:
        return
    raise PriceInUse(
        "Subscriptions bill this price; make another price and a new plan version",
        details={
            "priceId": row.id,
            "fields": _wire_names(changed),
            "subscriptionCount": billing.count,
        },
    )


async def _hold_plans(session: Session, merchant_id: str, price_id: str) -> None:
    """Waits for whoever begins to bill the price right now, which is not to be seen yet.

    Before the price is locked, in the order of those who mint a version of such a plan.
    """
    holding = await price_uses.plan_ids_with(session, merchant_id, price_id)
    await plans.hold_alone(session, merchant_id, holding)


async def _refuse_unbillable(session: Session, row: tables.Price, changed: set[str]) -> None:
    """A version that holds the price must stay one that its plan could bill."""
    if not changed:
        return
    held = await price_uses.versions_with(session, row.merchant_id, row.id)
    lines = await plans.lines(session, row.merchant_id, [each.version.id for each in held])
    for each in held:
        try:
            check([draft(line.key, price) for line, price in lines[each.version.id]], each.plan)
        except InvalidValue as error:
            raise PriceInUse(
                f"A plan that holds this price could not bill it: {error.message}",
                details={
                    "priceId": row.id,
                    "fields": _wire_names(changed),
                    "planId": each.plan.id,
                    "versionNumber": each.version.number,
                },
            ) from error


def _wire_names(changed: set[str]) -> list[str]:
    aliases = {name: field.alias or name for name, field in PricePatch.model_fields.items()}
    return sorted({aliases.get(name, "feature") for name in changed})
