"""Calls of one kind that come at the same time share one transaction; it does no work of its own.

A call goes at once when nobody of its merchant has been at work just now; those that come meanwhile
go together as soon as that is done and no more come at their heels. Whatever is wrong with one of
them cannot hurt the others: where their common transaction fails, each is told to go alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from models.audit import Acting, acting

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

TOGETHER_MAX = 100
CROWDED_SECONDS = 0.1
"""How long after a group's end a call is taken for the first of more; a lone one never waits."""
GAP_SECONDS = 0.03
"""So long nobody may come before a group goes."""
FILL_SECONDS_MAX = 0.3
"""A group goes after this, whoever still comes."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Signed(Generic[Asked]):
    """A command, and who signs for it in the transaction that it shares: whoever asks."""

    command: Asked
    signed: Acting | None = field(default_factory=acting.get)


class Gathering(Generic[Asked, Answer]):
    """Hands what is asked at the same time to one `answer_all`; None means: go alone.

    It belongs to one event loop. `answer_all` is told the merchant, and answers in the order of
    what it is given.
    """

    def __init__(
        self, answer_all: Callable[[str, Sequence[Asked]], Awaitable[Sequence[Answer | None]]]
    ) -> None:
        self._answer_all = answer_all
        self._lines: dict[str, _Line[Asked, Answer]] = {}

    async def ask(self, merchant_id: str, asked: Asked) -> Answer | None:
        """The answer, once it has committed; None where the caller has to do it alone."""
        line = self._lines.get(merchant_id)
        if line is None:
            line = self._lines[merchant_id] = _Line()
            # In a context of its own: what is done for all is nobody's alone.
            line.work = asyncio.create_task(self._work(merchant_id, line), context=Context())
        return await line.join(asked)

    async def _work(self, merchant_id: str, line: "_Line[Asked, Answer]") -> None:
        try:
            while line.waiting:
                # Who was cancelled meanwhile is not worked for.
                group = [each for each in line.first(TOGETHER_MAX) if not each[1].done()]
                await self._answer(merchant_id, group)
                await line.fill(TOGETHER_MAX)
        finally:
            del self._lines[merchant_id]

    async def _answer(
        self, merchant_id: str, group: Sequence[tuple[Asked, asyncio.Future[Answer | None]]]
    ) -> None:
        answers: Sequence[Answer | None] = [None] * len(group)
        answering = self._answer_all(merchant_id, [asked for asked, _ in group])
        try:
            (done,) = await asyncio.gather(answering, return_exceptions=True)
            if isinstance(done, BaseException):
                log.warning("together_failed", merchant_id=merchant_id, error=repr(done))
            else:
                answers = done
        finally:
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


class _Line(Generic[Asked, Answer]):
    """Who of a merchant waits, and the task that works for them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Asked, asyncio.Future[Answer | None]]] = []
        # Held here: the event loop itself keeps no task alive.
        self.work: asyncio.Task[None] | None = None
        self._came = asyncio.Event()

    async def join(self, asked: Asked) -> Answer | None:
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.waiting.append((asked, future))
        self._came.set()
        return await future

    def first(self, count: int) -> list[tuple[Asked, asyncio.Future[Answer | None]]]:
        """Those who have waited longest, who then wait no more."""
        group, self.waiting = self.waiting[:count], self.waiting[count:]
        return group

    async def fill(self, count: int) -> None:
        """Until so many wait, or nobody has come for a moment; nobody waits if nobody came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CROWDED_SECONDS):
                while not self.waiting:
                    await self._next()
        with suppress(TimeoutError):
            async with asyncio.timeout(FILL_SECONDS_MAX):
                while 0 < len(self.waiting) < count:
                    async with asyncio.timeout(GAP_SECONDS):
                        await self._next()

    async def _next(self) -> None:
        self._came.clear()
        await self._came.wait()
