"""Calls that come at the same time go together, those of a failed group go alone."""

import asyncio
from collections.abc import Sequence

import pytest

from activities import gathering
from activities.gathering import TOGETHER_MAX, Gathering


class Work:
    """Answers numbers with their doubles, once it is let; refuses a group with a negative one."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[int]]] = []
        self.gate = asyncio.Event()

    async def answer_all(self, merchant_id: str, asked: Sequence[int]) -> list[int | None]:
        self.groups.append((merchant_id, list(asked)))
        await self.gate.wait()
        if any(number < 0 for number in asked):
            raise ValueError("negative")
        return [None if number == 0 else 2 * number for number in asked]


def _unhindered() -> tuple[Work, Gathering[int, int]]:
    """Work that answers at once, and who gathers for it."""
    work = Work()
    work.gate.set()
    return work, Gathering(work.answer_all)


async def _everybody_has_run() -> None:
    """Each task as far as it comes without waiting for anything."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_call_goes_at_once_and_those_meanwhile_go_together() -> None:
    work = Work()
    asking: Gathering[int, int] = Gathering(work.answer_all)
    first = asyncio.create_task(asking.ask("m", 1))
    await _everybody_has_run()
    assert work.groups == [("m", [1])]
    others = [asyncio.create_task(asking.ask("m", number)) for number in (2, 0, 3)]
    elsewhere = asyncio.create_task(asking.ask("n", 5))
    await _everybody_has_run()
    assert work.groups[1:] == [("n", [5])]
    work.gate.set()
    assert await asyncio.gather(first, *others, elsewhere) == [2, 4, None, 6, 10]
    assert work.groups[2:] == [("m", [2, 0, 3])]


async def test_too_many_go_in_turns() -> None:
    work, asking = _unhindered()
    count = 2 * TOGETHER_MAX + 1
    answers = await asyncio.gather(*(asking.ask("m", number + 1) for number in range(count)))
    assert answers == [2 * (number + 1) for number in range(count)]
    assert [len(asked) for _, asked in work.groups] == [TOGETHER_MAX, TOGETHER_MAX, 1]


async def test_a_group_that_fails_is_told_to_go_alone_and_the_next_one_works() -> None:
    _work, asking = _unhindered()
    assert await asyncio.gather(*(asking.ask("m", number) for number in (1, -1))) == [None, None]
    assert await asking.ask("m", 4) == 8


async def test_who_is_cancelled_is_not_worked_for() -> None:
    work = Work()
    asking: Gathering[int, int] = Gathering(work.answer_all)
    first = asyncio.create_task(asking.ask("m", 1))
    await _everybody_has_run()
    waiting = [asyncio.create_task(asking.ask("m", number)) for number in (2, 3)]
    await _everybody_has_run()
    waiting[0].cancel()
    work.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert await first == 2
    assert await waiting[1] == 6
    assert work.groups == [("m", [1]), ("m", [3])]


async def test_who_comes_at_the_heels_of_a_group_waits_for_those_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "CROWDED_SECONDS", 60.0)
    monkeypatch.setattr(gathering, "GAP_SECONDS", 60.0)
    monkeypatch.setattr(gathering, "FILL_SECONDS_MAX", 60.0)
    monkeypatch.setattr(gathering, "TOGETHER_MAX", 2)
    work, asking = _unhindered()
    assert await asking.ask("m", 1) == 2
    second = asyncio.create_task(asking.ask("m", 2))
    await _everybody_has_run()
    assert not second.done()
    assert [await asking.ask("m", 3), await second] == [6, 4]
    assert work.groups == [("m", [1]), ("m", [2, 3])]


@pytest.mark.parametrize("short", ["GAP_SECONDS", "FILL_SECONDS_MAX"])
async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch, short: str) -> None:
    for name in ("CROWDED_SECONDS", "GAP_SECONDS", "FILL_SECONDS_MAX"):
        monkeypatch.setattr(gathering, name, 0.0 if name == short else 60.0)
    work, asking = _unhindered()
    assert await asking.ask("m", 1) == 2
    assert await asking.ask("m", 2) == 4
    assert work.groups == [("m", [1]), ("m", [2])]


async def test_later_than_at_its_heels_a_call_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "CROWDED_SECONDS", 0.0)
    monkeypatch.setattr(gathering, "GAP_SECONDS", 60.0)
    _work, asking = _unhindered()
    assert await asking.ask("m", 1) == 2
    await _everybody_has_run()
    assert await asking.ask("m", 2) == 4
