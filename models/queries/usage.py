"""The usage store: append events, add them up, list them; what a reading costs is not known here.

Another store (a column store, say) would replace this module's functions and nothing else. The
aggregation equals `billing.metering.aggregate` on the same events, which a property test holds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Select,
    SQLColumnExpression,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.metering import DECIMALS_MAX, INTEGER_DIGITS_MAX, average, parse_path
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.subscriptions import Subscription
from models.test_clocks import TestClock
from models.usage import UsageEvent

# The numbers of `billing.metering.value_at`: plain digits, so many before and behind the point.
_NUMBER = rf"^-?0*[0-9]{{1,{INTEGER_DIGITS_MAX}}}(\.[0-9]{{1,{DECIMALS_MAX}}}0*)?$"
SUBJECT = "subject"
READINGS_MAX = 10_000
"""More windows or groups than this are not answered: one more is read, so that it shows."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is stored; `properties` is its JSON text, so that numbers keep every digit."""

    merchant_id: str
    source: str
    idempotency_key: str
    type: str
    subject: str | None
    external_subject: str | None
    external_id: str | None
    timestamp: datetime
    properties: str

    @property
    def id(self) -> UUID:
        """A hash of (merchant, source, key): the same event again has the same id."""
        parts = (self.merchant_id, self.source, self.idempotency_key)
        # No part holds a control character, so 0x00 keeps ("ab", "c") and ("a", "bc") apart.
        text = "\x00".join(parts).encode()
        return UUID(bytes=hashlib.blake2b(text, digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are read: a metric's, in [start, end), of one subject or of all.

    `dimensions` keeps the events whose dimension has one of these values.
    """

    merchant_id: str
    metric: BillableMetric
    start: datetime
    end: datetime
    subject: str | None = None
    dimensions: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class GroupSlice:
    """Which groups of a grouped reading are wanted: the greatest first; None: all of them."""

    dimensions: Sequence[str]
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a group of events adds up to; `group` and `window` where it was asked for."""

    value: Decimal
    event_count: int
    group: tuple[str, ...] = ()
    window: datetime | None = None


# The columns of an EventRow, in its order.
_STORED: Select[*tuple[Any, ...]] = select(
    col(UsageEvent.merchant_id),
    col(UsageEvent.source),
    col(UsageEvent.idempotency_key),
    col(UsageEvent.type),
    col(UsageEvent.subject),
    col(UsageEvent.external_subject),
    col(UsageEvent.external_id),
    col(UsageEvent.timestamp),
    cast(col(UsageEvent.properties), Text),
)


def event_id(key: UUID) -> str:
    """The id as the wire shows it."""
    return f"evt_{key.hex}"


async def append(session: AsyncSession, events: Sequence[EventRow]) -> list[bool]:
    """Stores the events in one statement; whether each is new (its first time also in here)."""
    rows = [
        {
            "id": event.id,
            "merchant_id": event.merchant_id,
            "source": event.source,
            "idempotency_key": event.idempotency_key,
            "type": event.type,
            "subject": event.subject,
            "external_subject": event.external_subject,
            "external_id": event.external_id,
            "timestamp": event.timestamp,
            "properties": cast(literal(event.properties, Text), JSONB),
            "created_at": func.clock_timestamp(),
        }
        for event in events
    ]
    statement = insert(UsageEvent).values(rows).on_conflict_do_nothing(index_elements=["id"])
    connection = await session.connection()
    fresh = set((await connection.execute(statement.returning(col(UsageEvent.id)))).scalars())
    created = []
    for event in events:
        created.append(event.id in fresh)
        fresh.discard(event.id)
    return created


async def get(session: AsyncSession, merchant_id: str, key: UUID) -> EventRow | None:
    """A stored event."""
    statement = _STORED.where(col(UsageEvent.merchant_id) == merchant_id, col(UsageEvent.id) == key)
    connection = await session.connection()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else EventRow(*row)


async def clock_time(session: AsyncSession, merchant_id: str, subject: str) -> datetime | None:
    """The time of the test clock that a living subscription of this subject hangs on.

    The subject is a customer's id, a subscription's id, or a customer's external id.
    """
    statement = (
        select(col(TestClock.current_time))
        .join(Subscription, col(Subscription.test_clock_id) == col(TestClock.id))
        .join(Customer, col(Customer.id) == col(Subscription.customer_id))
        .where(
            col(Subscription.merchant_id) == merchant_id,
            col(Subscription.status) != "terminated",
            col(TestClock.deleted_at).is_(None),
            or_(
                col(Subscription.id) == subject,
                col(Customer.id) == subject,
                col(Customer.external_id) == subject,
            ),
        )
        .order_by(col(Subscription.created_at).desc())
        .limit(1)
    )
    connection = await session.connection()
    return (await connection.execute(statement)).scalars().first()


async def usage_sums(  # noqa: PLR0913 - one reading, named in full by its keywords
    session: AsyncSession,
    merchant_id: str,
    metrics: Sequence[BillableMetric],
    *,
    customer_id: str,
    subscription_id: str,
    external_id: str | None,
    start: datetime,
    end: datetime,
) -> dict[str, Decimal]:
    """What a subscription used in [start, end), by metric id, in one pass over its events.

    An event is the subscription's when its subject is the customer or the subscription, or when it
    has none and its external subject is the customer's external id: linking works backwards too.
    """
    if not metrics:
        return {}
    theirs: ColumnElement[bool] = col(UsageEvent.subject).in_((customer_id, subscription_id))
    if external_id is not None:
        linked = col(UsageEvent.external_subject) == external_id
        theirs = or_(theirs, and_(col(UsageEvent.subject).is_(None), linked))
    columns = [column for metric in metrics for column in _columns(metric, _reads(metric))]
    statement = select(*columns).where(
        col(UsageEvent.merchant_id) == merchant_id,
        col(UsageEvent.type).in_({metric.event_type for metric in metrics}),
        _within(start, end),
        theirs,
    )
    connection = await session.connection()
    row = (await connection.execute(statement)).one()
    pairs = zip(row[::2], row[1::2], strict=True)
    return {
        metric.id: _value(metric, amount, count)
        for metric, (amount, count) in zip(metrics, pairs, strict=True)
    }


async def total(session: AsyncSession, selection: Selection) -> Decimal:
    """The metric's reading of the whole selection."""
    statement = _selected(select(*_columns(selection.metric)), selection)
    connection = await session.connection()
    amount, count = (await connection.execute(statement)).one()
    return _value(selection.metric, amount, count)


async def windows(session: AsyncSession, selection: Selection, size: str) -> list[Reading]:
    """The readings of the UTC-aligned windows that have events, in order."""
    window = _window(size)
    amount, count = _columns(selection.metric)
    statement = _selected(select(window, amount, count), selection).having(count > 0)
    statement = statement.group_by(window).order_by(window).limit(READINGS_MAX + 1)
    connection = await session.connection()
    rows = (await connection.execute(statement)).all()
    return [
        Reading(_value(selection.metric, amount, count), count, window=start)
        for start, amount, count in rows
    ]


async def groups(
    session: AsyncSession, selection: Selection, wanted: GroupSlice
) -> tuple[list[Reading], int]:
    """The wanted groups, greatest first, and how many there are."""
    names = _group_columns(selection.merchant_id, selection.metric, wanted.dimensions)
    amount, count = _columns(selection.metric)
    everything = func.count().over()
    statement = _selected(select(*names, amount, count, everything), selection)
    statement = statement.group_by(*names).having(count > 0)
    statement = statement.order_by(_rank(selection.metric, amount, count).desc(), *names)
    statement = statement.limit(wanted.limit or READINGS_MAX + 1)
    connection = await session.connection()
    rows = (await connection.execute(statement.offset(wanted.offset))).all()
    if rows:
        return [_group_reading(selection.metric, row) for row in rows], rows[0][-1]
    counted = _selected(select(*names), selection).group_by(*names).having(count > 0)
    how_many = select(func.count()).select_from(counted.subquery())
    return [], (await connection.execute(how_many)).scalar_one()


async def group_windows(
    session: AsyncSession,
    selection: Selection,
    dimensions: Sequence[str],
    size: str,
    among: Sequence[tuple[str, ...]] | None = None,
) -> list[Reading]:
    """The readings of groups by window, in order of time; of all groups, or of those named."""
    names = _group_columns(selection.merchant_id, selection.metric, dimensions)
    window = _window(size)
    amount, count = _columns(selection.metric)
    statement = _selected(select(*names, amount, count, window), selection).having(count > 0)
    if among is not None:
        named = [
            and_(*(name == value for name, value in zip(names, group, strict=True)))
            for group in among
        ]
        statement = statement.where(or_(false(), *named))
    statement = statement.group_by(*names, window).order_by(window, *names)
    connection = await session.connection()
    rows = (await connection.execute(statement.limit(READINGS_MAX + 1))).all()
    return [_group_reading(selection.metric, row, window=row[-1]) for row in rows]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a list of a metric's events may be narrowed by, besides its subject."""

    external_id: str | None = None
    external_subject: str | None = None


async def page(
    session: AsyncSession, selection: Selection, narrowed: EventFilter, limit: int, offset: int
) -> tuple[list[EventRow], int]:
    """Events of a metric, newest first; and how many there are."""
    statement = _selected(_STORED, selection)
    if narrowed.external_id is not None:
        statement = statement.where(col(UsageEvent.external_id) == narrowed.external_id)
    if narrowed.external_subject is not None:
        statement = statement.where(col(UsageEvent.external_subject) == narrowed.external_subject)
    connection = await session.connection()
    counted = select(func.count()).select_from(statement.subquery())
    how_many = (await connection.execute(counted)).scalar_one()
    newest = (
        col(UsageEvent.timestamp).desc(),
        col(UsageEvent.created_at).desc(),
        col(UsageEvent.id).desc(),
    )
    statement = statement.order_by(*newest).limit(limit).offset(offset)
    rows = (await connection.execute(statement)).all()
    return [EventRow(*row) for row in rows], how_many


def _selected(
    statement: Select[*tuple[Any, ...]], selection: Selection
) -> Select[*tuple[Any, ...]]:
    metric = selection.metric
    statement = statement.where(
        col(UsageEvent.merchant_id) == selection.merchant_id,
        _reads(metric),
        _within(selection.start, selection.end),
    )
    if selection.subject is not None:
        statement = statement.where(_of_subject(selection.merchant_id, selection.subject))
    for name, values in (selection.dimensions or {}).items():
        (column,) = _group_columns(selection.merchant_id, metric, [name])
        statement = statement.where(column.in_(values))
    return statement


def _reads(metric: BillableMetric) -> ColumnElement[bool]:
    """The metric's events: of its type, and not before it began to count."""
    reads: ColumnElement[bool] = col(UsageEvent.type) == metric.event_type
    if metric.event_from is not None:
        reads = and_(reads, col(UsageEvent.timestamp) >= metric.event_from)
    return reads


def _within(start: datetime, end: datetime) -> ColumnElement[bool]:
    return and_(col(UsageEvent.timestamp) >= start, col(UsageEvent.timestamp) < end)


def _linked_customer(merchant_id: str) -> ColumnElement[str | None]:
    """The living customer whose external id the event names, found when it is read."""
    return (
        select(col(Customer.id))
        .where(
            col(Customer.merchant_id) == merchant_id,
            col(Customer.external_id) == col(UsageEvent.external_subject),
            col(Customer.deleted_at).is_(None),
        )
        .correlate(UsageEvent)
        .scalar_subquery()
    )


def _of_subject(merchant_id: str, subject: str) -> ColumnElement[bool]:
    linked = select(col(Customer.external_id)).where(
        col(Customer.merchant_id) == merchant_id,
        col(Customer.id) == subject,
        col(Customer.deleted_at).is_(None),
    )
    external = col(UsageEvent.external_subject)
    return or_(
        col(UsageEvent.subject) == subject,
        and_(
            col(UsageEvent.subject).is_(None),
            or_(external == subject, external == linked.scalar_subquery()),
        ),
    )


def _group_columns(
    merchant_id: str, metric: BillableMetric, dimensions: Sequence[str]
) -> list[ColumnElement[str]]:
    """The text by which events fall into groups; an event without the dimension has ""."""
    columns: list[ColumnElement[str]] = []
    for name in dimensions:
        if name == SUBJECT:
            external = col(UsageEvent.external_subject)
            own = col(UsageEvent.subject)
            columns.append(func.coalesce(own, _linked_customer(merchant_id), external, ""))
        else:
            columns.append(func.coalesce(_scalar_text((metric.group_by or {})[name]), ""))
    return columns


def _window(size: str) -> ColumnElement[datetime]:
    return func.date_trunc(size.lower(), col(UsageEvent.timestamp), "UTC")


def _member(path: str) -> SQLColumnExpression[Any]:
    # Not the subscript form: it would take the name "0" for an index where it meets a list.
    member: SQLColumnExpression[Any] = col(UsageEvent.properties)
    for name in parse_path(path):
        member = member.op("->", return_type=JSONB())(literal(name, Text))
    return member


def _text(path: str) -> SQLColumnExpression[str]:
    *outer, last = parse_path(path)
    parent = _member(".".join(["$", *outer])) if outer else col(UsageEvent.properties)
    return parent.op("->>", return_type=Text())(literal(last, Text))


def _scalar_text(path: str) -> ColumnElement[str | None]:
    scalar = func.jsonb_typeof(_member(path)).in_(("string", "number", "boolean"))
    return case((scalar, _text(path)))


def _number(path: str, reads: ColumnElement[bool]) -> ColumnElement[Decimal | None]:
    text = _text(path)
    return case((and_(reads, text.regexp_match(_NUMBER)), cast(text, Numeric)))


def _columns(
    metric: BillableMetric, reads: ColumnElement[bool] | None = None
) -> tuple[ColumnElement[Any], ColumnElement[int]]:
    """The metric's amount and how many events it counts, of those that `reads` leaves."""
    reads = literal(value=True) if reads is None else reads
    path = metric.value_property
    if metric.aggregation == "COUNT" or path is None:
        count = func.count(case((reads, 1)))
        return count, count
    if metric.aggregation == "UNIQUE_COUNT":
        text = case((reads, _scalar_text(path)))
        return func.count(text.distinct()), func.count(text)
    number = _number(path, reads)
    amounts: Mapping[str, ColumnElement[Any]] = {
        "SUM": func.sum(number),
        "AVG": func.sum(number),
        "MIN": func.min(number),
        "MAX": func.max(number),
        "LATEST": _latest(number),
    }
    return amounts[metric.aggregation], func.count(number)


def _latest(number: ColumnElement[Decimal | None]) -> ColumnElement[Decimal | None]:
    """The value of the greatest timestamp; of equal ones the one that was stored last."""
    order = (
        number.is_(None),
        col(UsageEvent.timestamp).desc(),
        col(UsageEvent.created_at).desc(),
        col(UsageEvent.id).desc(),
    )
    ordered = func.array_agg(aggregate_order_by(number, *order), type_=ARRAY(Numeric))
    return ordered[1]


def _rank(
    metric: BillableMetric, amount: ColumnElement[Any], count: ColumnElement[int]
) -> ColumnElement[Any]:
    return amount / count if metric.aggregation == "AVG" else amount


def _value(metric: BillableMetric, amount: Decimal | int | None, count: int) -> Decimal:
    if amount is None:
        return Decimal(0)
    return average(Decimal(amount), count) if metric.aggregation == "AVG" else Decimal(amount)


def _group_reading(
    metric: BillableMetric, row: Sequence[Any], window: datetime | None = None
) -> Reading:
    amount, count = row[-3], row[-2]
    return Reading(_value(metric, amount, count), count, tuple(row[:-3]), window)
