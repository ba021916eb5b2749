"""Plan versions on the wire: mint one, look at one, make one the default; plans live elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from api.deps import Caller, Now, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.plan_answers import PlanPrice
from api.plan_lines import Line, add_version, check, draft, drafts, make_default
from api.schema import INT32_MAX, Absent, Body, Instant, PlanId, PlanVersionId, Wire, found
from billing.errors import Conflict, InvalidValue
from billing.plans import LINES_MAX
from models import plans as tables
from models.base import new_id
from models.queries import plans, prices

router = APIRouter(prefix="/v0/plans/{id}/versions", tags=["Plans"], route_class=KeptRoute)


@dataclass(frozen=True, slots=True)
class Address:
    """Which version of which plan a path means."""

    plan_id: str
    number: int


async def address(
    id: PlanId,
    versionNumber: Annotated[int, Path(ge=1, le=INT32_MAX)],  # noqa: N803 - the wire's spelling
) -> Address:
    """Reads the path."""
    return Address(plan_id=id, number=versionNumber)


class NewVersion(Body):
    """The complete price set of a version: a key that stays keeps its line."""

    prices: Annotated[list[Line], Field(min_length=1, max_length=LINES_MAX)]
    based_on_version_id: PlanVersionId | None = None


class VersionChange(Body):
    """Any version can be made the default, in either direction."""

    default: bool | None = None


class PlanVersionSummary(Wire):
    """A version without its prices."""

    object: Literal["plan_version"] = "plan_version"
    id: str
    version_number: int
    status: Literal["published"] = "published"
    is_default: bool
    subscription_count: int
    published_at: Instant


class PlanVersionPriceSlot(PlanPrice):
    """A line of a version: its price, and the key by which it is addressed."""

    key: str
    price_deleted: bool


class PlanVersion(PlanVersionSummary):
    """A version with its prices."""

    updated_at: Instant
    prices: list[PlanVersionPriceSlot]
    based_on_version_id: Absent[str] = None


class StaleVersion(Conflict):
    """The plan has moved on since the caller read it."""

    code = "PLAN_VERSION_STALE"


@router.get("", operation_id="listPlanVersions")
async def list_plan_versions(
    id: PlanId, caller: Caller, paging: Paging, session: Session
) -> Listing[PlanVersionSummary]:
    """List a plan's versions, newest first."""
    plan = found(await plans.get(session, caller.merchant_id, id), "plan")
    statement = plans.versions_newest_first(plan.merchant_id, plan.id)
    page = await paginate(session, statement, paging)
    counts = await plans.subscription_counts(session, plan.merchant_id, plan.id)
    return listing((_summary(plan, row, counts) for row in page.rows), page.total, paging)


@router.post("", operation_id="mintPlanVersion", status_code=201)
async def mint_plan_version(
    id: PlanId, body: NewVersion, caller: Caller, now: Now, session: Session
) -> PlanVersion:
    """Make a version of this price set; it is the default at once."""
    plan = found(await plans.get(session, caller.merchant_id, id, lock=True), "plan")
    if body.based_on_version_id not in (None, plan.default_version_id):
        message = "The plan has another default version by now"
        raise StaleVersion(message, details={"defaultVersionId": plan.default_version_id})
    current = (await plans.lines(session, plan.merchant_id, [plan.default_version_id]))[
        plan.default_version_id
    ]
    # Their values may move: to lock them for reading first would let two who mint meet half way.
    named = {*(line.price_id for line in body.prices), *(line.price_id for line, _ in current)}
    await prices.locked(session, plan.merchant_id, named)
    keys = {line.key for line, _ in current}
    lines = await drafts(session, plan.merchant_id, body.prices, keys)
    check(lines, plan)
    version = await add_version(session, plan, new_id("pver"), lines)
    await make_default(session, plan, version, now)
    return await _answer(session, plan, version)


@router.get("/{versionNumber}", operation_id="getPlanVersion")
async def get_plan_version(
    named: Annotated[Address, Depends(address)], caller: Caller, session: Session
) -> PlanVersion:
    """Get a version with its prices."""
    plan = found(await plans.get(session, caller.merchant_id, named.plan_id), "plan")
    version = await plans.version(session, plan.merchant_id, plan.id, named.number)
    return await _answer(session, plan, found(version, "plan version"))


@router.patch("/{versionNumber}", operation_id="transitionPlanVersion")
async def transition_plan_version(
    named: Annotated[Address, Depends(address)],
    body: VersionChange,
    caller: Caller,
    now: Now,
    session: Session,
) -> PlanVersion:
    """Make a version the plan's default; floating subscriptions bill it from the next period."""
    if body.default is not True:
        raise InvalidValue("A version can be made the default, not less", field="default")
    row = await plans.get(session, caller.merchant_id, named.plan_id, lock=True)
    plan = found(row, "plan")
    minted = await plans.version(session, plan.merchant_id, plan.id, named.number)
    version = found(minted, "plan version")
    lines = (await plans.lines(session, plan.merchant_id, [version.id]))[version.id]
    check([draft(line.key, price) for line, price in lines], plan)
    await make_default(session, plan, version, now)
    return await _answer(session, plan, version)


def _summary(
    plan: tables.Plan, version: tables.PlanVersion, counts: Mapping[str, int]
) -> PlanVersionSummary:
    return PlanVersionSummary(
        id=version.id,
        version_number=version.number,
        is_default=version.id == plan.default_version_id,
        subscription_count=counts.get(version.id, 0),
        published_at=version.created_at,
    )


async def _answer(session: Session, plan: tables.Plan, version: tables.PlanVersion) -> PlanVersion:
    lines = (await plans.lines(session, plan.merchant_id, [version.id]))[version.id]
    features = await prices.features_of(session, plan.merchant_id, [price for _, price in lines])
    counts = await plans.subscription_counts(session, plan.merchant_id, plan.id)
    slots = [
        PlanVersionPriceSlot(
            **dict(PlanPrice.of(price, features)),
            key=line.key,
            price_deleted=price.deleted_at is not None,
        )
        for line, price in lines
    ]
    return PlanVersion(
        **dict(_summary(plan, version, counts)),
        updated_at=version.updated_at,
        prices=slots,
        based_on_version_id=version.based_on_version_id,
    )
