"""A reading from daily sums equals the raw reading, whatever came late, was voided, or was built.

Each example owns a merchant. Events arrive in stages; between them some are voided, and sums may be
built; after each stage both readings are asked for the same windows and subjects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from activities.organizations import CreateMerchant, OrganizationActivities
from models.base import new_id, wall_now
from models.billable_metrics import BillableMetric
from models.database import Database
from models.event_rows import EventRow
from models.queries import usage, usage_rollups, usage_voids
from models.queries.usage import Selection
from models.usage_voids import UsageVoid
from tests.activity.usage import appended
from tests.factories import a_customer, a_metric, a_product
from tests.property.test_metering_sql import PATHS, Draw, extracted
from tests.property.test_metering_sql import draws as any_draws

# Some of the days lie in the future: only whole past days are summed.
FIRST = wall_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=28)
EXTERNAL = "ext-a"

hours = st.integers(-4 * 24, 36 * 24).map(lambda hour: FIRST + timedelta(hours=hour))
draws = st.builds(lambda draw, at: replace(draw, timestamp=at), any_draws, hours)


@dataclass(frozen=True)
class Stage:
    """Events that arrive, which of all so far are voided, and whether sums are built then."""

    events: Sequence[Draw]
    voided: Sequence[int]
    builds: bool


stages = st.builds(
    Stage,
    events=st.lists(draws, max_size=10),
    voided=st.lists(st.integers(0, 40), max_size=2),
    builds=st.booleans(),
)


@dataclass(frozen=True)
class Owner:
    """A merchant with two summed metrics, and the customer whom the external id names."""

    merchant_id: str
    customer_id: str
    metrics: Sequence[BillableMetric]


async def an_owner(database: Database, path: str, since: datetime | None) -> Owner:
    made = await OrganizationActivities(database).create_merchant(CreateMerchant("Rollup"))
    async with database.transaction() as session:
        product = await a_product(session, made.merchant_id)
        customer = await a_customer(session, made.merchant_id, external_id=EXTERNAL)
        metrics = [
            await a_metric(
                session,
                product,
                aggregation=aggregation,
                event_type="calls",
                value_property=None if aggregation == "COUNT" else path,
                daily_rollup=True,
                event_from=since,
            )
            for aggregation in ("SUM", "COUNT")
        ]
    return Owner(made.merchant_id, customer.id, metrics)


def rows_of(owner: Owner, events: Sequence[Draw], path: str) -> list[EventRow]:
    subjects = {"cus_a": owner.customer_id}
    return [
        EventRow(
            merchant_id=owner.merchant_id,
            source="s",
            idempotency_key=new_id("key"),
            type=draw.type,
            subject=subjects.get(draw.subject or "", draw.subject),
            external_subject=draw.external_subject,
            external_id=None,
            timestamp=draw.timestamp,
            quantity=extracted(draw, path) if path else None,
            quantity_path=path,
            properties=Raw(draw.data),
        )
        for draw in events
    ]


async def void(database: Database, owner: Owner, row: EventRow) -> None:
    assert row.timestamp is not None
    async with database.transaction() as session:
        await usage_voids.add(
            session,
            UsageVoid(
                event_id=UUID(row.id),
                merchant_id=owner.merchant_id,
                type=row.type,
                timestamp=row.timestamp,
                reason="Twice",
                voided_by="usr_1",
            ),
        )


async def build(database: Database, metrics: Sequence[BillableMetric]) -> None:
    for metric in metrics:
        async with database.transaction() as session:
            await usage_rollups.repeatable(session)
            built = await usage_rollups.build(session, metric)
        assert built.differing == 0


@settings(max_examples=25)
@given(
    paths=st.tuples(st.sampled_from(PATHS), st.sampled_from([*PATHS[:2], ""])),
    since=st.sampled_from([None, FIRST + timedelta(days=9, hours=7)]),
    told=st.lists(stages, min_size=2, max_size=3),
    window=st.tuples(hours, hours),
)
async def test_sums_say_what_the_events_say(
    database: Database,
    paths: tuple[str, str],
    since: datetime | None,
    told: list[Stage],
    window: tuple[datetime, datetime],
) -> None:
    path, arriving = paths
    owner = await an_owner(database, path, since)
    stored: list[EventRow] = []
    for stage in told:
        rows = rows_of(owner, stage.events, arriving)
        async with database.transaction() as session:
            assert all(await appended(session, rows))
        stored += rows
        for number in stage.voided:
            if number < len(stored):
                await void(database, owner, stored[number])
        if stage.builds:
            await build(database, owner.metrics)
        await compare(database, owner, *sorted(window))


async def compare(database: Database, owner: Owner, start: datetime, end: datetime) -> None:
    async with database.transaction() as session:
        for metric in owner.metrics:
            for subject in (None, owner.customer_id, EXTERNAL):
                selection = Selection(owner.merchant_id, metric, start, end, subject)
                raw = await usage.total(session, selection)
                assert await usage_rollups.total(session, selection) == raw
