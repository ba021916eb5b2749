"""Calls that come at the same time go together, those of a failed group go alone."""

import asyncio
from collections.abc import Sequence

import pytest

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


async def _everybody_has_run() -> None:
    """Each task as far as it comes without waiting for anything."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_call_goes_at_once_and_those_meanwhile_go_together() -> None:
    work = Work()
    gathering: Gathering[int, int] = Gathering(work.answer_all)
    first = asyncio.create_task(gathering.ask("m", 1))
    await _everybody_has_run()
    assert work.groups == [("m", [1])]
    others = [asyncio.create_task(gathering.ask("m", number)) for number in (2, 0, 3)]
    elsewhere = asyncio.create_task(gathering.ask("n", 5))
    await _everybody_has_run()
    assert work.groups[1:] == [("n", [5])]
    work.gate.set()
    assert await asyncio.gather(first, *others, elsewhere) == [2, 4, None, 6, 10]
    assert work.groups[2:] == [("m", [2, 0, 3])]


async def test_too_many_go_in_turns() -> None:
    work = Work()
    work.gate.set()
    gathering: Gathering[int, int] = Gathering(work.answer_all)
    count = 2 * TOGETHER_MAX + 1
    answers = await asyncio.gather(*(gathering.ask("m", number + 1) for number in range(count)))
    assert answers == [2 * (number + 1) for number in range(count)]
    assert [len(asked) for _, asked in work.groups] == [TOGETHER_MAX, TOGETHER_MAX, 1]


async def test_a_group_that_fails_is_told_to_go_alone_and_the_next_one_works() -> None:
    work = Work()
    work.gate.set()
    gathering: Gathering[int, int] = Gathering(work.answer_all)
    assert await asyncio.gather(*(gathering.ask("m", number) for number in (1, -1))) == [None, None]
    assert await gathering.ask("m", 4) == 8


async def test_who_is_cancelled_is_not_worked_for() -> None:
    work = Work()
    gathering: Gathering[int, int] = Gathering(work.answer_all)
    first = asyncio.create_task(gathering.ask("m", 1))
    await _everybody_has_run()
    waiting = [asyncio.create_task(gathering.ask("m", number)) for number in (2, 3)]
    await _everybody_has_run()
    waiting[0].cancel()
    work.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert await first == 2
    assert await waiting[1] == 6
    assert work.groups == [("m", [1]), ("m", [3])]
