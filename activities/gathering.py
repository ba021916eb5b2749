"""Calls of one kind that come at the same time share one transaction; it does no work of its own.

A call goes at once when nobody of its merchant is at work; those that come meanwhile go together as
soon as that is done. Whatever is wrong with one of them cannot hurt the others: where their common
transaction fails, each is told to go alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from models.audit import Acting, acting

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

TOGETHER_MAX = 100
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
        self._waiting: dict[str, list[tuple[Asked, asyncio.Future[Answer | None]]]] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}

    async def ask(self, merchant_id: str, asked: Asked) -> Answer | None:
        """The answer, once it has committed; None where the caller has to do it alone."""
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(merchant_id, []).append((asked, future))
        if merchant_id not in self._at_work:
            # In a context of its own: what is done for all is nobody's alone.
            work = asyncio.create_task(self._work(merchant_id), context=Context())
            self._at_work[merchant_id] = work
        return await future

    async def _work(self, merchant_id: str) -> None:
        try:
            while waiting := self._waiting.pop(merchant_id, []):
                group, rest = waiting[:TOGETHER_MAX], waiting[TOGETHER_MAX:]
                if rest:
                    self._waiting[merchant_id] = rest
                # Who was cancelled meanwhile is not worked for.
                await self._answer(merchant_id, [each for each in group if not each[1].done()])
        finally:
            del self._at_work[merchant_id]

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
