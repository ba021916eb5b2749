"""What a subscription bills over time, on the wire: its intervals, and the record of changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints

from activities.subscription_intervals import EditedIntervals, EditIntervals, Why
from api.deps import Caller, Commands, Session, Transactions
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Absent,
    Amount,
    Body,
    Description,
    DurationText,
    Instant,
    IntervalId,
    MetadataKey,
    Patch,
    PlanVersionId,
    PriceId,
    SubscriptionId,
    Wire,
    found,
    omitted,
)
from billing.errors import InvalidValue
from billing.interval_edits import AddInterval, EditInterval, Edits
from billing.interval_terms import Interval, Transition
from models import subscription_intervals as tables
from models.queries import subscription_intervals as intervals
from models.queries import subscriptions
from models.queries.subscription_intervals import ChangeFilter
from models.queries.terms import terms_of

router = APIRouter(prefix="/v0", tags=["Subscriptions"], route_class=KeptRoute)

OPERATIONS_MAX: Final = 100
STEPS_MAX: Final = 100

ChangeReason = Literal["commercial", "correction", "migration", "unspecified"]
Mode = Literal["advance", "arrears"]
Cadence = Literal["one_off"] | DurationText
Quantity = Annotated[Amount, Field(ge=0)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Scalars = Annotated[
    dict[MetadataKey, Description | bool | int | float], Field(max_length=OPERATIONS_MAX)
]


class QuantityStep(Body):
    """From this instant on, so many."""

    effective_date: Instant
    quantity: Quantity


Steps = Annotated[list[QuantityStep], Field(max_length=STEPS_MAX)]


def _transitions(steps: list[QuantityStep]) -> tuple[Transition, ...]:
    return tuple((each.effective_date, each.quantity) for each in steps)


class AddOperation(Body):
    """A new interval; under a key of the plan it takes the place of the plan's line."""

    price_key: Key
    unit_price: Amount | None
    base_quantity: Quantity
    billing_cadence: Cadence
    billing_mode: Mode
    start_date: Instant
    price_id: PriceId | None = None
    plan_version_id: PlanVersionId | None = None
    quantity_transitions: Steps = Field(default_factory=list)
    bill_date: Instant | None = None
    end_date: Instant | None = None

    def addition(self) -> AddInterval:
        """The same for billing."""
        return AddInterval(
            key=self.price_key,
            price_id=self.price_id,
            version_id=self.plan_version_id,
            unit_price=self.unit_price,
            base_quantity=self.base_quantity,
            transitions=_transitions(self.quantity_transitions),
            cadence=self.billing_cadence,
            mode=self.billing_mode,
            bill_date=self.bill_date,
            start=self.start_date,
            end=self.end_date,
        )


class EditOperation(Patch):
    """A change of an interval; what cannot be changed may be sent as it is."""

    id: IntervalId
    unit_price: Amount | None = omitted()
    base_quantity: Quantity = omitted()
    quantity_transitions: Steps = omitted()
    price_id: PriceId = omitted()
    price_key: Key = omitted()
    plan_version_id: PlanVersionId = omitted()
    billing_cadence: Cadence = omitted()
    billing_mode: Mode = omitted()
    bill_date: Instant | None = omitted()
    start_date: Instant = omitted()
    end_date: Instant | None = omitted()

    def edit(self) -> EditInterval:
        """The same for billing."""
        sent = {_FIELDS[name]: value for name, value in self.changes().items() if name != "id"}
        if "transitions" in sent:
            sent["transitions"] = _transitions(sent["transitions"])
        return EditInterval(self.id, sent)


_FIELDS: Final[Mapping[str, str]] = {
    "unit_price": "unit_price",
    "base_quantity": "base_quantity",
    "quantity_transitions": "transitions",
    "price_id": "price_id",
    "price_key": "key",
    "plan_version_id": "version_id",
    "billing_cadence": "cadence",
    "billing_mode": "mode",
    "bill_date": "bill_date",
    "start_date": "start",
    "end_date": "end",
}


class RemoveOperation(Body):
    """An interval to take off."""

    id: IntervalId


class IntervalEdits(Body):
    """At least one operation, and why."""

    add: Annotated[list[AddOperation], Field(max_length=OPERATIONS_MAX)] = Field(
        default_factory=list
    )
    edit: Annotated[list[EditOperation], Field(max_length=OPERATIONS_MAX)] = Field(
        default_factory=list
    )
    remove: Annotated[list[RemoveOperation], Field(max_length=OPERATIONS_MAX)] = Field(
        default_factory=list
    )
    change_reason: ChangeReason = "unspecified"
    description: Description | None = None
    metadata: Scalars = Field(default_factory=dict)

    def command(self, merchant_id: str, subscription_id: str) -> EditIntervals:
        """The same for the transaction."""
        if not (self.add or self.edit or self.remove):
            raise InvalidValue("Name at least one operation", field="add")
        return EditIntervals(
            merchant_id=merchant_id,
            subscription_id=subscription_id,
            edits=Edits(
                add=[each.addition() for each in self.add],
                edit=[each.edit() for each in self.edit],
                remove=[each.id for each in self.remove],
            ),
            why=Why(
                change_reason=self.change_reason,
                description=self.description,
                custom=self.metadata,
            ),
        )


class Step(Wire):
    """From this instant on, so many."""

    effective_date: Instant
    quantity: str


class IntervalTerms(Wire):
    """What is billed under a key for a time."""

    price_id: str
    price_key: str
    plan_version_id: str
    unit_price: str | None
    base_quantity: str
    quantity_transitions: list[Step]
    billing_cadence: str
    billing_mode: str
    bill_date: Instant | None
    start_date: Instant
    end_date: Instant | None


class SubscriptionInterval(IntervalTerms):
    """An interval as it stands."""

    id: str
    kind: str

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The answer for an interval, the plan's or the subscription's own."""
        return cls(id=interval.interval_id, kind=interval.kind, **intervals.shown(interval))


class IntervalCopy(IntervalTerms):
    """An interval as it stood when it was changed."""

    resolved_unit_price: str


class ChangeEntry(Wire):
    """One interval before and after."""

    interval_id: str
    before: IntervalCopy | None
    after: IntervalCopy | None


class SubscriptionIntervalChange(Wire):
    """A request that changed intervals."""

    id: str
    merchant_id: str
    subscription_id: str
    change_reason: str
    description: str | None
    metadata: dict[str, Any]
    created_at: Instant
    intervals: list[ChangeEntry]

    @classmethod
    def of(cls, row: tables.IntervalChange) -> Self:
        """The answer for a row."""
        return cls.from_row(
            row,
            metadata=row.custom,
            intervals=[ChangeEntry.model_validate(each) for each in row.entries],
        )


class SubscriptionIntervals(Wire):
    """All of a subscription's intervals, by their start."""

    intervals: list[SubscriptionInterval]


class ChangedLines(Wire):
    """How many prices came to the open invoice, and how many left it."""

    created: int
    removed: int
    sync_failed: Absent[bool] = None


class EditedAnswer(SubscriptionIntervals):
    """The intervals after a request, and its record."""

    unchanged: bool
    line_items: ChangedLines
    interval_change: SubscriptionIntervalChange | None


async def _standing(
    session: Session, merchant_id: str, subscription_id: str
) -> list[SubscriptionInterval]:
    owner = found(await subscriptions.get(session, merchant_id, subscription_id), "subscription")
    standing = await intervals.all_of(session, await terms_of(session, owner))
    return [SubscriptionInterval.of(each) for each in standing]


@dataclass(frozen=True, slots=True)
class _Door:
    """Changes intervals, and reads them in a transaction of its own."""

    transactions: Transactions
    commands: Commands

    async def answer(
        self, merchant_id: str, subscription_id: str, edited: EditedIntervals
    ) -> EditedAnswer:
        """What stands after the change."""
        async with self.transactions.transaction() as session:
            record = None
            if edited.change_id is not None:
                record = await intervals.change(session, merchant_id, edited.change_id)
            return EditedAnswer(
                intervals=await _standing(session, merchant_id, subscription_id),
                unchanged=record is None,
                line_items=ChangedLines(created=edited.created, removed=edited.removed),
                interval_change=None if record is None else SubscriptionIntervalChange.of(record),
            )


@router.get("/subscriptions/{id}/intervals", operation_id="getSubscriptionIntervals")
async def get_subscription_intervals(
    id: SubscriptionId, caller: Caller, session: Session
) -> SubscriptionIntervals:
    """Get what a subscription bills over time; ended and future intervals too."""
    return SubscriptionIntervals(intervals=await _standing(session, caller.merchant_id, id))


@router.post("/subscriptions/{id}/intervals", operation_id="editSubscriptionIntervals")
async def edit_subscription_intervals(
    id: SubscriptionId, body: IntervalEdits, caller: Caller, door: Annotated[_Door, Depends(_Door)]
) -> EditedAnswer:
    """Add, edit and remove intervals; what has been billed stays as it is."""
    edited = await door.commands.edit_intervals(body.command(caller.merchant_id, id))
    return await door.answer(caller.merchant_id, id, edited)


@router.get("/subscriptions/{id}/intervalChanges", operation_id="listSubscriptionIntervalChanges")
async def list_subscription_interval_changes(
    id: SubscriptionId, caller: Caller, paging: Paging, session: Session
) -> Listing[SubscriptionIntervalChange]:
    """List the changes of a subscription's intervals, oldest first."""
    found(await subscriptions.get(session, caller.merchant_id, id), "subscription")
    statement = intervals.changes_oldest_first(caller.merchant_id, ChangeFilter(id))
    page = await paginate(session, statement, paging)
    return listing(map(SubscriptionIntervalChange.of, page.rows), page.total, paging)


async def change_filter(
    start: Annotated[Instant | None, Query(alias="from")] = None,
    end: Annotated[Instant | None, Query(alias="to")] = None,
    change_reason: Annotated[ChangeReason | None, Query(alias="changeReason")] = None,
) -> ChangeFilter:
    """What a list of changes may be narrowed by."""
    return ChangeFilter(start=start, end=end, change_reason=change_reason)


@router.get("/intervalChanges", operation_id="listIntervalChanges")
async def list_interval_changes(
    caller: Caller,
    paging: Paging,
    session: Session,
    narrowed: Annotated[ChangeFilter, Depends(change_filter)],
) -> Listing[SubscriptionIntervalChange]:
    """List the changes of all subscriptions' intervals, oldest first."""
    statement = intervals.changes_oldest_first(caller.merchant_id, narrowed)
    page = await paginate(session, statement, paging)
    return listing(map(SubscriptionIntervalChange.of, page.rows), page.total, paging)
