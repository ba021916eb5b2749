"""Billable metrics on the wire; the events they read and what these add up to is not here."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import AfterValidator, StringConstraints

from api.deps import Caller, Now, OwnMerchant, Session, anchor, parent_product
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    BillableMetricId,
    Body,
    Description,
    Instant,
    ItemId,
    Label,
    MerchantId,
    Name,
    Patch,
    PrintableText,
    ProductId,
    Wire,
    found,
    omitted,
)
from billing.errors import Conflict, InvalidValue
from billing.metering import NUMERIC_AGGREGATIONS, Aggregation
from models import billable_metrics as tables
from models.base import new_id
from models.queries import billable_metrics, list_totals
from models.queries.usage_rollups import SUMMED

router = APIRouter(prefix="/v0/billableMetrics", tags=["Billable Metrics"], route_class=KeptRoute)

DIMENSIONS_MAX = 20
SUBJECT_DIMENSION = "subject"

ValuePath = Annotated[
    str, StringConstraints(pattern=r"^\$\.[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*$", max_length=255)
]
DimensionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.\-]{1,64}$")]


def _dimensions(group_by: dict[str, str]) -> dict[str, str]:
    if len(group_by) > DIMENSIONS_MAX:
        raise ValueError(f"at most {DIMENSIONS_MAX} dimensions are allowed")
    if SUBJECT_DIMENSION in group_by:
        raise ValueError("subject is a dimension of every metric already")
    return group_by


GroupBy = Annotated[dict[DimensionName, ValuePath], AfterValidator(_dimensions)]


LateUsage = Literal["bill", "ignore"]
"""What becomes of usage that arrives after its period was billed; not in the contract."""


class NewBillableMetric(Body):
    """A metric to create."""

    merchant_id: MerchantId
    name: Name
    description: Description
    unit: Label
    aggregation: Aggregation
    event_type: PrintableText
    product_id: ProductId | None = None
    item_id: ItemId | None = None
    value_property: ValuePath | None = None
    group_by: GroupBy | None = None
    event_from: Instant | None = None
    late_usage: LateUsage = "bill"
    daily_rollup: bool = False
    """Whether its days are summed every night; not in the contract."""


class BillableMetricPatch(Patch):
    """A change of a metric; its aggregation is fixed."""

    name: Name = omitted()
    description: Description = omitted()
    unit: Label = omitted()
    item_id: ItemId | None = None
    event_type: PrintableText = omitted()
    value_property: ValuePath | None = None
    group_by: GroupBy | None = None
    event_from: Instant | None = None
    late_usage: LateUsage = omitted()
    daily_rollup: bool = omitted()


class BillableMetric(Wire):
    """How events become a quantity."""

    object: Literal["billableMetric"] = "billableMetric"
    id: str
    merchant_id: str
    product_id: str
    item_id: str | None
    name: str
    description: str
    unit: str
    aggregation: str
    event_type: str
    value_property: str | None
    group_by: dict[str, str] | None
    event_from: Instant | None
    late_usage: LateUsage
    daily_rollup: bool
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.BillableMetric) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


class ReadingFixed(Conflict):
    """The change would alter what a closed period has been billed for."""

    code = "METRIC_IN_USE"


READING_FIELDS = ("event_type", "value_property", "event_from")


@router.post("", operation_id="createBillableMetric", status_code=201)
async def create_billable_metric(
    body: NewBillableMetric, caller: Caller, session: Session
) -> BillableMetric:
    """Create a metric."""
    merchant_id = caller.own(body.merchant_id)
    product_id = await parent_product(session, merchant_id, body.product_id, body.item_id)
    row = tables.BillableMetric(id=new_id("bm"), **(body.model_dump() | {"product_id": product_id}))
    _settle_value_property(row)
    session.add(row)
    return BillableMetric.of(row)


@router.get("", operation_id="listBillableMetrics")
async def list_billable_metrics(
    merchant_id: OwnMerchant,
    paging: Paging,
    session: Session,
    product_id: Annotated[ProductId | None, Query(alias="productId")] = None,
    item_id: Annotated[ItemId | None, Query(alias="itemId")] = None,
) -> Listing[BillableMetric]:
    """List metrics, newest first."""
    statement = billable_metrics.newest_first(merchant_id, product_id=product_id, item_id=item_id)
    narrowed = product_id is not None or item_id is not None
    total = None if narrowed else await list_totals.of(session, merchant_id, tables.BillableMetric)
    page = await paginate(session, statement, paging, total)
    return listing(map(BillableMetric.of, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getBillableMetric")
async def get_billable_metric(
    id: BillableMetricId, caller: Caller, session: Session
) -> BillableMetric:
    """Get a metric."""
    row = await billable_metrics.get(session, caller.merchant_id, id)
    return BillableMetric.of(found(row, "billable metric"))


@router.patch("/{id}", operation_id="updateBillableMetric")
async def update_billable_metric(
    id: BillableMetricId, body: BillableMetricPatch, caller: Caller, now: Now, session: Session
) -> BillableMetric:
    """Change a metric, unless the change would alter a closed period's reading."""
    row = found(await billable_metrics.get(session, caller.merchant_id, id), "billable metric")
    await anchor(session, caller.merchant_id, body.item_id, row.product_id)
    before = [getattr(row, name) for name in READING_FIELDS]
    row.sqlmodel_update(body.changes() | {"updated_at": now})
    _settle_value_property(row)
    if before != [getattr(row, name) for name in READING_FIELDS]:
        with session.no_autoflush:
            billed = await billable_metrics.is_billed(session, caller.merchant_id, row.id)
        if billed:
            message = "A closed period has been billed by this metric; create another one"
            raise ReadingFixed(message)
    return BillableMetric.of(row)


def _settle_value_property(row: tables.BillableMetric) -> None:
    """COUNT reads no value, the numeric aggregations need one."""
    if row.aggregation == "COUNT":
        row.value_property = None
    if row.daily_rollup and row.aggregation not in SUMMED:
        message = "Only sums and counts of days add up"
        raise InvalidValue(message, field="dailyRollup")
    if row.aggregation in NUMERIC_AGGREGATIONS and row.value_property is None:
        raise InvalidValue(f"{row.aggregation} needs a value property", field="valueProperty")
