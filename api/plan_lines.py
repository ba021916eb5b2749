"""The lines of a plan's versions: what bodies name, and how a version is made and made default.

Plans and plan versions both make versions; neither route module knows the other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema
from sqlmodel.ext.asyncio.session import AsyncSession

from activities import entitlements, usage_charges
from activities import subscription_intervals as own_terms
from api.schema import Body, PriceId, found
from billing.plans import PlanLineDraft, check_lines, replaced_keys
from models.base import new_id
from models.plans import Plan, PlanLine, PlanVersion
from models.prices import Price
from models.queries import plans, prices

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


async def drafts(
    session: AsyncSession, merchant_id: str, inputs: Sequence[PlanLineInput], taken: set[str]
) -> list[PlanLineDraft]:
    """The lines with their prices; one without a key gets its price's id as one, unless taken."""
    known = await prices.among(session, merchant_id, [line.price_id for line in inputs])
    found_lines = []
    for line in inputs:
        price = found(known.get(line.price_id), f"price: {line.price_id}")
        generated = line.price_id.lower()
        key = line.key or (new_id("line") if generated in taken else generated)
        found_lines.append(draft(key, price))
    return found_lines


def draft(key: str, price: Price) -> PlanLineDraft:
    """A line as far as its rules care."""
    return PlanLineDraft(
        key=key,
        price_id=price.id,
        metric_id=price.billable_metric_id,
        payment_term=price.payment_term,
        billing_cadence=price.billing_cadence,
    )


def check(lines: Sequence[PlanLineDraft], plan: Plan) -> None:
    """Refuses lines that this plan cannot bill together."""
    check_lines(lines, billing_cadence=plan.billing_cadence, billing_version=plan.billing_version)


async def add_version(
    session: AsyncSession, plan: Plan, version_id: str, lines: Sequence[PlanLineDraft]
) -> PlanVersion:
    """Stores the next version; the caller holds the plan's lock, or has just made the plan."""
    number = await plans.last_number(session, plan.merchant_id, plan.id) + 1
    version = PlanVersion(
        id=version_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        number=number,
        based_on_version_id=None if number == 1 else plan.default_version_id,
    )
    session.add(version)
    await session.flush()
    session.add_all(
        PlanLine(
            plan_version_id=version_id,
            key=line.key,
            merchant_id=plan.merchant_id,
            price_id=line.price_id,
            position=position,
        )
        for position, line in enumerate(lines)
    )
    await session.flush()
    return version


async def make_default(
    session: AsyncSession, plan: Plan, version: PlanVersion, now: datetime
) -> None:
    """Points the plan at the version; with stable ids, a replaced price's id takes the new value.

    The caller holds the plan's lock.
    """
    if plan.default_version_id == version.id:
        return
    if plan.stable_price_ids:
        await _keep_ids(session, plan, version, now)
    plan.sqlmodel_update({"default_version_id": version.id, "updated_at": now})
    version.updated_at = now
    await entitlements.follow_plan(session, plan)


async def _keep_ids(session: AsyncSession, plan: Plan, version: PlanVersion, now: datetime) -> None:
    """Every other version that holds a replaced price keeps its value, under a new id.

    So do subscriptions whose own terms name it, and uses that accrue under it. A price that another
    plan holds too is left alone: its value is that plan's as well.
    """
    lines = await plans.lines_of_plan(session, plan.merchant_id, plan.id)
    before = {line.key: line for line in lines if line.plan_version_id == plan.default_version_id}
    after = {line.key: line for line in lines if line.plan_version_id == version.id}
    replaced = replaced_keys(_by_key(before), _by_key(after))
    known = await prices.locked(
        session, plan.merchant_id, {line.price_id for line in (*before.values(), *after.values())}
    )
    shared = await plans.held_elsewhere(
        session, plan.merchant_id, plan.id, [before[key].price_id for key in replaced]
    )
    kept = {key: before[key].price_id for key in replaced if before[key].price_id not in shared}
    values = {price_id: price.value() for price_id, price in known.items()}
    archive = {price_id: _archived(known[price_id], now) for price_id in kept.values()}
    session.add_all(archive.values())
    await session.flush()
    for key, price_id in kept.items():
        known[price_id].sqlmodel_update(values[after[key].price_id] | {"updated_at": now})
    for line in lines:
        if line.plan_version_id == version.id and line.key in kept:
            line.price_id = kept[line.key]
        elif line.price_id in archive:
            line.price_id = archive[line.price_id].id
    await session.flush()
    kept_as = {price_id: price.id for price_id, price in archive.items()}
    await own_terms.keep_values(session, plan.merchant_id, kept_as)
    await usage_charges.keep_values(session, plan.merchant_id, kept_as)


def _by_key(lines: Mapping[str, PlanLine]) -> dict[str, str]:
    return {key: line.price_id for key, line in lines.items()}


def _archived(price: Price, now: datetime) -> Price:
    return Price(
        id=new_id("price"),
        merchant_id=price.merchant_id,
        created_at=now,
        updated_at=now,
        **price.value(),
    )
