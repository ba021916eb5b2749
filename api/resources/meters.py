"""What a billable metric reads: its events, and what they add up to; nothing is written here."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from api.deps import Caller, Session
from api.idempotency import KeptRoute
from api.pagination import Limits, Pagination, pagination
from api.pagination import paging as limits_of
from api.schema import (
    Absent,
    BillableMetricId,
    ExternalId,
    Instant,
    PrintableText,
    Wire,
    found,
)
from billing.durations import Duration
from billing.errors import InvalidValue
from models.billable_metrics import BillableMetric
from models.event_rows import EventRow
from models.queries import billable_metrics, usage, usage_rollups
from models.queries.usage import EventFilter, GroupSlice, Reading, Selection

router = APIRouter(prefix="/v0/billableMetrics", tags=["Billable Metrics"], route_class=KeptRoute)

WINDOWS_MAX = usage.READINGS_MAX
FILTER_LENGTH_MAX = 10_000
FILTER_VALUES_MAX = 100

WindowSize = Literal["MINUTE", "HOUR", "DAY", "MONTH"]
_SIZES: dict[str, Duration] = {
    "MINUTE": Duration(seconds=60),
    "HOUR": Duration(seconds=3600),
    "DAY": Duration(days=1),
    "MONTH": Duration(months=1),
}
# Decimals leave as JSON numbers with all their digits, which a float would round.
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class MeterEvent(Wire):
    """An event as a metric sees it."""

    object: Literal["meterEvent"] = "meterEvent"
    id: str
    type: str
    source: str
    subject: str
    time: Instant
    idempotency_key: str
    data: dict[str, Any]
    external_id: Absent[str] = None
    external_subject: Absent[str] = None


class MeterEventList(Wire):
    """A page of a metric's events."""

    object: Literal["list"] = "list"
    billable_metric_id: str
    events: list[MeterEvent]
    pagination: Pagination


class WindowedValue(Wire):
    """The reading of one UTC-aligned window."""

    window_start: Instant
    window_end: Instant
    value: float


class GroupedValue(Wire):
    """The reading of one group."""

    group_by: dict[str, str]
    value: float
    event_count: int


class UsageResponse(Wire):
    """A metric's reading of a window; with windows and groups, the two lists run in parallel."""

    object: Literal["meter"] = "meter"
    billable_metric_id: str
    total_value: float
    windowed_values: Absent[list[WindowedValue]] = None
    grouped_values: Absent[list[GroupedValue]] = None
    group_count: Absent[int] = None


def _exact_answer(content: Any) -> Response:
    return Response(_ENCODER.encode(content), media_type="application/json")


Start = Annotated[Instant, Query(alias="from")]
End = Annotated[Instant, Query(alias="to")]
Subject = Annotated[PrintableText | None, Query()]


async def selection(  # noqa: PLR0913 - one parameter each for what the query names
    *,
    id: BillableMetricId,
    start: Start,
    end: End,
    caller: Caller,
    session: Session,
    subject: Subject = None,
) -> Selection:
    """The metric, its window (`from` included, `to` excluded) and the subject, if one is named."""
    metric = found(await billable_metrics.get(session, caller.merchant_id, id), "billable metric")
    if end <= start:
        raise InvalidValue("Must lie after from", field="to")
    return Selection(caller.merchant_id, metric, start, end, subject)


Selected = Annotated[Selection, Depends(selection, scope="function")]
EventLimits = Annotated[Limits, Depends(limits_of(default=20, maximum=200))]


@router.get(
    "/{id}/events",  # noqa: FAST003 - `selection` reads the id
    operation_id="listBillableMetricEvents",
    response_model=MeterEventList,
)
async def list_billable_metric_events(
    selected: Selected,
    limits: EventLimits,
    session: Session,
    external_id: Annotated[ExternalId | None, Query(alias="externalId")] = None,
    external_subject: Annotated[ExternalId | None, Query(alias="externalSubject")] = None,
) -> Response:
    """List the events that a metric reads, newest first."""
    narrowed = EventFilter(external_id=external_id, external_subject=external_subject)
    rows, total = await usage.page(session, selected, narrowed, limits.limit, limits.offset)
    return _exact_answer(
        {
            "object": "list",
            "billableMetricId": selected.metric.id,
            "events": [_meter_event(row) for row in rows],
            "pagination": pagination(total, limits).model_dump(),
        }
    )


def _meter_event(row: EventRow) -> dict[str, Any]:
    event = {
        "object": "meterEvent",
        "id": usage.event_id(row.id),
        "type": row.type,
        "source": row.source,
        "subject": row.subject or row.external_subject or "",
        "time": _utc(found(row.timestamp, "timestamp")),
        "idempotencyKey": row.idempotency_key,
        "data": row.properties,
        "externalId": row.external_id,
        "externalSubject": row.external_subject,
    }
    return {name: value for name, value in event.items() if value is not None}


@router.get(
    "/{id}/meter",  # noqa: FAST003 - `selection` reads the id
    operation_id="getBillableMetricMeter",
    response_model=UsageResponse,
)
async def get_billable_metric_meter(  # noqa: PLR0913
    *,
    selected: Selected,
    session: Session,
    window_size: Annotated[WindowSize | None, Query(alias="windowSize")] = None,
    filter_group_by: Annotated[
        str | None, Query(alias="filterGroupBy", max_length=FILTER_LENGTH_MAX)
    ] = None,
    group_by: Annotated[str | None, Query(alias="groupBy", max_length=2000)] = None,
    group_limit: Annotated[int | None, Query(alias="groupLimit", ge=1, le=500)] = None,
    group_offset: Annotated[int, Query(alias="groupOffset", ge=0, le=100_000)] = 0,
) -> Response:
    """Read a metric: in total, by window, by group, or by both."""
    wanted = GroupSlice(_dimensions(selected.metric, group_by), group_limit, group_offset)
    filters = _filters(selected.metric, filter_group_by)
    narrowed = Selection(
        selected.merchant_id,
        selected.metric,
        selected.start,
        selected.end,
        selected.subject,
        filters,
    )
    _check_span(narrowed, window_size)
    answer = {
        "object": "meter",
        "billableMetricId": selected.metric.id,
        "totalValue": await usage_rollups.total(session, narrowed),
    }
    if wanted.dimensions:
        answer |= await _grouped(session, narrowed, wanted, window_size)
    elif window_size is not None:
        readings = _bounded(await usage.windows(session, narrowed, window_size))
        answer["windowedValues"] = [_windowed(reading, window_size) for reading in readings]
    return _exact_answer(answer)


async def _grouped(
    session: Session, selected: Selection, wanted: GroupSlice, window_size: str | None
) -> dict[str, Any]:
    readings, group_count = await usage.groups(session, selected, wanted)
    readings = _bounded(readings)
    counted = {} if wanted.limit is None else {"groupCount": group_count}
    if window_size is None:
        values = [_in_group(reading, wanted.dimensions) for reading in readings]
        return {"groupedValues": values, **counted}
    # The greatest group first, and within it the windows in order.
    rank = {reading.group: at for at, reading in enumerate(readings)}
    among = None if wanted.limit is None else list(rank)
    cells = _bounded(
        await usage.group_windows(session, selected, wanted.dimensions, window_size, among)
    )
    cells = sorted(cells, key=lambda cell: rank[cell.group])
    return {
        "windowedValues": [_windowed(cell, window_size) for cell in cells],
        "groupedValues": [_in_group(cell, wanted.dimensions) for cell in cells],
        **counted,
    }


def _windowed(reading: Reading, size: str) -> dict[str, Any]:
    start = found(reading.window, "window").astimezone(UTC)
    return {
        "windowStart": _utc(start),
        "windowEnd": _utc(_SIZES[size].after(start)),
        "value": reading.value,
    }


def _in_group(reading: Reading, dimensions: Sequence[str]) -> dict[str, Any]:
    group = dict(zip(dimensions, reading.group, strict=True))
    return {"groupBy": group, "value": reading.value, "eventCount": reading.event_count}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _bounded(readings: list[Reading]) -> list[Reading]:
    if len(readings) > usage.READINGS_MAX:
        message = f"More than {usage.READINGS_MAX} values; use groupLimit or a larger window"
        raise InvalidValue(message, field="groupLimit")
    return readings


def _check_span(selected: Selection, size: str | None) -> None:
    """The windows of the span are bounded, whether they have events or not."""
    if size is None:
        return
    windows = Decimal((selected.end - selected.start) // timedelta(seconds=1))
    if windows / _SIZES[size].mean_seconds > WINDOWS_MAX:
        raise InvalidValue(f"More than {WINDOWS_MAX} windows", field="windowSize")


def _dimensions(metric: BillableMetric, group_by: str | None) -> list[str]:
    """The named dimensions, each once, in the order given."""
    if group_by is None:
        return []
    names = list(dict.fromkeys(name.strip() for name in group_by.split(",")))
    for name in names:
        _check_dimension(metric, name, "groupBy")
    return names


def _check_dimension(metric: BillableMetric, name: str, field: str) -> None:
    if name != usage.SUBJECT and name not in (metric.group_by or {}):
        raise InvalidValue(f"The metric has no dimension {name[:64]}", field=field)


def _filters(metric: BillableMetric, text: str | None) -> dict[str, list[str]]:
    """The allowed values by dimension, from `{"model": "a", "region": ["b", "c"]}`."""
    if text is None:
        return {}
    message = "Must be a JSON object of strings or lists of strings"
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(message, field="filterGroupBy") from error
    if not isinstance(given, dict):
        raise InvalidValue(message, field="filterGroupBy")
    filters: dict[str, list[str]] = {}
    for name, value in given.items():
        _check_dimension(metric, name, "filterGroupBy")
        values = value if isinstance(value, list) else [value]
        if len(values) > FILTER_VALUES_MAX or not all(_is_text(each) for each in values):
            raise InvalidValue(message, field="filterGroupBy")
        filters[name] = values
    return filters


def _is_text(value: Any) -> bool:
    """Text that a database can compare with: no NUL, no lone surrogate."""
    return isinstance(value, str) and "\x00" not in value and value.isprintable()
