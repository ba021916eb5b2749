"""The usage store: read events, add them up, list them; what a reading costs is not known here.

Another store (a column store, say) would replace this module, its tallies and its appends. The
aggregation equals `billing.metering.aggregate` on the same events, which a property test holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Numeric,
    Select,
    SQLColumnExpression,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, aggregate_order_by, array
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.metering import (
    DECIMALS_MAX,
    INTEGER_DIGITS_MAX,
    NUMBER_LENGTH_MAX,
    NUMERIC_AGGREGATIONS,
    average,
    parse_path,
)
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.event_rows import EventRow
from models.usage import QuantityPath, UsageEvent
from models.usage_voids import UsageVoid

# The numbers of `billing.metering.value_at`.
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"
SUBJECT = "subject"
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""Before any event."""
READINGS_MAX = 10_000
"""More windows or groups than this are not answered: one more is read, so that it shows."""


_ENCODER = msgspec.json.Encoder()


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


def event_id(key: str) -> str:
    """The id as the wire shows it."""
    return f"evt_{key}"


async def get(session: AsyncSession, merchant_id: str, key: str) -> EventRow | None:
    """A stored event."""
    statement = select(*_stored(UsageEvent.__table__)).where(  # type: ignore[attr-defined]
        col(UsageEvent.merchant_id) == merchant_id, col(UsageEvent.id) == UUID(key)
    )
    connection = await session.connection()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _event(tuple(row))


_DIFFERING = """
SELECT merchant_id, type, source, idempotency_key, subject, external_subject, external_id,
       timestamp, properties::text
FROM json_to_recordset(%(given)s::json) AS given (i uuid, c integer)
JOIN usage_events ON id = i AND checksum IS DISTINCT FROM c
"""


async def stored_otherwise(
    connection: AsyncConnection[Any], events: Sequence[EventRow], unstamped: set[str]
) -> dict[str, EventRow]:
    """Those of the events that are not stored as they are given, by id, as they are stored.

    When an unstamped one happened was decided when it was stored, so they are all read.
    """
    given = [
        {"i": event.id, "c": None if event.id in unstamped else event.checksum} for event in events
    ]
    found = await connection.execute(_DIFFERING, {"given": _ENCODER.encode(given).decode()})
    stored: dict[str, EventRow] = {}
    for row in await found.fetchall():
        event = _event(row)
        stored[event.id] = event
    return stored


_CLOCK_TIMES = """
SELECT DISTINCT ON (given.m, given.s) given.m, given.s, clock.current_time
FROM json_to_recordset(%(given)s::json) AS given (m text, s text)
JOIN subscriptions AS sub ON sub.merchant_id = given.m AND sub.status <> 'terminated'
JOIN customers AS customer ON customer.id = sub.customer_id
JOIN test_clocks AS clock ON clock.id = sub.test_clock_id AND clock.deleted_at IS NULL
WHERE given.s IN (sub.id, customer.id, customer.external_id)
ORDER BY given.m, given.s, sub.created_at DESC
"""


async def clock_times(
    connection: AsyncConnection[Any], subjects: set[tuple[str, str]]
) -> dict[tuple[str, str], datetime]:
    """The time by (merchant, subject) where a living subscription hangs on a test clock.

    The subject is a customer's id, a subscription's id, or a customer's external id.
    """
    given = [{"m": merchant_id, "s": subject} for merchant_id, subject in sorted(subjects)]
    found = await connection.execute(_CLOCK_TIMES, {"given": _ENCODER.encode(given).decode()})
    return {(merchant_id, subject): now for merchant_id, subject, now in await found.fetchall()}


def _event(row: Sequence[Any]) -> EventRow:
    merchant_id, kind, source, key, subject, external_subject, external_id, when, text = row
    return EventRow(
        merchant_id=merchant_id,
        type=kind,
        source=source,
        idempotency_key=key,
        subject=subject,
        external_subject=external_subject,
        external_id=external_id,
        timestamp=when,
        properties=msgspec.Raw(text),
    )


def _stored(events: FromClause) -> list[ColumnElement[Any]]:
    """What `_event` takes, in its order."""
    names = (
        "merchant_id",
        "type",
        "source",
        "idempotency_key",
        "subject",
        "external_subject",
        "external_id",
        "timestamp",
    )
    return [*(events.c[name] for name in names), cast(events.c.properties, Text)]


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
) -> dict[str, Reading]:
    """What a subscription used in [start, end), by metric id, in one pass over its events.

    An event is the subscription's when its subject is the customer or the subscription, or when it
    has none and its external subject is the customer's external id: linking works backwards too.
    """
    if not metrics:
        return {}
    theirs = _Owners(
        col(UsageEvent.subject).in_((customer_id, subscription_id)),
        None if external_id is None else col(UsageEvent.external_subject) == external_id,
    )
    read = _Read(merchant_id, metrics, start, end, theirs)

    def reading(events: _Events) -> Select[*tuple[Any, ...]]:
        columns = [
            column
            for metric in metrics
            for column in _columns(events, metric, _reads(events.rows, metric))
        ]
        return select(*columns)

    (row,) = await _counted(session, read, reading, lambda row: any(row[1::2]), is_whole=True)
    pairs = zip(row[::2], row[1::2], strict=True)
    return {
        metric.id: Reading(value_of(metric, amount, count), count)
        for metric, (amount, count) in zip(metrics, pairs, strict=True)
    }


async def usage_between(  # noqa: PLR0913 - as `usage_sums`
    session: AsyncSession,
    merchant_id: str,
    metric: BillableMetric,
    *,
    customer_id: str,
    subscription_id: str,
    external_id: str | None,
    cuts: Sequence[datetime],
) -> list[Reading]:
    """The same of one metric for each stretch between one of these instants and the next."""
    theirs = _Owners(
        col(UsageEvent.subject).in_((customer_id, subscription_id)),
        None if external_id is None else col(UsageEvent.external_subject) == external_id,
    )
    read = _Read(merchant_id, [metric], cuts[0], cuts[-1], theirs)
    kind = ARRAY(TIMESTAMP(timezone=True))
    bounds = cast(literal(list(cuts), kind), kind)

    def reading(events: _Events) -> Select[*tuple[Any, ...]]:
        number = func.width_bucket(events.rows.c.timestamp, bounds).label("number")
        amount, count = _columns(events, metric, _reads(events.rows, metric))
        return select(number, amount, count).group_by(number).having(count > 0)

    found = {number: rest for number, *rest in await _counted(session, read, reading)}
    none = (None, 0)
    return [
        Reading(value_of(metric, amount, count), count)
        for amount, count in (found.get(number, none) for number in range(1, len(cuts)))
    ]


async def total(session: AsyncSession, selection: Selection) -> Decimal:
    """The metric's reading of the whole selection."""
    return await _total(session, selection, _read(selection))


async def total_with_void(
    session: AsyncSession, selection: Selection, *conditions: ColumnElement[bool]
) -> Decimal:
    """The reading of those events that meet the conditions, void ones included."""
    read = replace(_read(selection), conditions=conditions, with_void=True)
    return await _total(session, selection, read)


async def _total(session: AsyncSession, selection: Selection, read: "_Read") -> Decimal:
    def reading(events: _Events) -> Select[*tuple[Any, ...]]:
        amount, count = _columns(events, selection.metric)
        if selection.metric.aggregation in {"SUM", "MIN", "MAX"}:
            # Only whether there is any event is asked, and there is one where there is an amount.
            count = case((amount.is_not(None), 1), else_=0)
        return _selected(select(amount, count), events, selection)

    ((amount, count),) = await _counted(session, read, reading, lambda row: row[1], is_whole=True)
    return value_of(selection.metric, amount, count)


async def by_owner_and_day(session: AsyncSession, selection: Selection) -> Select[*tuple[Any, ...]]:
    """A statement for the reading of each owner's day (UTC), void events included.

    Its columns: metric, merchant, day, subject, external subject, amount, number of events.
    """
    metric, read = selection.metric, _read(selection)
    is_elsewhere = False
    if read.paths():
        connection = await session.connection()
        asked = select(read.stands_elsewhere())
        is_elsewhere = bool((await connection.execute(asked)).scalar_one())
    events = read.events(typed=not is_elsewhere)
    subject = events.rows.c.subject
    day = func.date_trunc("day", events.rows.c.timestamp, "UTC").label("day")
    external = case(
        (subject.is_(None), func.coalesce(events.rows.c.external_subject, "")), else_=""
    )
    amount, count = _columns(events, metric)
    named = (
        literal(metric.id, Text).label("metric_id"),
        literal(metric.merchant_id, Text).label("merchant_id"),
        day,
        func.coalesce(subject, "").label("subject"),
        external.label("external_subject"),
    )
    statement = select(*named, amount.label("amount"), count.label("event_count"))
    statement = _selected(statement, events, selection).having(count > 0)
    return statement.group_by(*named[2:])


async def windows(session: AsyncSession, selection: Selection, size: str) -> list[Reading]:
    """The readings of the UTC-aligned windows that have events, in order."""

    def reading(events: _Events) -> Select[*tuple[Any, ...]]:
        window = _window(events, size)
        amount, count = _columns(events, selection.metric)
        statement = _selected(select(window, amount, count), events, selection).having(count > 0)
        return statement.group_by(window).order_by(window).limit(READINGS_MAX + 1)

    return [
        Reading(value_of(selection.metric, amount, count), count, window=start)
        for start, amount, count in await _counted(session, _read(selection), reading)
    ]


async def groups(
    session: AsyncSession, selection: Selection, wanted: GroupSlice
) -> tuple[list[Reading], int]:
    """The wanted groups, greatest first, and how many there are."""
    metric = selection.metric

    def reading(events: _Events) -> Select[*tuple[Any, ...]]:
        names = _group_columns(events, metric, wanted.dimensions)
        amount, count = _columns(events, metric)
        everything = func.count().over()
        statement = _selected(select(*names, amount, count, everything), events, selection)
        statement = statement.group_by(*names).having(count > 0)
        statement = statement.order_by(_rank(metric, amount, count).desc(), *names)
        return statement.limit(wanted.limit or READINGS_MAX + 1).offset(wanted.offset)

    def counting(events: _Events) -> Select[*tuple[Any, ...]]:
        names = _group_columns(events, metric, wanted.dimensions)
        _, count = _columns(events, metric)
        counted = _selected(select(*names), events, selection).group_by(*names).having(count > 0)
        return select(func.count()).select_from(counted.subquery())

    rows = await _counted(session, _read(selection), reading)
    if rows:
        return [_group_reading(metric, row) for row in rows], rows[0][-1]
    ((how_many,),) = await _counted(session, _read(selection), counting, lambda row: row[0])
    return [], how_many


async def group_windows(
    session: AsyncSession,
    selection: Selection,
    dimensions: Sequence[str],
    size: str,
    among: Sequence[tuple[str, ...]] | None = None,
) -> list[Reading]:
    """The readings of groups by window, in order of time; of all groups, or of those named."""

    def reading(events: _Events) -> Select[*tuple[Any, ...]]:
        names = _group_columns(events, selection.metric, dimensions)
        window = _window(events, size)
        amount, count = _columns(events, selection.metric)
        statement = _selected(select(*names, amount, count, window), events, selection)
        if among is not None:
            named = [
                and_(*(name == value for name, value in zip(names, group, strict=True)))
                for group in among
            ]
            statement = statement.where(or_(false(), *named))
        statement = statement.group_by(*names, window).having(count > 0)
        return statement.order_by(window, *names).limit(READINGS_MAX + 1)

    rows = await _counted(session, _read(selection), reading)
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
    events = _read(selection).events(typed=False)
    statement = _selected(select(*_stored(events.rows)), events, selection)
    if narrowed.external_id is not None:
        statement = statement.where(events.rows.c.external_id == narrowed.external_id)
    if narrowed.external_subject is not None:
        statement = statement.where(events.rows.c.external_subject == narrowed.external_subject)
    connection = await session.connection()
    counted = statement.with_only_columns(func.count(), maintain_column_froms=True)
    how_many = (await connection.execute(counted)).scalar_one()
    newest = (events.rows.c[name].desc() for name in ("timestamp", "created_at", "id"))
    statement = statement.order_by(*newest).limit(limit).offset(offset)
    return [_event(tuple(row)) for row in await connection.execute(statement)], how_many


@dataclass(frozen=True, slots=True)
class _Owners:
    """Whose events: those with such a subject, and those without one but such an external one.

    None: of the latter none at all.
    """

    by_subject: ColumnElement[bool]
    by_external_subject: ColumnElement[bool] | None


@dataclass(frozen=True, slots=True)
class _Events:
    """Events to read from; `typed`: the number that is read is their `quantity`."""

    rows: FromClause
    typed: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """Which events a statement goes through, as ranges of the two covering indexes."""

    merchant_id: str
    metrics: Sequence[BillableMetric]
    start: datetime
    end: datetime
    owners: _Owners
    has_voids: bool = False
    """Whether any of these events may be void: only then each of them is looked up."""
    with_void: bool = False
    """Void events are read too."""
    conditions: Sequence[ColumnElement[bool]] = ()
    """What else the events must meet."""

    def events(self, *, typed: bool) -> _Events:
        """The events; typed ones are none at all where a number may stand elsewhere."""
        return _Events(union_all(*self._branches(typed=typed)).subquery("events"), typed)

    def parts(self, *, typed: bool) -> list[_Events]:
        """The same events, each index's by itself; `may_read` says whether typed ones count."""
        branches = self._branches(typed=False)
        return [_Events(each.subquery("events"), typed) for each in branches]

    def may_read(self, *, typed: bool) -> ColumnElement[bool]:
        """Whether the numbers that are read are all that there are: asked once a statement."""
        return not_(self.stands_elsewhere()) if typed and self.paths() else true()

    def _branches(self, *, typed: bool) -> list[Select[Any]]:
        every = [
            col(UsageEvent.type).in_({metric.event_type for metric in self.metrics}),
            col(UsageEvent.timestamp) >= self.start,
            col(UsageEvent.timestamp) < self.end,
            *self.conditions,
        ]
        if typed:
            every.append(self.may_read(typed=True))
        if self.has_voids:
            every.append(not_(exists().where(col(UsageVoid.event_id) == col(UsageEvent.id))))
        # One branch for each index: joined by OR, neither could be read without the table.
        branches = [
            _branch(
                self.merchant_id, col(UsageEvent.subject), col(UsageEvent.subject).is_not(None)
            ).where(self.owners.by_subject, *every)
        ]
        if self.owners.by_external_subject is not None:
            external = col(UsageEvent.external_subject)
            label = func.coalesce(_linked_customer(self.merchant_id), external, "")
            branches.append(
                _branch(self.merchant_id, label, col(UsageEvent.subject).is_(None)).where(
                    self.owners.by_external_subject, *every
                )
            )
        return branches

    def paths(self) -> set[tuple[str, str]]:
        """By which path which type's number is read."""
        return {
            (metric.event_type, metric.value_property or "")
            for metric in self.metrics
            if metric.aggregation in NUMERIC_AGGREGATIONS
        }

    def may_be_typed(self) -> bool:
        """An event has one `quantity`: it cannot stand for two paths."""
        return len(self.paths()) == len({event_type for event_type, _ in self.paths()})

    def stands_elsewhere(self) -> ColumnElement[bool]:
        """Whether `quantity` was ever read by another path than the metrics': asked once a scan.

        A path is stored with the first event read by it, so a statement that sees the event sees
        the path too.
        """
        own = [
            and_(col(QuantityPath.type) == kind, col(QuantityPath.path) == path)
            for kind, path in self.paths()
        ]
        return exists(
            select(1).where(
                col(QuantityPath.merchant_id) == self.merchant_id,
                col(QuantityPath.type).in_({kind for kind, _ in self.paths()}),
                not_(or_(false(), *own)),
            )
        )


def _branch(
    merchant_id: str, label: SQLColumnExpression[Any], *conditions: ColumnElement[bool]
) -> Select[Any]:
    table = UsageEvent.__table__  # type: ignore[attr-defined]
    # One type in all branches: else each would be a subquery with a coercion of every row.
    return select(*table.c, cast(label, Text).label("label")).where(
        col(UsageEvent.merchant_id) == merchant_id, *conditions
    )


def _read(selection: Selection) -> _Read:
    owners = _of_subject(selection.merchant_id, selection.subject)
    window = (selection.start, selection.end)
    return _Read(selection.merchant_id, [selection.metric], *window, owners)


async def _counted(
    session: AsyncSession,
    read: _Read,
    reading: Callable[[_Events], Select[*tuple[Any, ...]]],
    counts: Callable[[Sequence[Any]], Any] = bool,
    *,
    is_whole: bool = False,
) -> list[tuple[Any, ...]]:
    """The rows of a reading: from the typed column where it can be, else from the properties.

    Where the typed reading counts nothing there may still be something that it does not see.
    `is_whole`: one row of an amount and a count for each metric, and nothing else.
    """
    connection = await session.connection()

    def statement(read: _Read, *, typed: bool) -> Select[*tuple[Any, ...]]:
        if is_whole and _PARTLY.keys() >= {metric.aggregation for metric in read.metrics}:
            parts = [reading(each) for each in read.parts(typed=typed)]
            return _of_parts(parts, read.metrics).where(read.may_read(typed=typed))
        return reading(read.events(typed=typed))

    async def rows(*, typed: bool) -> list[tuple[Any, ...]]:
        # Void events are rare: whether there are any is asked with the reading, not before it.
        has_voids = literal(value=False) if read.with_void else _void_among(read)
        asked = statement(read, typed=typed).add_columns(has_voids)
        found = [tuple(row) for row in await connection.execute(asked)]
        if not any(row[-1] for row in found):
            return [row[:-1] for row in found]
        valid = statement(replace(read, has_voids=True), typed=typed)
        return [tuple(row) for row in await connection.execute(valid)]

    if read.may_be_typed():
        typed = await rows(typed=True)
        if any(counts(row) for row in typed):
            return typed
    return await rows(typed=False)


# What makes the whole of what parts came to.
_PARTLY: Mapping[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]] = {
    "SUM": func.sum,
    "AVG": func.sum,
    "COUNT": func.sum,
    "MIN": func.min,
    "MAX": func.max,
}


def _of_parts(
    readings: Sequence[Select[*tuple[Any, ...]]], metrics: Sequence[BillableMetric]
) -> Select[*tuple[Any, ...]]:
    """Adds up what each index's events came to: no event has to pass through a common row.

    What is asked of the sum, and not of the events, costs nothing for each of them.
    """
    named = [
        each.with_only_columns(
            *(column.label(f"c{at}") for at, column in enumerate(each.selected_columns)),
            maintain_column_froms=True,
        )
        for each in readings
    ]
    parts = union_all(*named).subquery("parts")
    columns: list[ColumnElement[Any]] = []
    for at, metric in enumerate(metrics):
        amount, count = parts.c[f"c{2 * at}"], parts.c[f"c{2 * at + 1}"]
        columns += [_PARTLY[metric.aggregation](amount), cast(func.sum(count), BigInteger)]
    return select(*columns)


def _void_among(read: _Read) -> ColumnElement[bool]:
    """Whether any event of these types and times is void, whoever's it is."""
    void = exists().where(
        col(UsageVoid.merchant_id) == read.merchant_id,
        col(UsageVoid.type).in_({metric.event_type for metric in read.metrics}),
        col(UsageVoid.timestamp) >= read.start,
        col(UsageVoid.timestamp) < read.end,
    )
    return select(void).scalar_subquery()


def _selected(
    statement: Select[*tuple[Any, ...]], events: _Events, selection: Selection
) -> Select[*tuple[Any, ...]]:
    """What narrows the events beyond their index: when the metric began, and dimensions."""
    statement = statement.select_from(events.rows)
    metric = selection.metric
    if metric.event_from is not None:
        statement = statement.where(events.rows.c.timestamp >= metric.event_from)
    for name, values in (selection.dimensions or {}).items():
        (column,) = _group_columns(events, metric, [name])
        statement = statement.where(column.in_(values))
    return statement


def _reads(events: FromClause, metric: BillableMetric) -> ColumnElement[bool]:
    """The metric's events: of its type, and not before it began to count."""
    reads: ColumnElement[bool] = events.c.type == metric.event_type
    if metric.event_from is not None:
        reads = and_(reads, events.c.timestamp >= metric.event_from)
    return reads


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


def _of_subject(merchant_id: str, subject: str | None) -> _Owners:
    if subject is None:
        return _Owners(literal(value=True), literal(value=True))
    linked = select(col(Customer.external_id)).where(
        col(Customer.merchant_id) == merchant_id,
        col(Customer.id) == subject,
        col(Customer.deleted_at).is_(None),
    )
    names = array([literal(subject, Text), linked.scalar_subquery()])
    return _Owners(
        col(UsageEvent.subject) == subject, col(UsageEvent.external_subject) == func.any(names)
    )


def _group_columns(
    events: _Events, metric: BillableMetric, dimensions: Sequence[str]
) -> list[ColumnElement[str]]:
    """The text by which events fall into groups; an event without the dimension has ""."""
    columns: list[ColumnElement[str]] = []
    for name in dimensions:
        if name == SUBJECT:
            columns.append(events.rows.c.label)
        else:
            text = _scalar_text(events.rows.c.properties, (metric.group_by or {})[name])
            columns.append(func.coalesce(text, ""))
    return columns


def _window(events: _Events, size: str) -> ColumnElement[datetime]:
    return func.date_trunc(size.lower(), events.rows.c.timestamp, "UTC")


def _member(properties: SQLColumnExpression[Any], path: str) -> SQLColumnExpression[Any]:
    # Not the subscript form: it would take the name "0" for an index where it meets a list.
    member = properties
    for name in parse_path(path):
        member = member.op("->", return_type=JSONB())(literal(name, Text))
    return member


def _text(properties: SQLColumnExpression[Any], path: str) -> SQLColumnExpression[str]:
    *outer, last = parse_path(path)
    parent = _member(properties, ".".join(["$", *outer])) if outer else properties
    return parent.op("->>", return_type=Text())(literal(last, Text))


def _scalar_text(properties: SQLColumnExpression[Any], path: str) -> ColumnElement[str | None]:
    kind = func.jsonb_typeof(_member(properties, path))
    return case((kind.in_(("string", "number", "boolean")), _text(properties, path)))


def _number(
    events: _Events, path: str, reads: ColumnElement[bool]
) -> ColumnElement[Decimal | None]:
    if events.typed:
        return case((reads, events.rows.c.quantity))
    text = _text(events.rows.c.properties, path)
    is_number = and_(func.length(text) <= NUMBER_LENGTH_MAX, text.regexp_match(_NUMBER))
    number = func.round(cast(text, Numeric), literal(DECIMALS_MAX, Integer), type_=Numeric())
    fits = func.abs(number) < literal(Decimal(10) ** INTEGER_DIGITS_MAX, Numeric)
    # Nested, so that only what is a number is cast.
    return case((and_(reads, is_number), case((fits, number))))


def _columns(
    events: _Events, metric: BillableMetric, reads: ColumnElement[bool] | None = None
) -> tuple[ColumnElement[Any], ColumnElement[int]]:
    """The metric's amount and how many events it counts, of those that `reads` leaves."""
    reads = true() if reads is None else reads
    path = metric.value_property
    if metric.aggregation == "COUNT" or path is None:
        count = func.count(case((reads, 1)))
        return count, count
    if metric.aggregation == "UNIQUE_COUNT":
        text = case((reads, _scalar_text(events.rows.c.properties, path)))
        return func.count(text.distinct()), func.count(text)
    number = _number(events, path, reads)
    amounts: Mapping[str, ColumnElement[Any]] = {
        "SUM": func.sum(number),
        "AVG": func.sum(number),
        "MIN": func.min(number),
        "MAX": func.max(number),
        "LATEST": _latest(events.rows, number),
    }
    return amounts[metric.aggregation], func.count(number)


def _latest(
    events: FromClause, number: ColumnElement[Decimal | None]
) -> ColumnElement[Decimal | None]:
    """The value of the greatest timestamp; of equal ones the one that was stored last."""
    newest = (events.c[name].desc() for name in ("timestamp", "created_at", "id"))
    order = (number.is_(None), *newest)
    ordered = func.array_agg(aggregate_order_by(number, *order), type_=ARRAY(Numeric))
    return ordered[1]


def _rank(
    metric: BillableMetric, amount: ColumnElement[Any], count: ColumnElement[int]
) -> ColumnElement[Any]:
    return amount / count if metric.aggregation == "AVG" else amount


def value_of(metric: BillableMetric, amount: Decimal | int | None, count: int) -> Decimal:
    """What a metric makes of the amount and the number of its events."""
    if amount is None:
        return Decimal(0)
    return average(Decimal(amount), count) if metric.aggregation == "AVG" else Decimal(amount)


def _group_reading(
    metric: BillableMetric, row: Sequence[Any], window: datetime | None = None
) -> Reading:
    amount, count = row[-3], row[-2]
    return Reading(value_of(metric, amount, count), count, tuple(row[:-3]), window)
