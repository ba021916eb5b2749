"""Readings from daily sums, and how these are made; each equals the raw reading, always.

Sums leave nothing out that came later: events that the sums' snapshot did not see are read beside
them, and void ones, which are summed too, are taken off. Only whole past days come from sums.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select, text, true
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.money import exact
from models.billable_metrics import BillableMetric
from models.customers import Customer
from models.organizations import Merchant
from models.queries import invoices, usage
from models.queries.usage import Selection
from models.usage import UsageEvent
from models.usage_rollups import UsageDay, UsageRollup
from models.usage_voids import UsageVoid

SUMMED: Final = frozenset({"SUM", "COUNT"})
DAY: Final = timedelta(days=1)
# What was stored so long before a build is in its snapshot: no insert takes a fraction of that.
STORING_MAX: Final = timedelta(hours=1)
OWNER_AND_DAY: Final = ("day", "subject", "external_subject")


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did: days summed anew, and sums that the raw events did not confirm."""

    days: int
    differing: int


@dataclass(frozen=True, slots=True)
class _Rolled:
    """The sums of the days in [start, end), and from which events."""

    start: datetime
    end: datetime
    amount: Decimal
    snapshot: str
    built_at: datetime


async def total(session: AsyncSession, selection: Selection) -> Decimal:
    """The metric's reading of the selection: from sums as far as there are any, else raw."""
    rolled = await _rolled(session, selection)
    if rolled is None:
        return await usage.total(session, selection)
    whole = replace(selection, start=rolled.start, end=rolled.end)
    late = await usage.total_with_void(session, whole, *_unseen(rolled.snapshot, rolled.built_at))
    void = exists().where(col(UsageVoid.event_id) == col(UsageEvent.id))
    voided = await usage.total_with_void(session, whole, void)
    edges = [replace(selection, end=rolled.start), replace(selection, start=rolled.end)]
    with exact():
        amount = rolled.amount + late - voided
        for edge in edges:
            if edge.start < edge.end:
                amount += await usage.total(session, edge)
    return amount


def definition_of(metric: BillableMetric) -> str:
    """What the metric reads, as one text."""
    since = "" if metric.event_from is None else metric.event_from.astimezone(UTC).isoformat()
    return "\n".join((metric.aggregation, metric.event_type, metric.value_property or "", since))


async def switched_on(session: AsyncSession) -> list[BillableMetric]:
    """The metrics, of all merchants, whose days are summed."""
    rows = await session.exec(
        select_rows(BillableMetric)
        .where(col(BillableMetric.daily_rollup), col(BillableMetric.aggregation).in_(SUMMED))
        .order_by(col(BillableMetric.id))
    )
    return list(rows.all())


async def repeatable(session: AsyncSession) -> None:
    """All statements of the transaction see the same events; asked before the first of them."""
    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def build(session: AsyncSession, metric: BillableMetric) -> Built:
    """Sums the days that are new or touched, and compares all sums with the raw events.

    Sums that differ are made again; a metric that is defined anew is summed anew as a whole.
    """
    midnight, now = (await session.exec(_NOW)).one()  # type: ignore[call-overload]
    old = await _state(session, metric)
    if old is None or old.definition != definition_of(metric):
        days = await _sum_all(session, metric, midnight)
    else:
        days = await _sum_touched(session, metric, old, midnight)
    differing = await _differing(session, metric, midnight)
    if differing:
        days += await _sum_all(session, metric, midnight)
    values = UsageRollup(
        metric_id=metric.id,
        merchant_id=metric.merchant_id,
        definition=definition_of(metric),
        through=midnight,
        snapshot=await invoices.snapshot(session),
        built_at=now,
    ).model_dump()
    upsert = insert(UsageRollup).values(**values)
    await session.exec(upsert.on_conflict_do_update(index_elements=["metric_id"], set_=values))
    return Built(days, differing)


_NOW = select(func.date_trunc("day", func.now(), "UTC"), func.now())


async def forget(session: AsyncSession, merchant_id: str) -> None:
    """Drops a merchant's sums: they are made again the next night."""
    for table in (UsageDay, UsageRollup):
        await session.exec(delete(table).where(col(table.merchant_id) == merchant_id))


async def _rolled(session: AsyncSession, selection: Selection) -> _Rolled | None:
    """The sums that can stand for a part of the selection, read in one statement."""
    metric = selection.metric
    if not metric.daily_rollup or metric.aggregation not in SUMMED or selection.dimensions:
        return None
    kept = select(col(Merchant.usage_deleted_before)).where(
        col(Merchant.id) == selection.merchant_id
    )
    connection = await session.connection()
    kept_since = (await connection.execute(kept)).scalar_one_or_none()
    start, end = _next_midnight(max(selection.start, kept_since or selection.start)), selection.end
    through = func.least(col(UsageRollup.through), func.date_trunc("day", end, "UTC"))
    amount = col(UsageDay.event_count) if metric.aggregation == "COUNT" else col(UsageDay.amount)
    days = and_(
        col(UsageDay.metric_id) == col(UsageRollup.metric_id),
        col(UsageDay.day) >= start,
        col(UsageDay.day) < through,
        _owned(selection),
    )
    statement = (
        select(
            through,
            func.coalesce(func.sum(amount), 0),
            col(UsageRollup.snapshot),
            col(UsageRollup.built_at),
        )
        .select_from(UsageRollup)
        .outerjoin(UsageDay, days)
        .where(
            col(UsageRollup.merchant_id) == selection.merchant_id,
            col(UsageRollup.metric_id) == metric.id,
            col(UsageRollup.definition) == definition_of(metric),
        )
        .group_by(col(UsageRollup.through), col(UsageRollup.snapshot), col(UsageRollup.built_at))
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None or row[0] <= start:
        return None
    return _Rolled(start, row[0], Decimal(row[1]), row[2], row[3])


def _next_midnight(instant: datetime) -> datetime:
    """The first midnight that is not before the instant."""
    at = instant.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == at else midnight + DAY


def _owned(selection: Selection) -> ColumnElement[bool]:
    """The subject's days: its own, and those under the external id that it is linked to now."""
    subject = selection.subject
    if subject is None:
        return true()
    linked = select(col(Customer.external_id)).where(
        col(Customer.merchant_id) == selection.merchant_id,
        col(Customer.id) == subject,
        col(Customer.deleted_at).is_(None),
    )
    external = col(UsageDay.external_subject)
    is_theirs = or_(external == subject, external == linked.scalar_subquery())
    return or_(col(UsageDay.subject) == subject, and_(col(UsageDay.subject) == "", is_theirs))


def _unseen(snapshot: str, built_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """The events that a build's snapshot did not see; the first bound finds them quickly."""
    invisible: ColumnElement[bool] = text(  # type: ignore[assignment]
        "NOT pg_visible_in_snapshot(transaction_id, CAST(:snapshot AS pg_snapshot))"
    ).bindparams(snapshot=snapshot)
    return (col(UsageEvent.created_at) >= built_at - STORING_MAX, invisible)


async def _state(session: AsyncSession, metric: BillableMetric) -> UsageRollup | None:
    rows = await session.exec(
        select_rows(UsageRollup).where(
            col(UsageRollup.merchant_id) == metric.merchant_id,
            col(UsageRollup.metric_id) == metric.id,
        )
    )
    return rows.first()


async def _sum_all(session: AsyncSession, metric: BillableMetric, until: datetime) -> int:
    await session.exec(
        delete(UsageDay).where(
            col(UsageDay.merchant_id) == metric.merchant_id, col(UsageDay.metric_id) == metric.id
        )
    )
    return await _insert(session, metric, usage.BEGINNING, until)


async def _sum_touched(
    session: AsyncSession, metric: BillableMetric, old: UsageRollup, until: datetime
) -> int:
    """Sums the days since the last build, and those before that have got events since."""
    day = func.date_trunc("day", col(UsageEvent.timestamp), "UTC")
    statement = (
        select(day)
        .distinct()
        .where(
            col(UsageEvent.merchant_id) == metric.merchant_id,
            col(UsageEvent.type) == metric.event_type,
            col(UsageEvent.timestamp) < old.through,
            *_unseen(old.snapshot, old.built_at),
        )
    )
    connection = await session.connection()
    touched = list((await connection.execute(statement)).scalars())
    await session.exec(
        delete(UsageDay).where(
            col(UsageDay.merchant_id) == metric.merchant_id,
            col(UsageDay.metric_id) == metric.id,
            col(UsageDay.day).in_(touched),
        )
    )
    days = 0
    for each in touched:
        days += await _insert(session, metric, each, each + DAY)
    return days + await _insert(session, metric, old.through, until)


async def _insert(
    session: AsyncSession, metric: BillableMetric, start: datetime, end: datetime
) -> int:
    if end <= start:
        return 0
    names = ["metric_id", "merchant_id", *OWNER_AND_DAY, "amount", "event_count"]
    raw = await _raw(session, metric, start, end)
    summed = insert(UsageDay).from_select(names, raw).returning(col(UsageDay.day)).cte("summed")
    connection = await session.connection()
    counted = select(func.count()).select_from(summed)
    return int((await connection.execute(counted)).scalar_one())


async def _differing(session: AsyncSession, metric: BillableMetric, until: datetime) -> int:
    """How many of the sums are not what the raw events say; none, unless something is broken."""
    raw = (await _raw(session, metric, usage.BEGINNING, until)).subquery("raw")
    kept = (
        select(UsageDay.__table__)  # type: ignore[attr-defined]
        .where(
            col(UsageDay.merchant_id) == metric.merchant_id, col(UsageDay.metric_id) == metric.id
        )
        .subquery("kept")
    )
    same_key = and_(*(raw.c[name] == kept.c[name] for name in OWNER_AND_DAY))
    differs = or_(
        raw.c.amount.is_distinct_from(kept.c.amount),
        raw.c.event_count.is_distinct_from(kept.c.event_count),
    )
    statement = select(func.count()).select_from(raw).join(kept, same_key, full=True)
    connection = await session.connection()
    return int((await connection.execute(statement.where(differs))).scalar_one())


async def _raw(
    session: AsyncSession, metric: BillableMetric, start: datetime, end: datetime
) -> Select[Any]:
    """The rows of `usage_days` as the raw events say, for the days in [start, end)."""
    selection = Selection(metric.merchant_id, metric, start, end)
    return await usage.by_owner_and_day(session, selection)
