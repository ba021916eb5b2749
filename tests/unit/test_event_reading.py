"""Events read at once are the events read one by one, and what one cannot read, all cannot."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from api import event_reading
from api.event_reading import Reading

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


def test_usual_events_are_read_at_once() -> None:
    events = [USUAL, {**USUAL, "data": {"tokens": "12.5"}}, {**USUAL, "subject": "cus_2"}]
    readings = event_reading.read_all(told(*events), MERCHANT)
    assert readings is not None
    assert readings == one_by_one(events)
    rows = [event_reading.row(each, MERCHANT, "key", "$.tokens") for each in readings]
    assert [row.quantity for row in rows] == ["5", "12.5", "5"]


@pytest.mark.parametrize("change", UNUSUAL, ids=lambda change: next(iter(change)))
def test_one_unusual_event_leaves_all_to_the_other_way(change: dict[str, Any]) -> None:
    event = {**USUAL, **change}
    assert event_reading.read(told(event, ascii_only=False)[1:-1], MERCHANT) is None
    assert event_reading.read_all(told(USUAL, event, ascii_only=False), MERCHANT) is None


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
    readings = event_reading.read_all(told(*events), MERCHANT)
    apart = one_by_one(events)
    if readings is None:
        assert b"\\" in told(*events) or b"\x7f" in told(*events) or None in apart
        return
    for reading, alone in zip(readings, apart, strict=True):
        assert alone is not None
        for path in ("$.n", "$.n.n", "$.none", ""):
            quick = event_reading.row(reading, MERCHANT, "k", path)
            assert quick == event_reading.row(alone, MERCHANT, "k", path)
            careful = exact(reading, path)
            assert _number(quick.quantity) == _number(careful)


def exact(reading: Reading, path: str) -> str | None:
    """The same event read with all its numbers exact."""
    careful = Reading(reading.event, reading.timestamp, content=json_exactly(reading.event.data))
    return event_reading.row(careful, MERCHANT, "k", path).quantity


def json_exactly(text: Raw) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bytes(text), parse_float=Decimal, parse_int=Decimal)
    return content


def _number(quantity: str | None) -> Decimal | None:
    return None if quantity is None else Decimal(quantity)
