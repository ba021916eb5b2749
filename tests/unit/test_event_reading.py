"""Events read at once are the events read one by one, and what one cannot read, all cannot."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from api import event_arrays, event_reading
from api.event_reading import Reading
from models.event_rows import EventRow

MERCHANT = "org_1"
USUAL: dict[str, Any] = {
    "type": "llm",
    "source": "gateway",
    "subject": "cus_1",
    "timestamp": "2026-03-01T00:00:00.125Z",
    "idempotencyKey": "key",
    "data": {"tokens": 5, "model": "large"},
}
UNUSUAL: list[dict[str, Any]] = [
    {"subject": None},
    {"type": ""},
    {"source": "s" * 256},
    {"source": "a\x7f"},
    {"source": "a\u2028b"},
    {"externalId": "a b"},
    {"externalId": "a\n"},
    {"namespace": "org_2"},
    {"timestamp": "2026-03-01"},
    {"unknown": 1},
    {"data": []},
    {"data": {"n": 10**120}},
    {"data": {"deep": [[]] * 40}},
    {"data": {"text": "x" * 70_000}},
]


def told(*events: dict[str, Any], ascii_only: bool = True) -> bytes:
    return json.dumps(events, ensure_ascii=ascii_only).encode()


def one_by_one(events: list[dict[str, Any]]) -> list[Reading | None]:
    return [event_reading.read(told(event)[1:-1], MERCHANT) for event in events]


def rows_of(readings: list[Reading | None], path: str) -> list[EventRow]:
    """The rows of events that were read one by one."""
    return [
        event_reading.row(each, MERCHANT, str(each.event.idempotency_key), path)
        for each in readings
        if each is not None
    ]


def test_usual_events_are_read_at_once() -> None:
    events = [
        USUAL,
        {**USUAL, "data": {"tokens": "12.5"}},
        {**USUAL, "subject": "cus_2"},
        {**USUAL, "source": "other", "namespace": MERCHANT, "externalId": "x"},
        {**USUAL, "subject": None, "externalSubject": "e", "timestamp": None},
        {**USUAL, "idempotencyKey": "another", "timestamp": "2026-03-01T01:00:00+01:00"},
    ]
    usual = event_arrays.read(told(*events), MERCHANT)
    assert usual is not None
    rows = usual.rows(MERCHANT, {"llm": "$.tokens"})
    assert rows == rows_of(one_by_one(events), "$.tokens")
    assert [row.quantity for row in rows] == ["5", "12.5", "5", "5", "5", "5"]
    # The key is one merchant's and one source's.
    assert [row.id == rows[0].id for row in rows] == [True, True, True, False, True, False]


def test_events_of_several_types_are_read_by_their_own_paths() -> None:
    events = [USUAL, {**USUAL, "type": "gpu", "data": {"tokens": 5, "hours": 7}}]
    usual = event_arrays.read(told(*events), MERCHANT)
    assert usual is not None
    assert usual.types() == {"llm", "gpu"}
    rows = usual.rows(MERCHANT, {"llm": "$.tokens", "gpu": "$.hours"})
    assert [row.quantity for row in rows] == ["5", "7"]


def test_events_without_a_key_get_one_each() -> None:
    event = {name: value for name, value in USUAL.items() if name != "idempotencyKey"}
    usual = event_arrays.read(told(event, event), MERCHANT)
    assert usual is not None
    first, second = usual.rows(MERCHANT, {"llm": ""})
    assert first.id != second.id


@pytest.mark.parametrize("change", UNUSUAL, ids=lambda change: next(iter(change)))
def test_one_unusual_event_leaves_all_to_the_other_way(change: dict[str, Any]) -> None:
    event = {**USUAL, **change}
    assert event_reading.read(told(event, ascii_only=False)[1:-1], MERCHANT) is None
    assert event_arrays.read(told(USUAL, event, ascii_only=False), MERCHANT) is None


NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).map(float),
    st.sampled_from([0, -0.0, 1e5, 1e-7, 1e22, 10**17, 10**18, 10**19]),
    st.text(max_size=8),
    st.booleans(),
    st.none(),
    st.dictionaries(st.sampled_from(["n", "e1", "0e5"]), st.integers(), max_size=2),
)


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_every_number_is_read_alike(values: list[Any]) -> None:
    events = [{**USUAL, "data": {"n": value, "other": "9e9"}} for value in values]
    usual = event_arrays.read(told(*events), MERCHANT)
    apart = one_by_one(events)
    if usual is None:
        assert b"\\" in told(*events) or b"\x7f" in told(*events) or None in apart
        return
    assert None not in apart
    for path in ("$.n", "$.n.n", "$.none", ""):
        quick = usual.rows(MERCHANT, {"llm": path})
        assert quick == rows_of(apart, path)
        careful = [exact(reading, path) for reading in apart if reading is not None]
        assert [_number(row.quantity) for row in quick] == [_number(each) for each in careful]


def exact(reading: Reading, path: str) -> str | None:
    """The same event read with all its numbers exact."""
    careful = Reading(reading.event, reading.timestamp, content=json_exactly(reading.event.data))
    return event_reading.row(careful, MERCHANT, "k", path).quantity


def json_exactly(text: Raw) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bytes(text), parse_float=Decimal, parse_int=Decimal)
    return content


def _number(quantity: str | None) -> Decimal | None:
    return None if quantity is None else Decimal(quantity)
