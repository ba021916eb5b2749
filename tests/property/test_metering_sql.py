"""The SQL aggregation equals the oracle of `billing.metering` on any events.

Both read the same JSON: SQL in the database, the oracle in Python with exact decimals. Each example
owns a merchant, so that nothing has to be deleted between examples.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle, pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from billing.metering import AGGREGATIONS, Aggregation, Event, MetricDefinition, aggregate, value_at
from models.base import new_id
from models.billable_metrics import BillableMetric
from models.database import Database
from models.event_rows import EventRow
from models.queries import usage
from tests.activity.usage import appended

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=31)
CUTS = [START, START + timedelta(days=7), START + timedelta(days=7, hours=1), END]
CUSTOMER, SUBSCRIPTION, EXTERNAL = "cus_a", "sub_a", "ext-a"
PATHS = ("$.n", "$.deep.n", "$.list.0", "$.missing")

# JSON texts of a value: numbers with every digit, numeric strings, and what does not count.
numbers = st.decimals(
    min_value=Decimal(-10) ** 21, max_value=Decimal(10) ** 21, places=3, allow_nan=False
).map(lambda value: format(abs(value) if value == 0 else value, "f"))
values = st.one_of(
    numbers,
    numbers.map(lambda text: f'"{text}"'),
    st.sampled_from(
        [
            "1E+3",
            "1.50",
            "0.0000000000000000001",
            "0.0011111111111111111",
            "-1.8888888888888888885",
            "99999999999999999999.9999999999999999999",
            "0.000000000000000001",
            "100000000000000000000",
            "99999999999999999999",
            '"000001.5"',
            "true",
            "false",
            "null",
            '"1e3"',
            '"-2.5E-3"',
            '"1e-300"',
            '"1e999"',
            '"0e5"',
            f'"1.{"0" * 998}"',
            f'"1.{"0" * 999}"',
            '"+1"',
            '" 1"',
            '"1\\n"',
            '"x"',
            '""',
            "[1]",
            '{"n": 1}',
            '"true"',
        ]
    ),
)


@dataclass(frozen=True)
class Draw:
    """A random event: its data as JSON text, when, and whose."""

    data: str
    timestamp: datetime
    type: str
    subject: str | None
    external_subject: str | None


def _data(parts: tuple[str, str, str]) -> str:
    plain, deep, listed = parts
    return f'{{"n": {plain}, "deep": {{"n": {deep}}}, "list": [{listed}]}}'


draws = st.builds(
    Draw,
    data=st.tuples(values, values, values).map(_data),
    timestamp=st.integers(-3, 34).map(lambda day: START + timedelta(days=day)),
    type=st.sampled_from(["calls", "calls", "other"]),
    subject=st.sampled_from([CUSTOMER, SUBSCRIPTION, None, "cus_b"]),
    external_subject=st.sampled_from([None, EXTERNAL, "ext-b"]),
)


def belongs(draw: Draw) -> bool:
    if draw.subject is not None:
        return draw.subject in {CUSTOMER, SUBSCRIPTION}
    return draw.external_subject == EXTERNAL


def oracle_events(draws: Sequence[Draw]) -> list[Event]:
    """In the order of storage, which decides between equal timestamps."""
    return [
        Event(
            type=draw.type,
            subject=CUSTOMER,
            timestamp=draw.timestamp,
            data=json.loads(draw.data, parse_float=Decimal, parse_int=Decimal),
        )
        for draw in draws
        if belongs(draw) and START <= draw.timestamp < END
    ]


def a_metric(
    merchant_id: str, aggregation: Aggregation, path: str | None, event_from: datetime | None
) -> BillableMetric:
    return BillableMetric(
        id=new_id("bm"),
        merchant_id=merchant_id,
        product_id="prod_none",
        name="m",
        description="",
        unit="u",
        aggregation=aggregation,
        event_type="calls",
        value_property=path,
        event_from=event_from,
    )


def extracted(draw: Draw, path: str) -> str | None:
    """The number that an event is stored with."""
    value = value_at(json.loads(draw.data, parse_float=Decimal, parse_int=Decimal), path)
    return format(value, "f") if isinstance(value, Decimal) else None


@given(
    events=st.lists(draws, max_size=25),
    path=st.sampled_from(PATHS),
    event_from=st.sampled_from([None, START + timedelta(days=10)]),
    # By which paths numbers are read as events arrive: the metric's, another's, none, or in turn.
    arriving=st.lists(st.sampled_from([*PATHS, ""]), min_size=1, max_size=2),
)
async def test_sql_equals_the_oracle(
    database: Database,
    events: list[Draw],
    path: str,
    event_from: datetime | None,
    arriving: list[str],
) -> None:
    merchant_id = new_id("org")
    metrics = [a_metric(merchant_id, name, path, event_from) for name in AGGREGATIONS]
    metrics.append(a_metric(merchant_id, "UNIQUE_COUNT", None, event_from))
    rows = [
        EventRow(
            merchant_id=merchant_id,
            source="s",
            idempotency_key=str(at),
            type=draw.type,
            subject=draw.subject,
            external_subject=draw.external_subject,
            external_id=None,
            timestamp=draw.timestamp,
            quantity=extracted(draw, read_by) if read_by else None,
            quantity_path=read_by,
            properties=Raw(draw.data),
        )
        for at, (draw, read_by) in enumerate(zip(events, cycle(arriving)))
    ]
    async with database.transaction() as session:
        for row in rows:
            assert await appended(session, [row]) == [True]
        sums = await usage.usage_sums(
            session,
            merchant_id,
            metrics,
            customer_id=CUSTOMER,
            subscription_id=SUBSCRIPTION,
            external_id=EXTERNAL,
            start=START,
            end=END,
        )
        between = {
            metric.id: await usage.usage_between(
                session,
                merchant_id,
                metric,
                customer_id=CUSTOMER,
                subscription_id=SUBSCRIPTION,
                external_id=EXTERNAL,
                cuts=CUTS,
            )
            for metric in metrics
        }
    # Stored one after the other, so that the storage time orders them as the list does.
    given_order = oracle_events(events)
    for metric in metrics:
        definition = MetricDefinition(
            aggregation=metric.aggregation,  # type: ignore[arg-type]
            event_type=metric.event_type,
            value_path=metric.value_property,
            group_by={},
            event_from=metric.event_from,
        )
        assert sums[metric.id].value == aggregate(definition, given_order), metric.aggregation
        for (start, end), read in zip(pairwise(CUTS), between[metric.id], strict=True):
            theirs = [each for each in given_order if start <= each.timestamp < end]
            assert read.value == aggregate(definition, theirs), metric.aggregation
