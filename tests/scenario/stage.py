"""Many stories on one clock: each waits for its instants, and the clock moves from one to the next.

A story is a generator: it yields an instant and goes on when the clock stands there. So a folder
of stories costs one year of simulated time, not one each.
"""

import heapq
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from paygentic_sdk.errors import PaygenticError

from tests.scenario.shop import Shop

Telling = Iterator[datetime]
Tale = Callable[[Shop], Telling]
# What a story may end with; anything else is a fault of the stage and ends them all.
ENDINGS = (AssertionError, PaygenticError, TimeoutError, LookupError, TypeError, ValueError)


@dataclass
class Playbill:
    """How each story ended."""

    failures: dict[str, BaseException] = field(default_factory=dict)

    def tell(self, tale: Tale) -> None:
        """Fails as the story failed."""
        if (failure := self.failures.get(name_of(tale))) is not None:
            raise failure


def name_of(tale: Tale) -> str:
    """The story's name."""
    return str(getattr(tale, "__name__", tale))


def tales_of(module: str) -> list[Tale]:
    """Every story of a module, in its order: its public generator functions."""
    members = vars(sys.modules[module]).items()
    return [
        member
        for name, member in members
        if inspect.isgeneratorfunction(member) and not name.startswith("_")
        if member.__module__ == module
    ]


def perform(shop: Shop, tales: Sequence[Tale]) -> Playbill:
    """Tells all stories, in the order of their instants."""
    playbill = Playbill()
    order = count()
    waiting: list[tuple[datetime, int, str, Telling]] = []

    def go_on(name: str, telling: Telling) -> None:
        try:
            instant = next(telling, None)
        except ENDINGS as failure:
            playbill.failures[name] = failure
            return
        if instant is not None:
            heapq.heappush(waiting, (instant, next(order), name, telling))

    for tale in tales:
        go_on(name_of(tale), tale(shop))
    while waiting:
        shop.advance(waiting[0][0])
        while waiting and waiting[0][0] <= shop.now:
            _, _, name, telling = heapq.heappop(waiting)
            go_on(name, telling)
    return playbill
