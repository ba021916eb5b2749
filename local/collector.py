"""When Python looks for garbage in a process that lives long; nothing is freed here."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (50_000, 20, 20)
"""So many new objects before the collector looks at them; Python's own are 700, 10 and 10."""
WITH_CYCLES = (50_000, 2, 5)
"""For a process whose garbage holds itself, as workflows that have ended do.

A hundred invoices that close together are fewer objects than the first number, and are let go
before it is reached; what lives longer is looked at as often as the other two say.
"""


@contextmanager
def loading() -> Iterator[None]:
    """What is made here lives as long as the process: the collector need not look at it.

    Not looking while the modules are imported makes a start a fifth shorter.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle(collect_at: tuple[int, int, int] = SELDOM) -> None:
    """To be called before the work begins.

    What has been loaded by now stays; the collector need not walk through it again and again. What
    waits looks like garbage that piles up: of requests hardly any ever is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*collect_at)
