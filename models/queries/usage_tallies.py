"""What many subscriptions used, each in a window of its own, in one statement; it lists no events.

A tally reads the typed column only, as `usage` does wherever it can. What needs more than that
(another path, the last value, distinct values) is not tallied, and is read alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.metering import NUMERIC_AGGREGATIONS
from billing.money import exact
from billing.periods import Period
from models import packing
from models.billable_metrics import BillableMetric
from models.queries import usage
from models.queries.usage import Reading
from models.row_sets import is_among
from models.usage import QuantityPath

TALLIED = ("SUM", "AVG", "COUNT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose events are added up, in which window; they are the subscription's as in `usage`."""

    customer_id: str
    subscription_id: str
    external_id: str | None
    window: Period


@dataclass(frozen=True, slots=True)
class Tally:
    """The events of a type: how many there are, how many have a number, and what these sum to."""

    event_count: int
    number_count: int
    total: Decimal


NONE = Tally(0, 0, Decimal(0))
# By subscription, window and type.
_Key = tuple[str, Period, str]
Tallies = Mapping[_Key, Tally]

_TALLY = """
SELECT asked.at, tally.*
FROM unnest(
    CAST(:numbers AS integer[]), CAST(:first_names AS text[]), CAST(:second_names AS text[]),
    CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[])
) AS asked(at, first_name, second_name, start, until)
CROSS JOIN LATERAL (
    SELECT e.type, count(*), count(e.quantity), coalesce(sum(e.quantity), 0)
    FROM usage_events e
    WHERE e.merchant_id = :merchant_id AND e.type = ANY(CAST(:types AS text[])) AND {theirs}
        AND e.timestamp >= asked.start AND e.timestamp < asked.until {valid}
    GROUP BY e.type
) AS tally
"""
_BY_CUSTOMER = "e.subject = asked.first_name"
_BY_SUBJECT = "e.subject = ANY(ARRAY[asked.first_name, asked.second_name])"
_BY_EXTERNAL_SUBJECT = "e.subject IS NULL AND e.external_subject = asked.first_name"
_NOT_VOID = "AND NOT EXISTS (SELECT FROM usage_voids v WHERE v.event_id = e.id)"
# The second asks for a range of subjects, once a type: to look for each subscription costs as much
# as to look for its customer, and most merchants name no subscription in any event.
_RARE = """
SELECT EXISTS (
    SELECT FROM usage_voids
    WHERE merchant_id = :merchant_id AND type = ANY(CAST(:types AS text[]))
        AND timestamp >= :start AND timestamp < :until
), EXISTS (
    SELECT FROM usage_events
    WHERE merchant_id = :merchant_id AND type = ANY(CAST(:types AS text[]))
        AND subject >= (SELECT min(id) FROM unnest(CAST(:subscription_ids AS text[])) AS id)
        AND subject <= (SELECT max(id) FROM unnest(CAST(:subscription_ids AS text[])) AS id)
)
"""


def is_tallied(metric: BillableMetric, window: Period) -> bool:
    """Whether a metric can be told from a tally of its type in the window."""
    is_whole = metric.event_from is None or metric.event_from <= window.start
    return is_whole and metric.aggregation in TALLIED


async def tallies(
    session: AsyncSession, merchant_id: str, owners: Sequence[Owner], types: Collection[str]
) -> Tallies:
    """The tallies of these types, without void events; one of nothing is left out."""
    if not owners or not types:
        return {}
    has_voids, names_subscriptions = await _rare(session, merchant_id, owners, types)
    reading = _Reading(merchant_id, sorted(types), has_voids)
    theirs = _BY_SUBJECT if names_subscriptions else _BY_CUSTOMER
    found = await reading.of(session, theirs, [(each, each.customer_id) for each in owners])
    linked = [(each, each.external_id) for each in owners if each.external_id is not None]
    for key, more in (await reading.of(session, _BY_EXTERNAL_SUBJECT, linked)).items():
        found[key] = _sum(found.get(key, NONE), more)
    return found


async def _rare(
    session: AsyncSession, merchant_id: str, owners: Sequence[Owner], types: Collection[str]
) -> tuple[bool, bool]:
    """Whether any event of these types and times is void, and whether any names a subscription.

    Whoever's it is: it may be another's, and is then looked for in vain.
    """
    values = {
        "merchant_id": merchant_id,
        "types": list(types),
        "start": min(each.window.start for each in owners),
        "until": max(each.window.end for each in owners),
        "subscription_ids": packing.texts([each.subscription_id for each in owners]),
    }
    connection = await session.connection()
    has_voids, names_subscriptions = (await connection.execute(text(_RARE), values)).one()
    return has_voids, names_subscriptions


@dataclass(frozen=True, slots=True)
class _Reading:
    """A pass over the events of one of the two covering indexes."""

    merchant_id: str
    types: Sequence[str]
    has_voids: bool

    async def of(
        self, session: AsyncSession, theirs: str, named: Sequence[tuple[Owner, str]]
    ) -> dict[_Key, Tally]:
        if not named:
            return {}
        values: dict[str, Any] = {
            "merchant_id": self.merchant_id,
            "types": self.types,
            "numbers": packing.integers(range(len(named))),
            "first_names": packing.texts([name for _, name in named]),
            "second_names": packing.texts([owner.subscription_id for owner, _ in named]),
            "starts": packing.few_instants([owner.window.start for owner, _ in named]),
            "ends": packing.few_instants([owner.window.end for owner, _ in named]),
        }
        statement = _TALLY.format(theirs=theirs, valid=_NOT_VOID if self.has_voids else "")
        connection = await session.connection()
        rows = await connection.execute(text(statement), values)
        keys = [(owner.subscription_id, owner.window) for owner, _ in named]
        return {
            (*keys[at], kind): Tally(events, numbers, total)
            for at, kind, events, numbers, total in rows
        }


def _sum(one: Tally, other: Tally) -> Tally:
    with exact():
        return Tally(
            one.event_count + other.event_count,
            one.number_count + other.number_count,
            one.total + other.total,
        )


async def typed_paths(
    session: AsyncSession, merchant_id: str, types: Collection[str]
) -> dict[str, set[str]]:
    """By which paths the numbers of these types were ever read.

    Asked after the events: a path is stored with the first event that is read by it.
    """
    rows = await session.exec(
        select(col(QuantityPath.type), col(QuantityPath.path)).where(
            col(QuantityPath.merchant_id) == merchant_id, is_among(col(QuantityPath.type), types)
        )
    )
    found: dict[str, set[str]] = {}
    for kind, path in rows:
        found.setdefault(kind, set()).add(path)
    return found


def reading(metric: BillableMetric, tally: Tally, paths: Collection[str]) -> Reading | None:
    """What a metric reads in a tally of its type; None where its numbers may stand elsewhere."""
    if metric.aggregation not in NUMERIC_AGGREGATIONS or metric.value_property is None:
        return Reading(Decimal(tally.event_count), tally.event_count)
    if any(path != metric.value_property for path in paths):
        return None
    total = tally.total if tally.number_count else None
    return Reading(usage.value_of(metric, total, tally.number_count), tally.number_count)
